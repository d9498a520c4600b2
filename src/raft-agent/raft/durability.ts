/**
 * Tracks what the disk holds, as far as it was reported to the core. Batches are issued with a ticket and become
 * durable in that order; several may be in flight. Truncation lowers what earlier tickets can still promise.
 */
import { assert } from "../../base/assert.ts";
import type { HardState, LogIndex, MemberId, Term } from "./entry.ts";

type Batch = {
  readonly ticket: number;
  lastIndex: LogIndex;
  readonly term: Term;
  readonly votedFor: MemberId | null;
};

export class Durability {
  /** The log is durable up to this index, and identical to the log in memory. */
  durableIndex: LogIndex;
  /** The first entry that has not been part of a batch. */
  unsavedFrom: LogIndex;
  /** The hard state in the last batch. */
  batchedHardState: HardState;
  #durableTerm: Term;
  #durableVote: MemberId | null;
  #lastTicket = 0;
  #underway: Batch[] = [];

  constructor(lastIndex: LogIndex, hardState: HardState) {
    this.durableIndex = lastIndex;
    this.unsavedFrom = lastIndex + 1;
    this.batchedHardState = hardState;
    this.#durableTerm = hardState.term;
    this.#durableVote = hardState.votedFor;
  }

  get isIdle(): boolean {
    return this.#underway.length === 0;
  }

  /** True when this vote would survive a restart. */
  isVoteDurable(term: Term, votedFor: MemberId): boolean {
    return this.#durableTerm === term && this.#durableVote === votedFor;
  }

  /** Issues a batch that makes the log durable up to `lastIndex`. Returns its ticket. */
  begin(lastIndex: LogIndex, hardState: HardState): number {
    this.#lastTicket += 1;
    const { term, votedFor } = hardState;
    this.#underway.push({ ticket: this.#lastTicket, lastIndex, term, votedFor });
    this.unsavedFrom = lastIndex + 1;
    this.batchedHardState = hardState;
    return this.#lastTicket;
  }

  /**
   * Marks the batch with this ticket and all earlier ones as durable; tickets that were already reported are ignored.
   */
  complete(ticket: number): void {
    assert(ticket <= this.#lastTicket, () => `ticket ${ticket} was issued`);
    let done = 0;
    for (const batch of this.#underway) {
      if (batch.ticket > ticket) break;
      this.durableIndex = Math.max(this.durableIndex, batch.lastIndex);
      this.#durableTerm = batch.term;
      this.#durableVote = batch.votedFor;
      done += 1;
    }
    if (done > 0) this.#underway.splice(0, done);
  }

  /** The log was truncated at `index`: what is durable there, or in flight, is no longer the log. */
  truncateFrom(index: LogIndex): void {
    this.durableIndex = Math.min(this.durableIndex, index - 1);
    this.unsavedFrom = Math.min(this.unsavedFrom, index);
    for (const batch of this.#underway) batch.lastIndex = Math.min(batch.lastIndex, index - 1);
  }

  /** A snapshot replaces the log up to `index`; it is part of the next batch. */
  replaceWithSnapshot(index: LogIndex, committedBefore: LogIndex): void {
    this.truncateFrom(committedBefore + 1);
    this.unsavedFrom = index + 1;
  }
}
