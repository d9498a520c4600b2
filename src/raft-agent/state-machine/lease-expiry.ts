/**
 * When leases end: the leader's duty alone, on the leader's own clock (etcd `server/lease/lessor.go`). A member that
 * becomes leader counts every lease from its last checkpoint, or from its full time, plus one election timeout that
 * the clients lost without a leader. Ending itself is a command in the log, so that all members agree.
 *
 * etcd checkpoints every lease each five minutes, so that shorter ones begin anew with every leader. Here a lease is
 * checkpointed once half its time has passed without a renewal, and then more often: clients that are alive renew
 * earlier (clientv3 after a third) and cost nothing, and what is left of the others is known to any new leader.
 *
 * The queue is a binary heap in which a renewed lease keeps its old place: it is moved when that place comes up, so
 * that a renewal costs nothing but a number.
 */
import type { Lease, LeaseId, LeaseTable } from "./lease-table.ts";

/** Bound of one expiry entry in the log. */
export const expiryBatchMax = 500;
const checkpointBatchMax = 1_000;
/** Between checkpoints of one lease: at most etcd's interval. */
const checkpointIntervalMaxMs = 300_000;
const checkpointIntervalMinMs = 5_000;
/** A revoke that did not come back from the log is proposed again after this long. */
const revokeRetryMs = 3_000;
/** After a change of leader, at most this many leases end in the same second. */
const expiriesPerSecondMax = 750;

/** How often the leases are looked through for due checkpoints: when one is due, within these bounds. */
const checkpointScanMinMs = 1_000;
const checkpointScanMaxMs = 10_000;

type Timing = {
  endsAtMs: number;
  /** The end that any leader would keep to: what is told. Behind `endsAtMs` while a checkpoint waits to be cleared. */
  promisedEndMs: number;
  /** Checkpoints that this leader has proposed, and how many of them a later entry is known to have cleared. */
  checkpoints: number;
  clearedCheckpoints: number;
  /** Its one valid place in the queue; entries with another time are left over from an earlier life of the id. */
  queuedAtMs: number;
  checkpointAtMs: number;
};
type Due = { readonly id: LeaseId; readonly atMs: number };

export type Checkpoint = { readonly id: LeaseId; readonly remainingSeconds: number };

export type RenewResult =
  /** Every leader to come counts the whole time from now on. */
  | { readonly kind: "renewed"; readonly ttlSeconds: number }
  /**
   * The log holds a remaining time, or may come to hold one that is under way: a new leader would count from that. It has to
   * be cleared by a checkpoint of 0; once that is applied, report `cleared` and renew again before anything is promised.
   */
  | { readonly kind: "clearFirst"; readonly checkpoints: number };

export class LeaseExpiry {
  /** Since the member started; for the metrics page. */
  renewedTotal = 0;
  readonly #table: LeaseTable;
  readonly #clock: { monotonicMs(): number };
  /** When each lease ends; empty while this member does not lead. */
  readonly #timings = new Map<LeaseId, Timing>();
  readonly #queue = new DueQueue();
  #primary = false;
  #nextCheckpointScanMs = 0;

  constructor(table: LeaseTable, clock: { monotonicMs(): number }) {
    this.#table = table;
    this.#clock = clock;
  }

  get primary(): boolean {
    return this.#primary;
  }

