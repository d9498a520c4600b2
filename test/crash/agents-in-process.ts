/** Three members of one cluster in this process, each with its own directory, that can be stopped and restarted. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { type Agent, startAgent } from "../../src/raft-agent/agent/agent.ts";
import { createAgentConfig } from "../../src/raft-agent/config/agent-config.ts";
import { readSettings } from "../../src/raft-agent/config/read-settings.ts";
import { freePorts } from "../compatibility/member-processes.ts";
import { until } from "../e2e/cluster-fixture.ts";

type Place = { readonly name: string; readonly client: string; readonly peer: string };

const all = [0, 1, 2];

/** Members are named m1 to m3 and are at 0 to 2. */
export class AgentsInProcess {
  readonly places: readonly Place[];
  readonly clients: readonly EtcdClient[];
  readonly agents: (Agent | undefined)[] = [];
  /** The reasons of members that stopped by themselves, prefixed by the member's name. */
  readonly stopped: string[] = [];
  /** Log lines, prefixed by the member's name. */
  readonly logged: string[] = [];
  readonly #directory: string;
  readonly #flags: readonly string[];

  private constructor(host: string, ports: readonly number[], flags: readonly string[]) {
    this.#directory = mkdtempSync(join(tmpdir(), "haplan-agents-"));
    this.#flags = flags;
    this.places = all.map((at) => ({
      name: `m${at + 1}`,
      client: `http://${host}:${ports[2 * at]}`,
      peer: `http://${host}:${ports[2 * at + 1]}`,
    }));
    this.clients = this.places.map(
      ({ client }) => new EtcdClient(connect({ endpoints: [client] }), { timeoutMs: 5_000 }),
    );
  }

  /** Members on free ports of `host`, not running yet. `flags` are for every member. */
  static async prepare(host: string, flags: readonly string[] = []): Promise<AgentsInProcess> {
    return new AgentsInProcess(host, await freePorts(host, 2 * all.length), flags);
  }

  /** Starts all members and resolves once each accepts writes. */
  static async start(host: string, flags: readonly string[] = []): Promise<AgentsInProcess> {
    const agents = await AgentsInProcess.prepare(host, flags);
    await Promise.all(all.map((at) => agents.start(at)));
    for (const at of all) await agents.writeThrough(at);
    return agents;
  }

  dataDirectory(at: number): string {
    return join(this.#directory, this.places[at]!.name);
  }

  /**
   * With the flags of the first start, whatever happened to the member. `listenPeer`: a listen URL other than the
   * advertised one.
   */
  async start(at: number, listenPeer?: string): Promise<void> {
    const { name, client, peer } = this.places[at]!;
    const settings = readSettings(
      [
        `--name=${name}`,
        `--data-dir=${this.dataDirectory(at)}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${listenPeer ?? peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=${this.places.map((place) => `${place.name}=${place.peer}`).join()}`,
        "--initial-cluster-state=new",
        "--heartbeat-interval=50",
        "--election-timeout=500",
        ...this.#flags,
      ],
      {},
      () => "",
    );
    this.agents[at] = await startAgent({
      config: createAgentConfig(settings),
      logger: pino({ level: "info" }, { write: (line) => void this.logged.push(`${name} ${line}`) }),
      onStopped: (reason) => this.stopped.push(`${name}: ${reason}`),
    });
  }

  async stop(at: number): Promise<void> {
    await this.agents[at]?.close();
    this.agents[at] = undefined;
  }

  writeThrough(at: number): Promise<unknown> {
    return until("a write", () => this.clients[at]!.put("written", "yes"));
  }

  /** Stops everything and removes every directory. */
  async remove(): Promise<void> {
    await Promise.all(all.map((at) => this.stop(at)));
    await Promise.all(this.clients.map(({ grpc }) => grpc.close()));
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
