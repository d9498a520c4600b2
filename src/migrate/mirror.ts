/**
 * Follows a cluster: makes every one of its revisions once more in the copy, in their order, under the same number. The
 * copy starts from a snapshot at a revision, with that revision. It has one writer, which is this.
 */
import { systemClock } from "../base/clock.ts";
import type { EtcdClient } from "../etcd-client/etcd-client.ts";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { decodeKeyValue } from "../raft-agent/api/key-value.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import { emptyBytes } from "../raft-agent/api/wire.ts";
import { currentRevision, leaseFacts } from "./cluster-calls.ts";
import type { ClusterEnd } from "./cluster-end.ts";
import { DivergedError } from "./copy-error.ts";
import { LeaseMirror } from "./lease-mirror.ts";
import { type Change, type Deletion, type RevisionChanges, replayRequest, revisionsOf } from "./replay-revision.ts";

/** etcd's limit of operations in a transaction. */
const operationsMax = 128;
const attemptTimeoutMs = 5_000;
const retryPauseMs = 100;
const failuresMax = 100;
/** How many revisions are under way at once. */
const windowMax = 64;
/** How many may wait. */
const waitingMax = 2_000;
const idlePauseMs = 2;
const leasePauseMs = 300;
const everyKey = Buffer.from([0]);

export class Mirror implements AsyncDisposable {
  readonly #source: ClusterEnd;
  readonly #target: ClusterEnd;
  readonly #leases: LeaseMirror;
  readonly #stop = new AbortController();
  #applied: number;
  /** The revision that was copied last; null at the start. */
  #last: RevisionChanges | null = null;
  /** The last revision that the source has sent. */
  #received: number;
  /** Revisions of the source that are not copied yet: while some are being copied, others arrive. */
  readonly #waiting: RevisionChanges[] = [];
  #leaderClient: EtcdClient | null = null;
  #running: Promise<unknown> = Promise.resolve();
  #failure: unknown = undefined;
  /** Changes of the copy, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(source: ClusterEnd, target: ClusterEnd, applied: number) {
    this.#source = source;
    this.#target = target;
    this.#applied = applied;
    this.#received = applied;
    this.#leases = new LeaseMirror(source, target);
  }

  /**
   * Continues where the copy is. `from`: the revision of its snapshot, or of the last moment at which both were equal.
   * @throws DivergedError if the copy has what the source has not
   */
  static async start(source: ClusterEnd, target: ClusterEnd, from: number): Promise<Mirror> {
    const applied = await currentRevision(target);
    const ahead = await currentRevision(source);
    if (applied < from || applied > ahead)
      throw new DivergedError(`The copy is at revision ${applied}, between ${from} and ${ahead} was expected`);
    const mirror = new Mirror(source, target, applied);
    await mirror.#leases.start();
    const fail = (error: unknown): void => {
      mirror.#failure ??= error;
      mirror.#stop.abort();
    };
    mirror.#running = Promise.all(
      [mirror.#follow(), mirror.#copy(), mirror.#keepLeases()].map((running) => running.catch(fail)),
    );
    return mirror;
  }

  /** The last revision that the copy has. */
  get applied(): number {
    return this.#applied;
  }

  get leases(): number {
    return this.#leases.count;
  }

  /** @throws what has ended it */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Once the copy has this revision. @throws what has ended it; Error after `timeoutMs` */
  async reached(revision: number, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (this.#applied < revision) {
      this.check();
      if (performance.now() > deadlineMs)
        throw new Error(`the copy is at revision ${this.#applied}, and did not reach ${revision} in ${timeoutMs} ms`);
      await pause(2);
    }
  }

  /** Grants and revokes what differs. With the source frozen both have the same leases afterwards. */
  alignLeases(): Promise<void> {
    return this.#leases.align((act) => this.#exclusively(act));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#turn.catch(() => undefined);
  }

  async #keepLeases(): Promise<void> {
    for (let i = 0; !this.#stop.signal.aborted; i++) {
      await this.#leases.renewDue();
      if (i % 3 === 0) await this.alignLeases();
      await pause(leasePauseMs, this.#stop.signal);
    }
  }

