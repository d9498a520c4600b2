/**
 * The guarantees of watches, on three live members during load, compactions, killed leaders, paused followers and
 * streams that break all the time. A longer or another run: `HAPLAN_WATCH_SECONDS=60 HAPLAN_WATCH_SEED=7`.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRandom, type Random } from "../../src/base/random.ts";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect, type GrpcClient } from "../../src/etcd-client/grpc-client.ts";
import { GrpcError } from "../../src/etcd-client/grpc-error.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { WatchFilter } from "../../src/raft-agent/api/watch.ts";
import { type ClusterProcesses, leadingMember, startCluster } from "./member-processes.ts";
import { judge, type WriteLog, type WrittenKey } from "./watch-history.ts";
import { follow, type WatchFollower, type WatchInterest, WatchJournal } from "./watch-journal.ts";

const host = "127.77.24.4";
const seconds = Number(process.env["HAPLAN_WATCH_SECONDS"] ?? 6);
const seed = Number(process.env["HAPLAN_WATCH_SEED"] ?? 1);
const memberFlags = [
  "--heartbeat-interval=50",
  "--election-timeout=500",
  "--snapshot-count=200",
  "--snapshot-catchup-entries=50",
];
const writerCount = 4;
const writtenKeys = Array.from({ length: 8 }, (_, at) => `w/${at}`);
/** It is not watched. */
const fenceKey = "fence";
const callMs = 1_500;
/** So much that a client that does not read for a moment fills its window. */
const padding = "x".repeat(1_000);

const interests: readonly WatchInterest[] = [
  { name: "all", key: "w/", rangeEnd: "w0", filters: [], prevKv: false },
  { name: "all with previous", key: "w/", rangeEnd: "w0", filters: [], prevKv: true },
  { name: "one key", key: "w/3", rangeEnd: "", filters: [], prevKv: true },
  { name: "half", key: "w/2", rangeEnd: "w/5", filters: [], prevKv: false },
  { name: "no puts", key: "w/", rangeEnd: "w0", filters: [WatchFilter.noPut], prevKv: true },
  { name: "no deletes", key: "w/", rangeEnd: "w0", filters: [WatchFilter.noDelete], prevKv: false },
];

/** Writes until it is stopped, and records the outcome. */
class Writers {
  readonly acknowledged = new Map<number, WrittenKey[]>();
  readonly unknown = new Set<string>();
  readonly #clients: readonly EtcdClient[];
  #count = 0;
  compacted = 0;

  constructor(clients: readonly GrpcClient[]) {
    this.#clients = clients.map((client) => new EtcdClient(client, { timeoutMs: callMs }));
  }

  async run(random: Random, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const client = this.#clients[random.below(this.#clients.length)]!;
      const first = random.below(writtenKeys.length);
      const keys = [
        writtenKeys[first]!,
        writtenKeys[(first + 1 + random.below(writtenKeys.length - 1)) % writtenKeys.length]!,
      ];
      const kind = random.below(10);
      if (kind < 6) await this.#put(client, keys[0]!);
      else if (kind < 8) await this.#remove(client, keys[0]!);
      else await this.#txn(client, keys);
    }
  }

  async compact(revision: number): Promise<void> {
    const client = this.#clients[0]!;
    await client.compact(revision).then(
      () => (this.compacted = Math.max(this.compacted, revision)),
      // Unknown whether it was done.
      () => (this.compacted = Math.max(this.compacted, revision)),
    );
  }

  /** Writes once more, whatever it takes, and returns its revision. */
  async fence(): Promise<number> {
    const before = this.acknowledged.size;
    while (this.acknowledged.size === before) await this.#put(this.#clients[this.#count % 3]!, fenceKey);
    return Math.max(...this.acknowledged.keys());
  }

  #value(): string {
    return `v${this.#count++} ${padding}`;
  }

  #note(revision: number | undefined, keys: WrittenKey[]): void {
    if (revision !== undefined && keys.length > 0) this.acknowledged.set(revision, keys);
  }

  async #put(client: EtcdClient, key: string): Promise<void> {
    const value = this.#value();
    await client.put(key, value).then(
      ({ header }) => this.#note(header?.revision, [{ key, value }]),
      () => this.unknown.add(value),
    );
  }

  async #remove(client: EtcdClient, key: string): Promise<void> {
    await client.deleteRange(key).then(
      ({ header, deleted }) => this.#note(header?.revision, deleted > 0 ? [{ key, value: null }] : []),
      () => undefined,
    );
  }

  async #txn(client: EtcdClient, keys: readonly string[]): Promise<void> {
    const values = keys.map(() => this.#value());
    const flags = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
    const success = keys.map((key, at) => ({
      kind: "put" as const,
      request: { key: Buffer.from(key), value: Buffer.from(values[at]!), ...flags },
    }));
    await client.txn({ compare: [], success, failure: [] }).then(
      ({ header }) =>
        this.#note(
          header?.revision,
          keys.map((key, at) => ({ key, value: values[at]! })),
        ),
      () => {
        for (const value of values) this.unknown.add(value);
      },
    );
  }
}

