/**
 * Files of one member of three that were changed, truncated or removed while it was stopped: it gets the state of the
 * others, or fails to start and logs the reason; the others keep serving, and nothing is lost. With
 * InitialCorruptCheck no client ever reads damaged data. Part of the long tests.
 */
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdClient, prefixEnd } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";

const host = "127.77.46.3";
const flags = [
  "--heartbeat-interval=50",
  "--election-timeout=500",
  "--corrupt-check-time=500ms",
  "--snapshot-count=100",
  "--snapshot-catchup-entries=20",
];
const victim = 1;
const keys = 300;
const withinMs = 20_000;

/** Flips one bit wherever `text` occurs in the file, `offset` bytes after its start. */
function flip(path: string, text: string, offset: number): void {
  const bytes = readFileSync(path);
  const places: number[] = [];
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) places.push(at + offset);
  expect(places.length).toBeGreaterThan(0);
  for (const place of places) bytes[place]! ^= 1;
  writeFileSync(path, bytes);
}

function cutInHalf(path: string): void {
  truncateSync(path, Math.floor(statSync(path).size / 2));
}

/** Where the log's last record ends: what follows is zero. */
function writtenBytes(path: string): number {
  const bytes = readFileSync(path);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

function flipAt(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset]! ^= 0x10;
  writeFileSync(path, bytes);
}

