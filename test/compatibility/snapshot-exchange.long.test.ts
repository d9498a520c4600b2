/**
 * Snapshots in both directions: one of our members with many keys, a real etcd started from its snapshot, one of our
 * members started from that one's, and each time the same revision, hash, leases and users. etcdctl checks the files.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { execa } from "execa";
import { pino } from "pino";
import { afterAll, describe, expect, it, vi } from "vitest";
import { runSnapshotCommand } from "../../cmd/haplan-agent/snapshot/snapshot-command.ts";
import { parseMemberId } from "../../src/base/member-id.ts";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect, type GrpcClient } from "../../src/etcd-client/grpc-client.ts";
import { type Agent, startAgent } from "../../src/raft-agent/agent/agent.ts";
import {
  HashKVRequestSchema,
  HashKVResponseSchema,
  LeaseTimeToLiveRequestSchema,
  LeaseTimeToLiveResponseSchema,
} from "../../src/raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { createAgentConfig } from "../../src/raft-agent/config/agent-config.ts";
import { readSettings } from "../../src/raft-agent/config/read-settings.ts";
import { exportDatabase } from "../../src/raft-agent/etcd-snapshot/export-database.ts";
import { openSnapshotFile } from "../../src/raft-agent/etcd-snapshot/snapshot-file.ts";
import { MemoryBackend } from "../../src/raft-agent/mvcc/backend/backend.fake.ts";
import { openStore } from "../../src/raft-agent/mvcc/mvcc-store.ts";

const host = "127.77.22.10";
const hasEtcd = spawnSync("etcd", ["--version"]).status === 0;
/** Enough for three levels of pages; a hundred thousand with HAPLAN_TEST_EVERYTHING. */
const keyCount = process.env["HAPLAN_TEST_EVERYTHING"] === undefined ? 20_000 : 100_000;
const keysPerTxn = 100;

type Place = { readonly name: string; readonly directory: string; readonly client: string; readonly peer: string };

const directory = mkdtempSync(join(tmpdir(), "haplan-exchange-"));
const agents: Agent[] = [];
const processes: ChildProcess[] = [];
const clients: GrpcClient[] = [];

afterAll(async () => {
  for (const client of clients) await client.close();
  for (const agent of agents) await agent.close();
  for (const process_ of processes) {
    const gone = new Promise((resolve) => process_.once("exit", resolve));
    if (process_.kill("SIGKILL")) await gone;
  }
  rmSync(directory, { recursive: true, force: true });
});

async function makePlace(name: string): Promise<Place> {
  const [client, peer] = await Promise.all([freePort(), freePort()]);
  return { name, directory: join(directory, name), client: `http://${host}:${client}`, peer: `http://${host}:${peer}` };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, host, () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === "object" && bound !== null ? bound.port : 0));
    });
  });
}

/** As after a restore: the members are on disk already, so that no --initial-cluster is needed. */
function flagsOf({ name, directory: dataDir, client, peer }: Place): string[] {
  const urls = { "listen-client-urls": client, "advertise-client-urls": client, "listen-peer-urls": peer };
  const flags = { name, "data-dir": dataDir, ...urls, "initial-advertise-peer-urls": peer };
  return Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
}

function connectTo(place: Place): EtcdClient {
  const grpc = connect({ endpoints: [place.client] });
  clients.push(grpc);
  return new EtcdClient(grpc, { timeoutMs: 20_000 });
}

async function startOurs(place: Place): Promise<EtcdClient> {
  const config = createAgentConfig(readSettings(flagsOf(place), {}, () => ""));
  agents.push(await startAgent({ config, logger: pino({ level: "silent" }), onStopped: () => undefined }));
  return readyClient(place);
}

async function startEtcd(place: Place): Promise<EtcdClient> {
  processes.push(spawn("etcd", flagsOf(place), { stdio: "ignore" }));
  return readyClient(place);
}

async function readyClient(place: Place): Promise<EtcdClient> {
  const client = connectTo(place);
  await vi.waitFor(() => client.range("x"), { timeout: 20_000, interval: 50 });
  return client;
}

function etcdctl(...args: string[]): string {
  const run = spawnSync("etcdctl", args, { env: { ...process.env, ETCDCTL_API: "3" }, encoding: "utf8" });
  if (run.status !== 0) throw new Error(`etcdctl ${args.join(" ")} failed: ${run.stderr}`);
  return run.stdout;
}