  /** This member leads now, and has applied every entry of the terms before: what they say of leases counts. */
  promote(extendMs: number): void {
    this.demote();
    this.#primary = true;
    const nowMs = this.#clock.monotonicMs();
    const leases = [...this.#table.all()].sort((a, b) => countedMs(a) - countedMs(b));
    let windowStartMs = 0;
    let inWindow = 0;
    for (const lease of leases) {
      const wantedMs = nowMs + countedMs(lease) + extendMs;
      if (wantedMs >= windowStartMs + 1_000) {
        windowStartMs = wantedMs;
        inWindow = 0;
      } else if (inWindow >= expiriesPerSecondMax) {
        windowStartMs += 1_000;
        inWindow = 0;
      }
      inWindow++;
      this.#schedule(lease, Math.max(wantedMs, windowStartMs), nowMs);
    }
  }

  demote(): void {
    this.#primary = false;
    this.#timings.clear();
    this.#queue.clear();
    this.#nextCheckpointScanMs = 0;
  }

  /** A grant was applied. */
  granted(lease: Lease): void {
    if (!this.#primary) return;
    const nowMs = this.#clock.monotonicMs();
    this.#schedule(lease, nowMs + lease.ttlSeconds * 1_000, nowMs);
  }

  revoked(id: LeaseId): void {
    this.#timings.delete(id);
  }

  /** Null: no such lease, or its time is over and it only waits for its revoke. */
  renew(id: LeaseId): RenewResult | null {
    const lease = this.#table.get(id);
    const timing = this.#timings.get(id);
    const nowMs = this.#clock.monotonicMs();
    if (lease === undefined || timing === undefined || timing.endsAtMs <= nowMs) return null;
    timing.endsAtMs = nowMs + lease.ttlSeconds * 1_000;
    timing.checkpointAtMs = nowMs + firstCheckpointMs(lease);
    if (lease.remainingSeconds > 0 || timing.checkpoints > timing.clearedCheckpoints) {
      return { kind: "clearFirst", checkpoints: timing.checkpoints };
    }
    timing.promisedEndMs = timing.endsAtMs;
    this.renewedTotal++;
    return { kind: "renewed", ttlSeconds: lease.ttlSeconds };
  }

  /** A clearing entry is applied that was proposed when `checkpoints` had been. */
  cleared(id: LeaseId, checkpoints: number): void {
    const timing = this.#timings.get(id);
    if (timing !== undefined) timing.clearedCheckpoints = Math.max(timing.clearedCheckpoints, checkpoints);
  }

  /** Milliseconds that the lease still has for certain, never negative; null when this member does not keep its time. */
  remainingMs(id: LeaseId): number | null {
    const timing = this.#timings.get(id);
    return timing === undefined ? null : Math.max(0, timing.promisedEndMs - this.#clock.monotonicMs());
  }

  /**
   * Leases to revoke now, at most `EXPIRY_BATCH_MAX`, and none behind one that `isEnough`; each comes up again later while
   * it has not been revoked.
   */
  takeExpired(isEnough: (id: LeaseId) => boolean = () => false): LeaseId[] {
    const nowMs = this.#clock.monotonicMs();
    const expired: LeaseId[] = [];
    for (let due = this.#queue.peek(); due !== undefined && due.atMs <= nowMs; due = this.#queue.peek()) {
      if (expired.length >= expiryBatchMax) break;
      this.#queue.pop();
      const timing = this.#timings.get(due.id);
      if (timing === undefined || timing.queuedAtMs !== due.atMs) continue;
      const over = timing.endsAtMs <= nowMs;
      if (over) expired.push(due.id);
      timing.queuedAtMs = over ? nowMs + revokeRetryMs : timing.endsAtMs;
      this.#queue.push({ id: due.id, atMs: timing.queuedAtMs });
      if (over && isEnough(due.id)) break;
    }
    return expired;
  }

  /** Remaining times to replicate, at most `CHECKPOINT_BATCH_MAX`. Leases that are renewed in time need none. */
  takeCheckpoints(): Checkpoint[] {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#nextCheckpointScanMs) return [];
    const checkpoints: Checkpoint[] = [];
    let nextMs = nowMs + checkpointScanMaxMs;
    for (const [id, timing] of this.#timings) {
      if (timing.endsAtMs <= nowMs) continue;
      if (timing.checkpointAtMs <= nowMs) {
        if (checkpoints.length >= checkpointBatchMax) return checkpoints;
        timing.checkpoints++;
        timing.checkpointAtMs = nowMs + nextCheckpointMs(this.#table.get(id)!);
        checkpoints.push({ id, remainingSeconds: Math.ceil((timing.endsAtMs - nowMs) / 1_000) });
      }
      nextMs = Math.min(nextMs, timing.checkpointAtMs);
    }
    this.#nextCheckpointScanMs = Math.max(nextMs, nowMs + checkpointScanMinMs);
    return checkpoints;
  }

  #schedule(lease: Lease, endsAtMs: number, nowMs: number): void {
    const checkpointAtMs = nowMs + (lease.remainingSeconds > 0 ? nextCheckpointMs(lease) : firstCheckpointMs(lease));
    this.#timings.set(lease.id, {
      endsAtMs,
      promisedEndMs: endsAtMs,
      checkpoints: 0,
      clearedCheckpoints: 0,
      queuedAtMs: endsAtMs,
      checkpointAtMs,
    });
    this.#nextCheckpointScanMs = Math.min(this.#nextCheckpointScanMs, checkpointAtMs);
    this.#queue.push({ id: lease.id, atMs: endsAtMs });
  }
}

/** What a new leader counts a lease from, in milliseconds. */
function countedMs(lease: Lease): number {
  return (lease.remainingSeconds > 0 ? lease.remainingSeconds : lease.ttlSeconds) * 1_000;
}

function firstCheckpointMs({ ttlSeconds }: Lease): number {
  return clampCheckpointMs(ttlSeconds * 500);
}

/** Further ones, while it is not renewed. */
function nextCheckpointMs({ ttlSeconds }: Lease): number {
  return clampCheckpointMs(ttlSeconds * 125);
}

function clampCheckpointMs(intervalMs: number): number {
  return Math.min(checkpointIntervalMaxMs, Math.max(checkpointIntervalMinMs, intervalMs));
}

class DueQueue {
  readonly #heap: Due[] = [];

  peek(): Due | undefined {
    return this.#heap[0];
  }

  clear(): void {
    this.#heap.length = 0;
  }

  push(due: Due): void {
    const heap = this.#heap;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.atMs <= due.atMs) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = due;
  }

  pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.atMs < heap[child]!.atMs) child++;
      if (heap[child]!.atMs >= last.atMs) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}
