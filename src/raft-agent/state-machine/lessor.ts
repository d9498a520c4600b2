/**
 * Expires leases: a duty of the leader alone, on the leader's own clock (etcd `server/lease/lessor.go`). A new leader
 * extends every lease from its last checkpoint, or from its full TTL, plus one election timeout that clients lost
 * without a leader. Revoking is a command in the log, so that all members agree.
 *
 * etcd checkpoints every lease every five minutes, so that shorter ones start over with every leader. Here a lease is
 * checkpointed once half its TTL has passed without a renewal, and more often afterwards: live clients renew earlier
 * (clientv3 after a third) and cost nothing, and any new leader knows the remaining time of the others.
 *
 * The queue is a binary heap in which a renewed lease keeps its old position: it is moved when that position is
 * reached, so that a renewal costs only the write of a number.
 */
import type { Lease, LeaseId, LeaseTable } from "./lease-table.ts";

/** The limit of one expiry entry in the log. */
export const expiryBatchMax = 500;
const checkpointBatchMax = 1_000;
/** The maximum interval between checkpoints of one lease: etcd's interval. */
const checkpointIntervalMaxMs = 300_000;
const checkpointIntervalMinMs = 5_000;
/** A revoke that was not applied is proposed again after this time. */
const revokeRetryMs = 3_000;
/** After a change of leader, at most this many leases expire in the same second. */
const expiriesPerSecondMax = 750;

/** The interval of scans for due checkpoints: when one is due, within these limits. */
const checkpointScanMinMs = 1_000;
const checkpointScanMaxMs = 10_000;

type Timing = {
  endsAtMs: number;
  /**
   * The expiry that any leader would honor, as reported to clients. After `endsAtMs` while a checkpoint waits to be
   * cleared.
   */
  promisedEndMs: number;
  /** Checkpoints proposed by this leader, and how many of them are known to be cleared by a later entry. */
  checkpoints: number;
  clearedCheckpoints: number;
  /** The one valid position in the queue; entries with another time are left over from an earlier lease with the id. */
  queuedAtMs: number;
  checkpointAtMs: number;
};
type Due = { readonly id: LeaseId; readonly atMs: number };

export type Checkpoint = { readonly id: LeaseId; readonly remainingSeconds: number };

export type RenewResult =
  /** Every later leader counts the full TTL from now on. */
  | { readonly kind: "renewed"; readonly ttlSeconds: number }
  /**
   * The log contains a remaining TTL, or may soon contain one that is in flight: a new leader would count from it. A
   * checkpoint of 0 has to clear it; once that is applied, report `cleared` and renew again before promising anything.
   */
  | { readonly kind: "clearFirst"; readonly checkpoints: number };

export class Lessor {
  /** Since the member started; for the metrics page. */
  renewedTotal = 0;
  readonly #table: LeaseTable;
  readonly #clock: { monotonicMs(): number };
  /** The expiry of each lease; empty while this member is not the leader. */
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

  /** This member is now the leader, and has applied every entry of earlier terms, which determine the leases. */
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

  /** Null: there is no such lease, or it is expired and waits for its revoke. */
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

  /** A clearing entry was applied that was proposed at `checkpoints`. */
  cleared(id: LeaseId, checkpoints: number): void {
    const timing = this.#timings.get(id);
    if (timing !== undefined) timing.clearedCheckpoints = Math.max(timing.clearedCheckpoints, checkpoints);
  }

  /**
   * The guaranteed remaining time of the lease in milliseconds, never negative; null when this member does not track
   * it.
   */
  remainingMs(id: LeaseId): number | null {
    const timing = this.#timings.get(id);
    return timing === undefined ? null : Math.max(0, timing.promisedEndMs - this.#clock.monotonicMs());
  }

  /**
   * Leases to revoke now, at most `expiryBatchMax`, and none after one that `isEnough`; each is returned again later
   * until it is revoked.
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

  /** Remaining TTLs to replicate, at most `checkpointBatchMax`. Leases that are renewed in time need none. */
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

/** The TTL from which a new leader counts a lease, in milliseconds. */
function countedMs(lease: Lease): number {
  return (lease.remainingSeconds > 0 ? lease.remainingSeconds : lease.ttlSeconds) * 1_000;
}

function firstCheckpointMs({ ttlSeconds }: Lease): number {
  return clampCheckpointMs(ttlSeconds * 500);
}

/** The interval of further checkpoints while it is not renewed. */
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
