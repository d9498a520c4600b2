/**
 * What the disk holds, as far as the core has been told. Batches are handed out with a ticket and become durable in
 * that order; several may be on their way. Truncation lowers what earlier tickets can still promise.
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
  /** The log is durable, and as it is in memory, up to here. */
  durableIndex: LogIndex;
  /** The first entry that no batch has carried yet. */
  unsavedFrom: LogIndex;
  /** The hard state that the last batch carried. */
  handedOut: HardState;
  #durableTerm: Term;
  #durableVote: MemberId | null;
  #lastTicket = 0;
  #underway: Batch[] = [];

  constructor(lastIndex: LogIndex, hardState: HardState) {
    this.durableIndex = lastIndex;
    this.unsavedFrom = lastIndex + 1;
    this.handedOut = hardState;
    this.#durableTerm = hardState.term;
    this.#durableVote = hardState.votedFor;
  }

  get isIdle(): boolean {
    return this.#underway.length === 0;
  }

  /** True when a restart would remember this vote. */
  remembersVote(term: Term, votedFor: MemberId): boolean {
    return this.#durableTerm === term && this.#durableVote === votedFor;
  }

  /** A batch goes out that makes the log durable up to `lastIndex`. Returns its ticket. */
  begin(lastIndex: LogIndex, hardState: HardState): number {
    this.#lastTicket += 1;
    const { term, votedFor } = hardState;
    this.#underway.push({ ticket: this.#lastTicket, lastIndex, term, votedFor });
    this.unsavedFrom = lastIndex + 1;
    this.handedOut = hardState;
    return this.#lastTicket;
  }

  /** The batch with this ticket and all before it are durable; tickets that were reported before are ignored. */
  complete(ticket: number): void {
    assert(ticket <= this.#lastTicket, () => `ticket ${ticket} was handed out`);
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

  /** The log from `index` on was removed: what is durable there, or on its way, is not the log any more. */
  truncateFrom(index: LogIndex): void {
    this.durableIndex = Math.min(this.durableIndex, index - 1);
    this.unsavedFrom = Math.min(this.unsavedFrom, index);
    for (const batch of this.#underway) batch.lastIndex = Math.min(batch.lastIndex, index - 1);
  }

  /** A snapshot replaces the log up to `index`; it travels in the next batch. */
  replaceBy(index: LogIndex, committedBefore: LogIndex): void {
    this.truncateFrom(committedBefore + 1);
    this.unsavedFrom = index + 1;
  }
}
