/**
 * Members that come back with data that the cluster has left behind: put back to an older copy, or removed meanwhile. They
 * end, say why, and answer nobody with what once was.
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { memberStatus } from "../../src/etcd-client/etcd-cluster.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { type Agent, startAgent } from "../../src/raft-agent/agent/agent.ts";
import {
  MemberRemoveRequestSchema,
  MoveLeaderRequestSchema,
} from "../../src/raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { createAgentConfig } from "../../src/raft-agent/config/agent-config.ts";
import { readSettings } from "../../src/raft-agent/config/read-settings.ts";
import { freePorts } from "../compatibility/member-processes.ts";
import { until } from "../e2e/cluster-fixture.ts";

const host = "127.77.25.201";
const quick = ["--heartbeat-interval=50", "--election-timeout=500"];

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
  folder = mkdtempSync(join(tmpdir(), "haplan-old-data-"));
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

/** Resolves with what the member said when it stopped by itself. */
async function stoppedBy(at: number): Promise<string> {
  const { name } = places[at]!;
  await until(`${name} has stopped`, () => stopped.some((line) => line.startsWith(`${name}: `)));
  await stop(at);
  return stopped.splice(0).join("\n");
}

const idOf = (at: number): bigint => BigInt(`0x${agents[at]!.memberId}`);

async function makeLeader(at: number): Promise<void> {
  await until(`${places[at]!.name} leads`, async () => {
    const { leader } = await memberStatus(clients[at]!.grpc);
    if (leader === idOf(at)) return true;
    const from = [0, 1, 2].find((other) => idOf(other) === leader)!;
    const request = toBinary(MoveLeaderRequestSchema, create(MoveLeaderRequestSchema, { targetID: idOf(at) }));
    await clients[from]!.grpc.unary("/etcdserverpb.Maintenance/MoveLeader", request, { timeoutMs: 5_000 });
    return false;
  });
}

let lostId = 0n;

describe("a follower whose directory was put back to an older copy", () => {
  it("R20: ends, does not start again, and the others go on", async () => {
    await makeLeader(1);
    lostId = idOf(2);
    await stop(2);
    cpSync(dataFolder(2), `${dataFolder(2)}.old`, { recursive: true });
    await start(2);
    await until("m3 follows", () => clients[2]!.put("before", "the copy"));
    for (let i = 0; i < 20; i++) await clients[0]!.put(`acknowledged/${i}`, "by three");
    await until(
      "m3 has them",
      async () => (await clients[2]!.range("acknowledged/19", { serializable: true })).count > 0,
    );
    await stop(2);
    rmSync(dataFolder(2), { recursive: true });
    cpSync(`${dataFolder(2)}.old`, dataFolder(2), { recursive: true });

    await start(2);
    expect(await stoppedBy(2)).toMatch(/^m3: This member has lost entries of its log: it had acknowledged/);
    await expect(start(2)).rejects.toThrow(/lost entries that it had acknowledged.*add it as a new member/);
    await clients[0]!.put("still", "written");
    expect(stopped).toEqual([]);
  });
});

describe("a member that was removed while it was down", () => {
  it("R29: ends with the reason when it is started again, also after the others were restarted", async () => {
    const request = toBinary(MemberRemoveRequestSchema, create(MemberRemoveRequestSchema, { ID: lostId }));
    await clients[0]!.grpc.unary("/etcdserverpb.Cluster/MemberRemove", request, { timeoutMs: 5_000 });
    for (const at of [0, 1]) {
      await stop(at);
      await start(at);
    }
    await until("a write", () => clients[0]!.put("after", "the removal"));
    rmSync(dataFolder(2), { recursive: true });
    cpSync(`${dataFolder(2)}.old`, dataFolder(2), { recursive: true });
    await start(2);
    expect(await stoppedBy(2)).toBe("m3: the member was removed from the cluster");
    expect(logged.some((line) => line.startsWith("m3") && line.includes("its id is never used again"))).toBe(true);
  });
});