  async #copy(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      if (this.#waiting.length === 0) await pause(idlePauseMs, this.#stop.signal);
      else await this.#exclusively(() => this.#replay(this.#waiting.splice(0, windowMax)));
    }
  }

  /** The source sends no more than this is able to copy. */
  async #hasRoom(): Promise<void> {
    while (this.#waiting.length > waitingMax && !this.#stop.signal.aborted)
      await pause(retryPauseMs, this.#stop.signal);
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const more = { rangeEnd: everyKey, startRevision: this.#received + 1 };
        for await (const { events } of this.#source.client.watch(everyKey, more, signal)) {
          if (signal.aborted) return;
          const revisions = revisionsOf(events).filter(({ revision }) => revision > this.#received);
          this.#waiting.push(...revisions);
          this.#received = revisions.at(-1)?.revision ?? this.#received;
          await this.#hasRoom();
        }
      } catch (error) {
        if (error instanceof GrpcError && error.code === StatusCode.outOfRange)
          throw new DivergedError(`The source has compacted what the copy at revision ${this.#applied} lacks`);
        // No member accepts connections, or the token is no longer accepted: the watch is opened again.
        if (!(error instanceof GrpcError)) throw error;
        await pause(retryPauseMs, signal);
      }
    }
  }

  /** In order, several at once: a copy of three members commits many in the time that it needs for one. */
  async #replay(revisions: readonly RevisionChanges[]): Promise<void> {
    let left = revisions.filter(({ revision }) => revision > this.#applied);
    for (let failures = 0; left.length > 0; left = left.filter(({ revision }) => revision > this.#applied)) {
      const [first] = left;
      if (first!.revision !== this.#applied + 1)
        throw new DivergedError(`Revision ${first!.revision} of the source follows ${this.#applied}: one is missing`);
      const before = this.#applied;
      if (isLarge(first!)) await this.#replayLarge(first!);
      else await this.#replayWindow(left.slice(0, windowEnd(left)));
      if (this.#applied > before) failures = 0;
      else if (++failures > failuresMax) throw new Error(`the copy does not take revision ${first!.revision}`);
      else await pause(retryPauseMs);
    }
  }

  async #replayWindow(window: readonly RevisionChanges[]): Promise<void> {
    for (const { changes } of window) for (const { kv } of changes) await this.#leases.ensure(kv.lease);
    const client = (await this.#leader()).within(attemptTimeoutMs);
    const requests = window.map((changes, at) => replayRequest(changes, { after: window[at - 1] ?? this.#last }));
    const results = await Promise.allSettled(requests.map((request) => client.txn(request)));
    const rejected = results.find((result) => result.status === "rejected");
    if (rejected !== undefined && !mayRepeat(rejected.reason)) throw rejected.reason;
    const last = results.at(-1)!;
    const isDone = last.status === "fulfilled" && last.value.succeeded;
    if (rejected !== undefined) this.#leaderClient = null;
    // Whatever has been lost: those that were made are the first ones, and the copy knows how many.
    const now = isDone ? (last.value.header?.revision ?? 0) : await currentRevision(this.#target);
    this.#advance(now, window);
  }

  /** @throws DivergedError unless the copy is at `now` by revisions of `window` alone */
  #advance(now: number, window: readonly RevisionChanges[]): void {
    const reached = window.find(({ revision }) => revision === now);
    if (reached === undefined && now !== this.#applied)
      throw new DivergedError(`The copy is at revision ${now}, and ${window.at(-1)!.revision} was expected`);
    this.#last = reached ?? this.#last;
    this.#applied = now;
  }

  /** A follower would only send it on. */
  async #leader(): Promise<EtcdClient> {
    this.#leaderClient ??= await leaderOf(this.#target);
    return this.#leaderClient;
  }

  async #replayLarge(changes: RevisionChanges): Promise<void> {
    for (const { kv } of changes.changes) await this.#leases.ensure(kv.lease);
    const make = await this.#reduce(changes);
    await make().catch((error: unknown) => {
      if (!mayRepeat(error)) throw error;
    });
    this.#advance(await currentRevision(this.#target), [changes]);
  }

  /** More changes than a transaction may have are the deletion of a range, or the end of a lease. */
  async #reduce(changes: RevisionChanges): Promise<() => Promise<unknown>> {
    const deleted = changes.changes.filter(({ deletes }) => deletes);
    const deletions = await this.#ranges(deleted);
    const { pool } = this.#target;
    if (changes.changes.length - deleted.length + deletions.length <= operationsMax) {
      const request = replayRequest(changes, { after: null, deletions });
      return () => pool.tryEach((client) => client.txn(request), attemptTimeoutMs);
    }
    const lease = await this.#leaseOf(changes.changes);
    if (lease !== null) return () => pool.tryEach((client) => client.leaseRevoke(lease), attemptTimeoutMs);
    throw new DivergedError(
      `Revision ${changes.revision} has ${changes.changes.length} changes, more than the ${operationsMax} of a transaction`,
    );
  }

  /** As few ranges as have exactly these keys in the copy. */
  async #ranges(deleted: readonly Change[]): Promise<readonly Deletion[]> {
    const first = deleted[0];
    const last = deleted.at(-1);
    if (first === undefined || last === undefined) return [];
    if (deleted.length === 1) return [{ key: first.kv.key, rangeEnd: emptyBytes }];
    const rangeEnd = Buffer.concat([last.kv.key, everyKey]);
    const { count } = await this.#target.pool.tryEach(
      (client) => client.range(first.kv.key, { rangeEnd, countOnly: true }),
      attemptTimeoutMs,
    );
    if (count === deleted.length) return [{ key: first.kv.key, rangeEnd }];
    const half = deleted.length >> 1;
    return [...(await this.#ranges(deleted.slice(0, half))), ...(await this.#ranges(deleted.slice(half)))];
  }

  /** The lease that has exactly these keys in the copy; null if there is none. */
  async #leaseOf(changes: readonly Change[]): Promise<bigint | null> {
    if (!changes.every(({ deletes }) => deletes)) return null;
    const { kvs } = await this.#target.pool.tryEach((client) => client.range(changes[0]!.kv.key), attemptTimeoutMs);
    const lease = kvs[0] === undefined ? 0n : decodeKeyValue(kvs[0]).lease;
    const facts = lease === 0n ? null : await leaseFacts(this.#target, lease, true);
    return facts !== null && facts.keys.length === changes.length ? lease : null;
  }

  #exclusively(act: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(act);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

function isLarge({ changes }: RevisionChanges): boolean {
  return changes.length > operationsMax;
}

/** Up to the next revision that is made in another way. */
function windowEnd(revisions: readonly RevisionChanges[]): number {
  const large = revisions.findIndex(isLarge);
  return large === -1 ? revisions.length : large;
}

/** @throws GrpcError UNAVAILABLE if none leads */
async function leaderOf({ pool, endpoints }: ClusterEnd): Promise<EtcdClient> {
  const clients = endpoints.map((endpoint) => pool.client(endpoint));
  const leads = await Promise.all(
    clients.map((client) =>
      client
        .within(attemptTimeoutMs)
        .maintenance.status()
        .then(
          ({ leader, memberId }) => leader === memberId,
          () => false,
        ),
    ),
  );
  const leader = clients[leads.indexOf(true)];
  if (leader === undefined) throw new GrpcError(StatusCode.unavailable, "no member of the copy leads");
  return leader;
}

function mayRepeat(error: unknown): boolean {
  const codes: readonly number[] = [StatusCode.unavailable, StatusCode.deadlineExceeded, StatusCode.cancelled];
  return error instanceof GrpcError && codes.includes(error.code);
}

/** Ends early, without an error, once `signal` is aborted. */
function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return systemClock.sleep(ms, signal).catch(() => undefined);
}
