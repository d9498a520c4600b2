/**
 * The effects that the core requests, accumulated since the last call. The driver's duties, in this order:
 *
 * 1. send `messages` (they promise nothing that is not durable yet);
 * 2. write `installSnapshot`, `entries` and `hardState` to the log, in one batch, and fsync it; sending (1) and
 *    writing (2) may overlap, which is why a leader's appends are among `messages`;
 * 3. when the batch is durable: send its `messagesAfterPersist`, and report it to the core with a `persisted` event.
 *    Batches are made durable in the order in which they were taken;
 * 4. apply `committed` in order, then answer `reads` whose index is applied.
 */
import type { SnapshotMetadata } from "./configuration.ts";
import type { Entry, HardState, LogIndex, MemberId, Term } from "./entry.ts";
import type { Message } from "./message.ts";

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

/** Volatile state for observers; never persisted. */
export type SoftState = { readonly role: Role; readonly leader: MemberId | null; readonly term: Term };

/** A confirmed linearizable read: once `index` is applied, the read numbered `context` may be answered. */
export type ReadState = { readonly context: number; readonly index: LogIndex };

export type Ready = {
  /** The number to return in the `persisted` event; null when there is nothing to persist. */
  readonly persistTicket: number | null;
  /** Changed since the last batch, else null. */
  readonly hardState: HardState | null;
  /** Entries to append. The index of the first may lie inside the log: everything from there on is replaced. */
  readonly entries: readonly Entry[];
  /** A received snapshot that replaces the whole log up to its index. */
  readonly installSnapshot: SnapshotMetadata | null;
  readonly messages: readonly Message[];
  readonly messagesAfterPersist: readonly Message[];
  /** Committed and durable on this member, in order, each exactly once. */
  readonly committed: readonly Entry[];
  readonly reads: readonly ReadState[];
  /** Reads that can no longer be confirmed (leader lost or changed): fail them with a retryable error. */
  readonly failedReads: readonly number[];
  /** Changed since the last Ready, else null. */
  readonly softState: SoftState | null;
};