/** Without blocking this process, in which the member runs that is called. */
async function etcdctlAside(...args: string[]): Promise<string> {
  const run = await execa("etcdctl", args, { env: { ETCDCTL_API: "3" }, reject: false, stripFinalNewline: false });
  if (run.exitCode !== 0) throw new Error(`etcdctl ${args.join(" ")} failed: ${run.stderr}`);
  return run.stdout;
}

/** Over all keys and values of a bucket. */
function digestOf(path: string, bucket: string): string {
  using file = openSnapshotFile(path, { skipHashCheck: false });
  const hash = createHash("sha256");
  for (const { key, value } of file.database.entries(bucket)) hash.update(key).update(value);
  return hash.digest("hex");
}

async function ours(...args: string[]): Promise<string> {
  let printed = "";
  const write = (text: string): void => void (printed += text);
  const code = await runSnapshotCommand(args, { write, writeError: write });
  if (code !== 0) throw new Error(`haplan-agent snapshot ${args.join(" ")} failed: ${printed}`);
  return printed;
}

function restoreFlags({ name, directory: dataDir, peer }: Place, initialCluster = `${name}=${peer}`): string[] {
  const flags = { name, "data-dir": dataDir, "initial-cluster": initialCluster, "initial-advertise-peer-urls": peer };
  return Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
}

async function hashOf({ grpc }: EtcdClient, revision: number): Promise<{ hash: number; compacted: bigint }> {
  const request = toBinary(HashKVRequestSchema, create(HashKVRequestSchema, { revision: BigInt(revision) }));
  const answer = await grpc.unary("/etcdserverpb.Maintenance/HashKV", request, { timeoutMs: 20_000 });
  const { hash, compactRevision } = fromBinary(HashKVResponseSchema, answer);
  return { hash, compacted: compactRevision };
}

async function leaseOf({ grpc }: EtcdClient, id: bigint): Promise<{ granted: bigint; keys: string[] }> {
  const request = toBinary(LeaseTimeToLiveRequestSchema, create(LeaseTimeToLiveRequestSchema, { ID: id, keys: true }));
  const answer = await grpc.unary("/etcdserverpb.Lease/LeaseTimeToLive", request, { timeoutMs: 5_000 });
  const { grantedTTL, keys } = fromBinary(LeaseTimeToLiveResponseSchema, answer);
  return { granted: grantedTTL, keys: keys.map((key) => Buffer.from(key).toString()).sort() };
}

function put(key: string, value: string, lease = 0n) {
  const request = { key: Buffer.from(key), value: Buffer.from(value), lease };
  return { kind: "put" as const, request: { ...request, prevKv: false, ignoreValue: false, ignoreLease: false } };
}