describe("a member whose files are damaged", () => {
  let cluster: ClusterProcesses;
  let clients: EtcdClient[];
  const expected = new Map<string, string>();
  beforeAll(async () => {
    cluster = await startCluster("agent", host, { members: 3, flags: flags });
    clients = cluster.urls.map((url) => new EtcdClient(connect({ endpoints: [url] }), { timeoutMs: 10_000 }));
    for (let at = 0; at < keys; at++) await put(0, `k/${at}`, `value ${at} ${"x".repeat(200)}`);
  });
  afterAll(async () => {
    await Promise.all(clients.map(({ grpc }) => grpc.close()));
    await cluster.stop();
  });

  async function put(member: number, key: string, value: string): Promise<void> {
    await clients[member]!.put(key, value);
    expected.set(key, value);
  }

  /** The member's own data, read without contacting the leader. */
  async function contentOf(member: number): Promise<Map<string, string>> {
    const { kvs } = await clients[member]!.range("k/", { rangeEnd: prefixEnd("k/"), serializable: true });
    const pairs = kvs.map((kv) => decodeKeyValue(kv));
    return new Map(pairs.map(({ key, value }) => [Buffer.from(key).toString(), Buffer.from(value).toString()]));
  }

  async function untilContentIsRight(member: number): Promise<void> {
    const deadlineMs = Date.now() + withinMs;
    const isRight = async (): Promise<boolean> => {
      const content = await contentOf(member).catch(() => new Map<string, string>());
      return content.size === expected.size && [...expected].every(([key, value]) => content.get(key) === value);
    };
    while (!(await isRight())) {
      if (Date.now() > deadlineMs) expect(await contentOf(member)).toEqual(expected);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  const files = () => {
    const directory = join(cluster.dataDir(victim), "member");
    const log = join(directory, "wal");
    const segments = readdirSync(log).filter((name) => name.endsWith(".log"));
    return {
      directory,
      store: join(directory, "snap", "store.mdb"),
      log: segments.sort().map((name) => join(log, name)),
    };
  };

  it.each([
    ["a value", () => flip(files().store, "value 17 ", 6)],
    ["a key", () => flip(files().store, "k/17", 2)],
  ])("gets the state of the others when a bit of %s has changed", { timeout: 60_000 }, async (name, damage) => {
    await cluster.terminate(victim);
    damage();
    await cluster.restart(victim);
    // The comparison needs a new revision, and writes are rejected while the alarm is active.
    await expect.poll(() => put(0, `k/behind ${name}`, "new").catch(String), { timeout: withinMs }).toBeUndefined();
    await untilContentIsRight(victim);
    await expect.poll(() => put(victim, `k/after ${name}`, "new").catch(String), { timeout: withinMs }).toBeUndefined();
  });

  it.each([
    ["the store is cut off", () => cutInHalf(files().store), /so it was truncated/],
    ["the store is gone", () => rmSync(files().store), /the log starts after the snapshot/],
    ["a segment of the log is gone", () => rmSync(files().log[0]!), /there is no log in|Cannot recover the log/],
    ["the log is gone", () => rmSync(join(files().directory, "wal"), { recursive: true }), /but there is no log in/],
    [
      "the log has changed in its middle",
      () => flipAt(files().log[0]!, writtenBytes(files().log[0]!) / 2),
      /damaged batch/,
    ],
    ["the log has changed at its end", () => flipAt(files().log.at(-1)!, 100), /Cannot recover the log/],
    ["the log is cut off", () => truncateSync(files().log.at(-1)!, 60), /Cannot recover the log/],
  ])(
    "fails to start when %s, and continues once the files are restored",
    { timeout: 60_000 },
    async (name, damage, text) => {
      await cluster.terminate(victim);
      const { directory } = files();
      cpSync(directory, `${directory}.kept`, { recursive: true });
      damage();
      const failure = await cluster.startFailure(victim);
      expect(failure).toMatch(text);
      expect(failure).toContain("ended with 1");
      await put(0, `k/without it: ${name}`, "new");
      rmSync(directory, { recursive: true });
      cpSync(`${directory}.kept`, directory, { recursive: true });
      rmSync(`${directory}.kept`, { recursive: true });
      await cluster.restart(victim);
      await untilContentIsRight(victim);
    },
  );
});

describe("a member that is compared before it serves", () => {
  const flag = "--feature-gates=InitialCorruptCheck=true";
  let cluster: ClusterProcesses;
  let clients: EtcdClient[];
  beforeAll(async () => {
    cluster = await startCluster("agent", host, {
      members: 3,
      flags: ["--heartbeat-interval=50", "--election-timeout=500"],
    });
    clients = cluster.urls.map((url) => new EtcdClient(connect({ endpoints: [url] }), { timeoutMs: 2_000 }));
    for (let at = 0; at < 20; at++) await clients[0]!.put(`k/${at}`, `value ${at} ${"x".repeat(20)}`);
  });
  afterAll(async () => {
    await Promise.all(clients.map(({ grpc }) => grpc.close()));
    await cluster.stop();
  });

  /** The member's own data; null while it does not respond. */
  async function valueAt(member: number): Promise<string | null> {
    const answer = await clients[member]!.range("k/17", { serializable: true }).catch(() => null);
    const [kv] = answer?.kvs ?? [];
    return kv === undefined ? null : Buffer.from(decodeKeyValue(kv).value).toString();
  }

  /** Everything that clients read from the member until `starting` has settled. */
  async function valuesDuring(member: number, starting: Promise<void>): Promise<Set<string>> {
    const seen = new Set<string>();
    let isStarting = true;
    const started = starting.finally(() => {
      isStarting = false;
    });
    while (isStarting) {
      const value = await valueAt(member);
      if (value !== null) seen.add(value);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await started;
    return seen.add((await valueAt(member))!);
  }

  const damage = (member: number) => flip(join(cluster.dataDir(member), "member/snap/store.mdb"), "value 17 ", 6);
  const logFile = (member: number) => join(cluster.dataDir(member), "log");
  const start = (member: number) => cluster.restart(member, [flag, `--log-outputs=${logFile(member)}`]);
  /** The hashes of all members at the same revision; equal ones once. */
  async function hashes(): Promise<Set<unknown>> {
    const { header } = await clients[0]!.range("k/17");
    const body = JSON.stringify({ revision: String(header!.revision) });
    const asked = cluster.urls.map((url) => fetch(`${url}/v3/maintenance/hash`, { method: "POST", body }));
    const answers = await Promise.all(asked.map(async (answer) => (await answer).json() as Promise<{ hash?: number }>));
    return new Set(answers.map(({ hash }) => hash));
  }
  const right = `value 17 ${"x".repeat(20)}`;

  it("never shows a damaged value, and gets the state of the others first", { timeout: 60_000 }, async () => {
    await cluster.terminate(victim);
    damage(victim);
    await cluster.restart(victim);
    expect(await valueAt(victim)).not.toBe(right);
    await cluster.terminate(victim);
    expect(await valuesDuring(victim, start(victim))).toEqual(new Set([right]));
    expect(readFileSync(logFile(victim), "utf8")).toMatch(
      /not serving clients until it is repaired.*was repaired and agrees.*ready to serve client requests/s,
    );
    expect(await hashes()).toEqual(new Set([expect.any(Number)]));
    await clients[victim]!.put("k/after", "new");
  });

  it("never shows a damaged value when all members start", { timeout: 60_000 }, async () => {
    const members = [0, 1, 2];
    for (const member of members) await cluster.terminate(member);
    damage(victim);
    const seen = await Promise.all(members.map((member) => valuesDuring(member, start(member))));
    expect(seen).toEqual(members.map(() => new Set([right])));
    expect(await hashes()).toEqual(new Set([expect.any(Number)]));
    await expect
      .poll(() => clients[0]!.put("k/last", "new").catch(String), { timeout: withinMs })
      .not.toBeTypeOf("string");
  });

  it("serves its data when there is no member to compare with", { timeout: 60_000 }, async () => {
    for (const member of [0, 1, 2]) await cluster.terminate(member);
    const starting = start(0);
    await expect.poll(() => valueAt(0), { timeout: withinMs }).toBe(right);
    expect(readFileSync(logFile(0), "utf8")).toContain("no majority was found to compare this member's data with");
    await Promise.all([starting, start(1), start(2)]);
    expect(await hashes()).toEqual(new Set([expect.any(Number)]));
  });
});
