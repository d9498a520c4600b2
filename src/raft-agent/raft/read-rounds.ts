/**
 * Linearizable reads on the leader (thesis §6.4). A read records the commit index at its arrival and waits for a round
 * of heartbeats that starts afterwards: members that respond then have not elected another leader. Rounds are
 * numbered, so one round confirms every read before it, and a later response confirms all earlier rounds.
 */
import type { LogIndex, MemberId } from "./entry.ts";

export type PendingRead = {
  readonly from: MemberId;
  readonly context: number;
  /** The commit index when the read arrived. */
  readonly index: LogIndex;
  /** The first round that can confirm it. */
  readonly round: number;
};

export class ReadRounds {
  /** The number of the last round that was sent. */
  sentRound = 0;
  readonly #maxPending: number;
  /** Reads that arrived before the leader knew the commit index. */
  #deferred: { readonly from: MemberId; readonly context: number }[] = [];
  /** In ascending order of rounds; those before `#head` are done. */
  #pending: PendingRead[] = [];
  #head = 0;

  constructor(maxPending: number) {
    this.#maxPending = maxPending;
  }

  get size(): number {
    return this.#deferred.length + this.#pending.length - this.#head;
  }

  /** True when a read waits for a round that has not been sent. */
  get needsRound(): boolean {
    const last = this.#pending.at(-1);
    return this.#head < this.#pending.length && last !== undefined && last.round > this.sentRound;
  }

  /** Registers a read; `index` is null while the leader does not know the commit index. Returns false when full. */
  register(from: MemberId, context: number, index: LogIndex | null): boolean {
    if (this.size >= this.#maxPending) return false;
    if (index === null) this.#deferred.push({ from, context });
    else this.#pending.push({ from, context, index, round: this.sentRound + 1 });
    return true;
  }

  /** The leader knows the commit index now: deferred reads start here. */
  start(index: LogIndex): void {
    for (const { from, context } of this.#deferred) {
      this.#pending.push({ from, context, index, round: this.sentRound + 1 });
    }
    this.#deferred = [];
  }

  /** Removes the reads that `round` confirms and passes each to `answer`. */
  confirm(round: number, answer: (read: PendingRead) => void): void {
    for (let read = this.#pending[this.#head]; read !== undefined && read.round <= round; ) {
      answer(read);
      this.#head += 1;
      read = this.#pending[this.#head];
    }
    this.#dropDone();
  }

  /** Every pending read, confirmed or not; for failing them. */
  remaining(): readonly { readonly from: MemberId; readonly context: number }[] {
    return [...this.#deferred, ...this.#pending.slice(this.#head)];
  }

  #dropDone(): void {
    if (this.#head < 1024 && this.#head < this.#pending.length) return;
    this.#pending = this.#pending.slice(this.#head);
    this.#head = 0;
  }
}
