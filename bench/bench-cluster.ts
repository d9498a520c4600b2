/** Three members of one system on loopback, with their data on disk: started, waited for, restarted, stopped. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EtcdClient } from "../src/etcd-client/etcd-client.ts";
import { connect } from "../src/etcd-client/grpc-client.ts";

export type System = "etcd" | "haplan";

const hosts = ["127.77.25.1", "127.77.25.2", "127.77.25.3"];
const ports: Readonly<Record<System, { readonly client: number; readonly peer: number }>> = {
  etcd: { client: 12_379, peer: 12_380 },
  haplan: { client: 22_379, peer: 22_380 },
};
const agentMain = fileURLToPath(new URL("../../dist/cmd/haplan-agent/main.js", import.meta.url));
const startMsMax = 20_000;
const stopMsMax = 5_000;

export class BenchCluster {
  readonly system: System;
  readonly endpoints: readonly string[];
  readonly #directory: string;
  /** Additional arguments for the Node.js that runs our agent, by member. */
  readonly #nodeArguments: readonly string[];
  #members: ChildProcess[] = [];
  #leader = 0;

  constructor(system: System, directory: string, nodeArguments: readonly string[] = []) {
    this.system = system;
    this.endpoints = hosts.map((host) => `${host}:${ports[system].client}`);
    this.#directory = join(directory, system);
    this.#nodeArguments = nodeArguments;
  }

  get pids(): readonly number[] {
    return this.#members.map(({ pid }) => pid!);
  }

  get leaderEndpoint(): string {
    return this.endpoints[this.#leader]!;
  }

  /** With existing data, if there is any. Resolves once there is a leader. */
  async start(): Promise<void> {
    this.#members = hosts.map((_, at) => this.#startMember(at));
    const deadlineMs = performance.now() + startMsMax;
    while (!(await this.#findLeader())) {
      if (performance.now() > deadlineMs || this.#members.some(({ exitCode }) => exitCode !== null))
        throw new Error(`${this.system} did not start: see ${this.#directory}/*.log`);
      await sleep(100);
    }
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Stops the members, with SIGKILL if they take too long. */
  async stop(): Promise<void> {
    const running = this.#members.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    this.#members = [];
    await Promise.all(
      running.map(async (member) => {
        const exited = once(member, "exit");
        member.kill("SIGTERM");
        const force = setTimeout(() => member.kill("SIGKILL"), stopMsMax);
        await exited;
        clearTimeout(force);
      }),
    );
  }

  removeData(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #startMember(at: number): ChildProcess {
    const { client, peer } = ports[this.system];
    const name = (index: number): string => `m${index + 1}`;
    const data = join(this.#directory, name(at));
    mkdirSync(this.#directory, { recursive: true });
    const options = {
      "--name": name(at),
      "--data-dir": data,
      "--listen-client-urls": `http://${hosts[at]}:${client}`,
      "--advertise-client-urls": `http://${hosts[at]}:${client}`,
      "--listen-peer-urls": `http://${hosts[at]}:${peer}`,
      "--initial-advertise-peer-urls": `http://${hosts[at]}:${peer}`,
      "--initial-cluster": hosts.map((host, index) => `${name(index)}=http://${host}:${peer}`).join(","),
      "--quota-backend-bytes": String(8 * 2 ** 30),
    };
    const flags = Object.entries(options).map(([flag, value]) => `${flag}=${value}`);
    const output = openSync(`${data}.log`, "a");
    const [command, first] =
      this.system === "etcd" ? ["etcd", []] : [process.execPath, [...this.#nodeArguments, agentMain]];
    return spawn(command, [...first, ...flags], { stdio: ["ignore", output, output] });
  }

  async #findLeader(): Promise<boolean> {
    const leaders = await Promise.all(this.endpoints.map((endpoint) => this.#leads(endpoint)));
    this.#leader = leaders.indexOf(true);
    return this.#leader >= 0 && leaders.every((leads) => leads !== null);
  }

  /** Null when the member does not respond, or knows no leader yet. */
  async #leads(endpoint: string): Promise<boolean | null> {
    const client = connect({ endpoints: [endpoint], connectTimeoutMs: 500 });
    try {
      const { leader, memberId } = await new EtcdClient(client, { timeoutMs: 500 }).maintenance.status();
      return leader === null ? null : leader === memberId;
    } catch {
      return null;
    } finally {
      await client.close();
    }
  }
}