async function load(client: EtcdClient): Promise<void> {
  const txns = Array.from({ length: keyCount / keysPerTxn }, (_, at) => at);
  const worker = async (): Promise<void> => {
    for (let at = txns.shift(); at !== undefined; at = txns.shift()) {
      const success = Array.from({ length: keysPerTxn }, (_, i) =>
        put(`k/${String(at! * keysPerTxn + i).padStart(6, "0")}`, `value of ${at}/${i} `.repeat(4)),
      );
      await client.txn({ compare: [], success, failure: [] });
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  for (let i = 0; i < 5; i++) await client.put(`large/${i}`, String(i).repeat(300_000));
  for (let id = 1n; id <= 20n; id++) {
    await client.leaseGrant(1000 + Number(id), id);
    for (const n of [1, 2]) await client.put(`leased/${id}/${n}`, "v", { lease: id });
  }
  await client.deleteRange("k/0100", Buffer.from("k/0102"));
  const { header } = await client.put("k/000001", "again");
  await client.compact(Number(header?.revision ?? 0) - 10, true);
  await client.deleteRange("k/000002");
  await client.put("k/010000", "born again");
}

/** A snapshot of ours without a member around it. */
async function smallSnapshot(): Promise<Buffer> {
  const store = await openStore({ backend: new MemoryBackend() });
  const txn = store.beginWrite();
  txn.put(Buffer.from("a"), Buffer.from("1"), 0n);
  txn.end();
  const { chunks } = await exportDatabase(await store.view(), () => Promise.resolve());
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  const content = Buffer.concat(parts);
  return Buffer.concat([content, createHash("sha256").update(content).digest()]);
}

describe.skipIf(!hasEtcd)("snapshot exchange with a real etcd", () => {
  it("carries all keys, deletions, leases, users and roles there and back", { timeout: 120_000 }, async () => {
    const first = await makePlace("first");
    const ourClient = await startOurs(first);
    await load(ourClient);

    // From ours, while writes continue.
    const file = (name: string): string => join(directory, `${name}.db`);
    let writing = true;
    const writer = (async () => {
      for (let i = 0; writing; i++) await ourClient.put(`during/${i % 10}`, String(i));
    })();
    const saved = ours("save", "--endpoints", first.client, file("ours"));
    await saved.finally(() => (writing = false));
    await writer;
    const status = JSON.parse(etcdctl("snapshot", "status", file("ours"), "-w", "json")) as { revision: number };
    expect(await ours("status", file("ours"), "-w", "json")).toBe(
      etcdctl("snapshot", "status", file("ours"), "-w", "json"),
    );
    const { revision } = status;
    expect(Number((await ourClient.range("x")).header?.revision)).toBeGreaterThan(revision);

    // Into a real etcd.
    const second = await makePlace("second");
    etcdctl("snapshot", "restore", file("ours"), ...restoreFlags(second));
    const etcdClient = await startEtcd(second);
    expect(await hashOf(etcdClient, 0)).toEqual(await hashOf(ourClient, revision));
    expect(Number((await etcdClient.range("x")).header?.revision)).toBe(revision);
    const lease = { granted: 1007n, keys: ["leased/7/1", "leased/7/2"] };
    expect(await leaseOf(etcdClient, 7n)).toEqual(lease);

    // Continue with it, and back to ours.
    const ctl = (...args: string[]): string => etcdctl("--endpoints", second.client, ...args);
    ctl("user", "add", "root:secret");
    ctl("role", "add", "reader");
    ctl("role", "grant-permission", "reader", "--prefix=true", "read", "k/");
    ctl("user", "grant-role", "root", "reader");
    await etcdClient.put("k/000003", "from etcd");
    await etcdClient.deleteRange("k/0150", Buffer.from("k/0151"));
    ctl("snapshot", "save", file("etcd"));
    const third = await makePlace("third");
    await ours("restore", file("etcd"), ...restoreFlags(third), "--bump-revision=0");
    const backClient = await startOurs(third);
    expect(await hashOf(backClient, 0)).toEqual(await hashOf(etcdClient, 0));
    expect(Number((await backClient.range("x")).header?.revision)).toBe(revision + 2);
    expect(await leaseOf(backClient, 7n)).toEqual(lease);

    // A snapshot that we save again holds the same, users and roles included.
    await ours("save", "--endpoints", third.client, file("back"));
    expect(JSON.parse(etcdctl("snapshot", "status", file("back"), "-w", "json"))).toMatchObject({
      revision: revision + 2,
    });
    for (const bucket of ["auth", "authUsers", "authRoles", "lease", "key"]) {
      expect(digestOf(file("back"), bucket)).toBe(digestOf(file("etcd"), bucket));
    }
  });

  it("founds a cluster of three from one file, with a bumped revision and no history", async () => {
    const source = await makePlace("source");
    processes.push(spawn("etcd", [...flagsOf(source), `--initial-cluster=source=${source.peer}`], { stdio: "ignore" }));
    const sourceClient = await readyClient(source);
    await sourceClient.put("a", "1");
    await sourceClient.put("a", "2");
    const path = join(directory, "source.db");
    await ours("save", "--endpoints", source.client, path);

    const places = await Promise.all(["m1", "m2", "m3"].map(makePlace));
    const initialCluster = places.map(({ name, peer }) => `${name}=${peer}`).join();
    for (const place of places) {
      await ours(
        "restore",
        path,
        ...restoreFlags(place, initialCluster),
        "--bump-revision",
        "1000",
        "--mark-compacted",
      );
    }
    // A restored directory is never overwritten by another restore.
    await expect(ours("restore", path, ...restoreFlags(places[0]!, initialCluster))).rejects.toThrow(/is not empty/);
    const [one, two] = await Promise.all(places.map(startOurs));
    const { header } = await one!.put("a", "3");
    expect(Number(header?.revision)).toBe(1004);
    expect((await two!.range("a")).kvs).toHaveLength(1);
    await expect(one!.range("a", { revision: 3 })).rejects.toThrow(/compacted/);
    expect((await one!.cluster.memberList()).members.map(({ name }) => name).sort()).toEqual(["m1", "m2", "m3"]);
    // etcd derives the same ids for the same initial members.
    const judged = await makePlace("judged");
    const output = spawnSync(
      "etcdctl",
      [
        "snapshot",
        "restore",
        path,
        `--name=m1`,
        `--data-dir=${judged.directory}`,
        `--initial-cluster=${initialCluster}`,
        `--initial-advertise-peer-urls=${places[0]!.peer}`,
      ],
      { env: { ...process.env, ETCDCTL_API: "3" }, encoding: "utf8" },
    ).stderr;
    const { members } = await one!.cluster.memberList();
    for (const { id } of members) expect(output).toContain(`"${parseMemberId(id).toString(16)}"`);
  }, 60_000);

  it("takes over users with their passwords and permissions, and requires them again", async () => {
    const source = await makePlace("guarded");
    processes.push(
      spawn("etcd", [...flagsOf(source), `--initial-cluster=guarded=${source.peer}`], { stdio: "ignore" }),
    );
    await readyClient(source);
    const ctl = (place: Place, ...args: string[]): string => etcdctl("--endpoints", place.client, ...args);
    for (const line of ["put k 1", "user add root:pw", "user grant-role root root", "user add ann:secret"]) {
      ctl(source, ...line.split(" "));
    }
    for (const line of ["role add r", "role grant-permission r read k", "user grant-role ann r", "auth enable"]) {
      ctl(source, ...line.split(" "));
    }
    const path = join(directory, "guarded.db");
    await expect(ours("save", "--endpoints", source.client, path)).rejects.toThrow(/user name is empty/);
    await expect(ours("save", "--endpoints", source.client, "--user=root:no", path)).rejects.toThrow(
      /log in as "root"/,
    );
    await ours("save", "--endpoints", source.client, "--user=root:pw", path);

    const place = await makePlace("taken");
    await ours("restore", path, ...restoreFlags(place), "--bump-revision=0");
    const config = createAgentConfig(readSettings(flagsOf(place), {}, () => ""));
    agents.push(await startAgent({ config, logger: pino({ level: "silent" }), onStopped: () => undefined }));
    await vi.waitFor(async () => expect((await fetch(`${place.client}/health`)).ok).toBe(true), { timeout: 10_000 });
    const run = (...args: string[]): Promise<string> => etcdctlAside("--endpoints", place.client, ...args);
    await expect(run("get", "k")).rejects.toThrow(/user name is empty/);
    expect(await run("--user=ann:secret", "get", "k")).toBe("k\n1\n");
    await expect(run("--user=ann:secret", "put", "k", "2")).rejects.toThrow(/permission denied/);
    await expect(ours("save", "--endpoints", place.client, "--user=ann:secret", path)).rejects.toThrow(
      /permission denied/,
    );

    const again = join(directory, "again.db");
    await ours("save", "--endpoints", place.client, "--user=root", "--password=pw", again);
    for (const bucket of ["auth", "authUsers", "authRoles"])
      expect(digestOf(again, bucket)).toBe(digestOf(path, bucket));
  }, 60_000);
});

describe("snapshot restore", () => {
  it("leaves nothing behind when the file is damaged or has no checksum", async () => {
    const place = await makePlace("refused");
    const whole = await smallSnapshot();
    const path = join(directory, "damaged.db");
    writeFileSync(path, whole);
    const before = readdirSync(directory).sort();
    for (const [bytes, words] of [
      [whole.subarray(0, whole.length - 32), /no SHA-256/],
      [Buffer.concat([whole.subarray(0, 5000), Buffer.from("x"), whole.subarray(5001)]), /SHA-256 should be/],
      [Buffer.alloc(0), /no valid meta page|no SHA-256/],
      [whole.subarray(0, 9000), /damaged|no SHA-256/],
    ] as const) {
      writeFileSync(path, bytes);
      await expect(ours("restore", path, ...restoreFlags(place))).rejects.toThrow(words);
      expect(readdirSync(directory).sort()).toEqual(before);
    }
  });
});
