/** Proposals of other members that came while this member could neither append them nor send them on. */
export class HeldProposals {
  #proposals: Uint8Array[] = [];
  #bytes = 0;
  /** The tick at which the oldest one came. */
  #sinceTick = 0;

  get isEmpty(): boolean {
    return this.#proposals.length === 0;
  }

  /** Drops the proposal when more than `bytesMax` would be held. */
  add(proposal: Uint8Array, tick: number, bytesMax: number): void {
    if (this.#bytes + proposal.length > bytesMax) return;
    if (this.isEmpty) this.#sinceTick = tick;
    this.#proposals.push(proposal);
    this.#bytes += proposal.length;
  }

  /** In the order in which they came. */
  takeAll(): readonly Uint8Array[] {
    const proposals = this.#proposals;
    this.#proposals = [];
    this.#bytes = 0;
    return proposals;
  }

  /** Drops all of them when the oldest one came before `tick`. */
  expire(tick: number): void {
    if (!this.isEmpty && this.#sinceTick < tick) this.takeAll();
  }
}
