/**
 * One watcher as its client sees it: it resumes after the last revision that it knows to be complete, on any member,
 * and records what it received. Guarantees that can be checked with one watcher alone are checked at once; what needs
 * the whole history is left to `watch-history.ts`.
 */

import type { Random } from "../../src/base/random.ts";
import type { GrpcClient } from "../../src/etcd-client/grpc-client.ts";
import { decodeKeyValue, type KeyValue } from "../../src/raft-agent/api/key-value.ts";
import { decodeWatchResponse, encodeWatchRequest, type WatchResponse } from "../../src/raft-agent/api/watch.ts";

export type SeenEvent = {
  readonly revision: number;
  readonly key: string;
  /** Null for a delete. */
  readonly put: KeyValue | null;
  readonly previous: KeyValue | null;
};

export type WatchInterest = {
  readonly name: string;
  readonly key: string;
  readonly rangeEnd: string;
  readonly filters: readonly number[];
  readonly prevKv: boolean;
};

/** Where the watcher could not resume, since the history had been compacted: it knows nothing of [from, to). */
type Gap = { readonly from: number; readonly to: number };

const path = "/etcdserverpb.Watch/Watch";
const askProgressMs = 100;
/** The watch id of responses that are for the whole stream. */
const forAll = -1;

export class WatchJournal {
  readonly interest: WatchInterest;
  readonly events: SeenEvent[] = [];
  readonly gaps: Gap[] = [];
  readonly faults: string[] = [];
  streams = 0;
  /** The first revision that may be incomplete. */
  next: number;
  readonly startRevision: number;

  constructor(interest: WatchInterest, startRevision: number) {
    this.interest = interest;
    this.startRevision = startRevision;
    this.next = startRevision;
  }

  /** What its watcher requests on a new stream. */
  request(watchId: number): Uint8Array {
    const { key, rangeEnd, filters, prevKv } = this.interest;
    const bytes = { key: Buffer.from(key), rangeEnd: Buffer.from(rangeEnd) };
    const rest = { progressNotify: true, watchId, fragment: false, startRevision: this.next };
    return encodeWatchRequest({ kind: "create", request: { ...bytes, filters, prevKv, ...rest } });
  }

  take(response: WatchResponse): void {
    if (response.canceled) {
      this.#takeCancel(response);
      return;
    }
    if (response.created) return;
    const revision = response.header?.revision ?? 0;
    if (response.events.length === 0) this.#takeProgress(revision);
    else this.#takeEvents(response);
  }

  #takeCancel({ compactRevision, cancelReason }: WatchResponse): void {
    if (compactRevision <= this.next) {
      this.faults.push(`cancelled at ${this.next} although ${compactRevision} is compacted: ${cancelReason}`);
      return;
    }
    this.gaps.push({ from: this.next, to: compactRevision });
    this.next = compactRevision;
    throw new Error("begins anew behind the compaction");
  }

  /** Bookmarkable: everything up to here has been received. */
  #takeProgress(revision: number): void {
    if (revision < this.next - 1) this.faults.push(`progress ${revision} behind ${this.next - 1}, which was complete`);
    this.next = Math.max(this.next, revision + 1);
  }

  /** Atomic: a revision is complete in one response, so that after it the next one is due. */
  #takeEvents(response: WatchResponse): void {
    let last = 0;
    for (const event of response.events) {
      const kv = decodeKeyValue(event.kv!);
      const revision = kv.modRevision;
      if (revision < this.next) this.faults.push(`revision ${revision} repeated or late: ${this.next} was due`);
      if (revision < last) this.faults.push(`revision ${revision} follows ${last}`);
      last = revision;
      const key = Buffer.from(kv.key).toString();
      const previous = event.prevKv === undefined ? null : decodeKeyValue(event.prevKv);
      this.events.push({ revision, key, put: event.type === 0 ? kv : null, previous });
    }
    this.next = last + 1;
  }
}

/** Returns null while it is not decided; then the first revision that need not be waited for. */
type Until = () => number | null;

/** Watchers of one client, which share a stream. */
export type WatchFollower = {
  readonly journals: readonly WatchJournal[];
  /** One for each member. */
  readonly clients: readonly GrpcClient[];
  /** Stops reading now and then, until the member has to wait. */
  readonly isSlow: boolean;
};

/** Follows, with one stream after the other on any member, until everything has been received. */
export async function follow(follower: WatchFollower, random: Random, until: Until): Promise<void> {
  const { journals, clients } = follower;
  while (!knowsAll(journals, until)) {
    const lifeMs = 200 + random.below(1_500);
    await followOnce(follower, clients[random.below(clients.length)]!, random, lifeMs, until).catch(() => {});
    await sleep(random.below(40));
  }
}

function knowsAll(journals: readonly WatchJournal[], until: Until): boolean {
  const end = until() ?? Number.POSITIVE_INFINITY;
  return journals.every(({ next }) => next >= end);
}

async function followOnce(
  { journals, isSlow }: WatchFollower,
  client: GrpcClient,
  random: Random,
  lifeMs: number,
  until: Until,
): Promise<void> {
  const abort = new AbortController();
  const timers = [setTimeout(() => abort.abort(), lifeMs)];
  const stream = await client.stream(path, { signal: abort.signal, metadata: { hasleader: "true" } });
  try {
    for (const [at, journal] of journals.entries()) {
      journal.streams++;
      await stream.send(journal.request(at + 1));
    }
    const ask = (): void => void stream.send(encodeWatchRequest({ kind: "progress" })).catch(() => {});
    timers.push(setInterval(ask, askProgressMs));
    for await (const message of stream) {
      const response = decodeWatchResponse(message);
      // A response for the whole stream applies to every watcher on it.
      const concerned = response.watchId === forAll ? journals : [journals[response.watchId - 1]!];
      for (const journal of concerned) journal.take(response);
      if (knowsAll(journals, until)) return;
      if (isSlow && random.below(10) === 0) await sleep(random.below(200));
    }
  } finally {
    for (const timer of timers) clearTimeout(timer);
    stream.cancel();
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
