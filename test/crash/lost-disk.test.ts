/** A founder that comes back without its disk, and a member that is asked while it gets the others' state. */
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { memberList } from "../../src/etcd-client/etcd-cluster.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { GrpcError } from "../../src/etcd-client/grpc-error.ts";
import { type Agent, startAgent } from "../../src/raft-agent/agent/agent.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { createAgentConfig } from "../../src/raft-agent/config/agent-config.ts";
import { readSettings } from "../../src/raft-agent/config/read-settings.ts";
import { freePorts } from "../compatibility/member-processes.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { memberFacts } from "../e2e/member-facts.ts";

const host = "127.77.25.200";
const quick = ["--heartbeat-interval=50", "--election-timeout=500"];
const shortLog = ["--snapshot-count=100", "--snapshot-catchup-entries=10"];

type Place = { readonly name: string; readonly client: string; readonly peer: string };

let folder: string;
let places: readonly Place[];
let clients: readonly EtcdClient[];
const agents: (Agent | undefined)[] = [];
/** What members said when they stopped by themselves, and what they logged. */
const stopped: string[] = [];
const logged: string[] = [];

const dataFolder = (at: number): string => join(folder, places[at]!.name);

/** With the flags of the first start, whatever has become of the member. */
async function start(at: number): Promise<void> {
  const { name, client, peer } = places[at]!;
  const settings = readSettings(
    [
      `--name=${name}`,
      `--data-dir=${dataFolder(at)}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${places.map((place) => `${place.name}=${place.peer}`).join()}`,
      "--initial-cluster-state=new",
      ...quick,
      ...shortLog,
    ],
    {},
    () => "",
  );
  agents[at] = await startAgent({
    config: createAgentConfig(settings),
    logger: pino({ level: "info" }, { write: (line) => void logged.push(`${name} ${line}`) }),
    onStopped: (reason) => stopped.push(`${name}: ${reason}`),
  });
}

async function stop(at: number): Promise<void> {
  await agents[at]?.close();
  agents[at] = undefined;
}

const writeThrough = (at: number): Promise<unknown> => until("a write", () => clients[at]!.put("written", "yes"));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "haplan-lost-disk-"));
  const ports = await freePorts(host, 6);
  places = [0, 1, 2].map((at) => ({
    name: `m${at + 1}`,
    client: `http://${host}:${ports[2 * at]}`,
    peer: `http://${host}:${ports[2 * at + 1]}`,
  }));
  clients = places.map(({ client }) => new EtcdClient(connect({ endpoints: [client] }), { timeoutMs: 5_000 }));
  await Promise.all([0, 1, 2].map((at) => start(at)));
  for (const at of [0, 1, 2]) await writeThrough(at);
});

afterAll(async () => {
  await Promise.all([0, 1, 2].map((at) => stop(at)));
  await Promise.all(clients.map(({ grpc }) => grpc.close()));
  rmSync(folder, { recursive: true, force: true });
});

describe("a founder whose disk was wiped", () => {
  it("founds nothing and votes for nobody when it starts with the flags of its first start", async () => {
    const clusterId = agents[0]!.clusterId;
    const before = (await memberList(clients[0]!.grpc)).map(({ ID }) => ID);
    // By its name, as in etcd, the others know that it has started; that comes through the log, after its first write perhaps.
    await until("m3 is known", async () => (await memberList(clients[0]!.grpc)).every(({ name }) => name !== ""));
    await stop(2);
    renameSync(dataFolder(2), `${dataFolder(2)}.kept`);
    await writeThrough(0);

    await expect(start(2)).rejects.toThrow(/"m3".* has started before, but its log is gone/);
    await expect(clients[2]!.range("written")).rejects.toThrow(GrpcError);
    // Not even what a vote would be written to.
    expect(existsSync(join(dataFolder(2), "member/wal/lock"))).toBe(false);
    await writeThrough(1);
    expect((await memberList(clients[0]!.grpc)).map(({ ID }) => ID)).toEqual(before);

    rmSync(dataFolder(2), { recursive: true, force: true });
    renameSync(`${dataFolder(2)}.kept`, dataFolder(2));
    await start(2);
    await writeThrough(2);
    expect(agents[2]!.clusterId).toBe(clusterId);
  });
});

describe("a member that gets the others' state while it is asked", () => {
  it("answers serializable reads with the old state or the new, and puts as ever", async () => {
    await clients[0]!.put("state", "old");
    await until("everybody has it", async () => (await valueAt(2, "state")) === "old");
    await stop(2);
    const large = "x".repeat(4_000);
    for (let i = 0; i < 600; i += 20)
      await Promise.all(Array.from({ length: 20 }, (_, j) => clients[0]!.put(`large/${i + j}`, large)));
    await clients[0]!.put("state", "new");
    const { revision } = await memberFacts(clients[0]!);

    const values: (string | undefined)[] = [];
    const written: string[] = [];
    const failures: unknown[] = [];
    let isOver = false;
    const repeat = async (act: (turn: number) => Promise<unknown>): Promise<void> => {
      for (let turn = 0; !isOver; turn++) await act(turn).catch((error: unknown) => failures.push(error));
    };
    await start(2);
    const asking = [
      ...[1, 2].map(() => repeat(async () => values.push(await valueAt(2, "state")))),
      ...[1, 2].map((writer) =>
        repeat(async (turn) => {
          const key = `meanwhile/${writer}/${turn}`;
          await clients[2]!.put(key, "put");
          written.push(key);
        }),
      ),
    ];
    await until("it has the others' state", async () => (await memberFacts(clients[2]!)).revision >= revision);
    await until("a put was acknowledged", () => written.length > 5);
    isOver = true;
    await Promise.all(asking);

    expect(logged.some((line) => line.startsWith("m3") && line.includes("installed the snapshot"))).toBe(true);
    expect({ failures, stopped }).toEqual({ failures: [], stopped: [] });
    const turns = values.filter((value, i) => value !== values[i - 1]);
    expect(["old,new", "new"]).toContain(turns.join());
    for (const key of written) expect(await valueAt(0, key)).toBe("put");
  });
});

async function valueAt(at: number, key: string): Promise<string | undefined> {
  const { kvs } = await clients[at]!.range(key, { serializable: true });
  return kvs[0] === undefined ? undefined : Buffer.from(decodeKeyValue(kvs[0]).value).toString();
}
