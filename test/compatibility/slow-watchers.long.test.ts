/**
 * Two thousand watchers of a member beside ten that do not read: the former get events as quickly as those of a member
 * without stalled watchers, the member does not buffer what the latter have not read, and once they read they receive
 * everything, or a compaction error. Part of the long tests; the figures are printed.
 *
 * A second member beside it, with the same load, shows what the machine itself takes.
 */
import { describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { decodeWatchResponse, encodeWatchRequest, watchCreateRequest } from "../../src/raft-agent/api/watch.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";

const host = "127.77.46.2";
const watchers = 2_000;
const sleeperCount = 10;
const rounds = 15;
/** Until then the stalled clients still read some of what arrives. */
const settlingRounds = 5;
const putsPerRound = 100;
const value = Buffer.alloc(100_000, "x");
const path = "/etcdserverpb.Watch/Watch";

const watchFrom = (key: string, end: string): Uint8Array =>
  encodeWatchRequest({
    kind: "create",
    request: watchCreateRequest(Buffer.from(key), { rangeEnd: Buffer.from(end) }),
  });

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** A member, and a stream with two thousand watchers that read. */
class WatchedMember {
  readonly client: EtcdClient;
  readonly lagsMs: number[] = [];
  readonly #url: string;
  readonly #messages: AsyncIterator<Buffer>;

  static async open(url: string): Promise<WatchedMember> {
    const client = new EtcdClient(connect({ endpoints: [url] }), { timeoutMs: 60_000 });
    const stream = await client.grpc.stream(path);
    for (let at = 0; at < watchers; at++) await stream.send(watchFrom("crowd/", "crowd0"));
    const messages = stream[Symbol.asyncIterator]();
    for (let created = 0; created < watchers; created++) await messages.next();
    return new WatchedMember(url, client, messages);
  }

  private constructor(url: string, client: EtcdClient, messages: AsyncIterator<Buffer>) {
    this.#url = url;
    this.client = client;
    this.#messages = messages;
  }

  /** Puts what all watchers wait for; returns how many events were sent until all had received it. */
  async tick(): Promise<number> {
    const sentMs = performance.now();
    await this.client.put("crowd/tick", "");
    let heard = 0;
    while (heard < watchers) heard += decodeWatchResponse((await this.#messages.next()).value).events.length;
    this.lagsMs.push(performance.now() - sentMs);
    return heard;
  }

  /** Ten megabytes that only the stalled watchers watch. */
  async load(): Promise<void> {
    const writer = async (first: number): Promise<void> => {
      for (let at = first; at < putsPerRound; at += 8) await this.client.put(`crowd0/${at % 10}`, value);
    };
    await Promise.all(Array.from({ length: 8 }, (_, first) => writer(first)));
  }

  async residentBytes(): Promise<number> {
    const page = await (await fetch(`${this.#url}/metrics`)).text();
    return Number(/^process_resident_memory_bytes (\S+)$/m.exec(page)?.[1]);
  }
}

/** Watches on a connection of its own, and does not read until `wake` is called, which returns what arrived. */
async function openSleeper(url: string): Promise<{ wake: () => Promise<Received>; close: () => Promise<void> }> {
  const client = connect({ endpoints: [url] });
  const stream = await client.stream(path);
  await stream.send(watchFrom("crowd/", "crowd1"));
  return { wake: () => readUntilEnd(stream), close: () => client.close() };
}

/** The revisions that a stalled watcher received, in that order, and where its watch was cancelled. */
type Received = { readonly revisions: number[]; readonly compactRevision: number | null };

/** Reads up to the key `crowd0/end`, or to the cancel. */
async function readUntilEnd(stream: AsyncIterable<Buffer>): Promise<Received> {
  const revisions: number[] = [];
  for await (const message of stream) {
    const { events, canceled, compactRevision } = decodeWatchResponse(message);
    if (canceled) return { revisions, compactRevision };
    for (const { kv } of events) {
      const { key, modRevision } = decodeKeyValue(kv!);
      revisions.push(modRevision);
      if (Buffer.from(key).toString() === "crowd0/end") return { revisions, compactRevision: null };
    }
  }
  throw new Error("the stream ended");
}

const from = (first: number, count: number): number[] => Array.from({ length: count }, (_, at) => first + at);

describe("stalled watchers", () => {
  it("delay no other watcher, take no memory, and receive everything once they read", {
    timeout: 300_000,
  }, async () => {
    const members: ClusterProcesses[] = [];
    const sleepers: Awaited<ReturnType<typeof openSleeper>>[] = [];
    try {
      for (let at = 0; at < 2; at++) members.push(await startCluster("agent", host, { members: 1 }));
      const urls = members.map((member) => member.urls[0]!);
      const [slept, control] = [await WatchedMember.open(urls[0]!), await WatchedMember.open(urls[1]!)];
      const both = [slept, control];
      // The log's part in memory is full before anything is measured.
      for (let round = 0; round < rounds; round++) for (const member of both) await member.load();
      const before = await Promise.all(both.map((member) => member.residentBytes()));
      for (let at = 0; at < sleeperCount; at++) sleepers.push(await openSleeper(urls[0]!));
      const { header } = await slept.client.put("before", "");
      for (let round = 0; round < rounds; round++) {
        if (round === settlingRounds) for (const member of both) member.lagsMs.length = 0;
        for (const member of both) {
          expect(await member.tick()).toBe(watchers);
          await member.load();
        }
      }
      const after = await Promise.all(both.map((member) => member.residentBytes()));
      const [grown, grownBeside] = after.map((bytes, at) => Math.round((bytes - before[at]!) / 1e6));
      const [lagMs, lagBesideMs] = both.map((member) => median(member.lagsMs));
      console.log(
        `${watchers} watchers heard a put within ${Math.round(lagMs!)} ms (median), ${Math.round(lagBesideMs!)} ms without sleepers; ` +
          `while ${rounds * 10} MB waited for each of ${sleeperCount}, the member grew by ${grown} MB, without them by ${grownBeside} MB`,
      );
      expect(lagMs).toBeLessThan(2 * lagBesideMs!);
      expect(grown).toBeLessThan(grownBeside! + 100);

      const first = header!.revision + 1;
      const { header: end } = await slept.client.put("crowd0/end", "");
      const received = await sleepers[0]!.wake();
      expect(received).toEqual({ revisions: from(first, end!.revision - header!.revision), compactRevision: null });
      await slept.client.compact(end!.revision);
      const overtaken = await sleepers[1]!.wake();
      expect(overtaken.compactRevision).toBe(end!.revision);
      expect(overtaken.revisions).toEqual(from(first, overtaken.revisions.length));
    } finally {
      await Promise.all(sleepers.map((sleeper) => sleeper.close()));
      await Promise.all(members.map((member) => member.stop()));
    }
  });
});