describe("watches on live members", () => {
  let cluster: ClusterProcesses;
  let clients: readonly GrpcClient[];
  /** On connections of their own: a client that does not read there blocks no other client. */
  let slowClients: readonly GrpcClient[];
  const connectAll = (): GrpcClient[] =>
    cluster.urls.map((url) => connect({ endpoints: [url], connectTimeoutMs: 500 }));
  beforeAll(async () => {
    cluster = await startCluster("agent", host, { members: 3, flags: memberFlags });
    [clients, slowClients] = [connectAll(), connectAll()];
  });
  afterAll(async () => {
    await Promise.all([...clients, ...slowClients].map((client) => client.close()));
    await cluster?.stop();
  });

  /** How often a member was paused or killed. */
  let disturbances = 0;

  async function disturb(random: Random, writers: Writers, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await new Promise((resolve) => setTimeout(resolve, 300 + random.below(500)));
      const kind = random.below(6);
      const member = random.below(2) === 0 ? await leadingMember(cluster) : random.below(3);
      // Compactions continue during every disturbance.
      await writers.compact(Math.max(...writers.acknowledged.keys()) - random.below(60));
      if (kind < 2) continue;
      if (kind < 4) {
        cluster.pause(member);
        await new Promise((resolve) => setTimeout(resolve, 200 + random.below(800)));
        cluster.resume(member);
      } else {
        await cluster.kill(member);
        await cluster.restart(member);
      }
      disturbances++;
    }
  }

  it(`keep their guarantees with seed ${seed}`, { timeout: seconds * 5_000 + 60_000 }, async () => {
    const random = createRandom(seed);
    const writers = new Writers(clients);
    const start = await writers.fence();
    const endMs = Date.now() + seconds * 1_000;
    // On a slow machine a single restart may take all the time there is.
    const isOver = (): boolean => Date.now() > endMs && disturbances >= 2;
    let end: number | null = null;
    const until = (): number | null => (end === null ? null : end + 1);
    const [alone, together] = ["alone", "together"].map((kind) =>
      interests.map((interest) => new WatchJournal({ ...interest, name: `${interest.name}, ${kind}` }, start + 1)),
    ) as [WatchJournal[], WatchJournal[]];
    const journals = [...alone, ...together];
    const followers: WatchFollower[] = [
      ...alone.map((journal) => ({ journals: [journal], clients, isSlow: false })),
      { journals: together, clients: slowClients, isSlow: true },
    ];
    const following = followers.map((one) => follow(one, createRandom(random.below(1e9)), until));
    const writing = Array.from({ length: writerCount }, () => writers.run(createRandom(random.below(1e9)), isOver));
    const disturbing = disturb(createRandom(random.below(1e9)), writers, isOver);
    await Promise.all([disturbing, ...writing]);
    end = await writers.fence();
    await Promise.all(following);

    const log = await finish(writers, start, end);
    const faults = judge(log, journals);
    expect(faults.slice(0, 20), `${faults.length} broken promises, seed ${seed}`).toEqual([]);
    const events = journals.reduce((sum, journal) => sum + journal.events.length, 0);
    const streams = journals.reduce((sum, journal) => sum + journal.streams, 0);
    expect([events > 200, streams > journals.length]).toEqual([true, true]);
  });

  async function finish(writers: Writers, start: number, end: number): Promise<WriteLog> {
    const { kvs } = await readAll(end);
    const watched = [...writers.acknowledged].filter(
      ([revision, [first]]) => revision > start && first?.key !== fenceKey,
    );
    const acknowledged = new Map(watched);
    const finalValues = new Map(kvs.map((kv) => [Buffer.from(kv.key).toString(), Buffer.from(kv.value).toString()]));
    return { acknowledged, unknown: writers.unknown, lastRevision: end, compacted: writers.compacted, finalValues };
  }

  async function readAll(revision: number): Promise<{ kvs: ReturnType<typeof decodeKeyValue>[] }> {
    for (const client of [...clients, ...clients, ...clients]) {
      try {
        const all = { rangeEnd: Buffer.from("w0"), revision };
        const { kvs } = await new EtcdClient(client, { timeoutMs: callMs }).range("w/", all);
        return { kvs: kvs.map((kv) => decodeKeyValue(kv)) };
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
      }
    }
    throw new Error("no member answers");
  }
});
