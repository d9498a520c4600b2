/** Proposals of other members that arrived while this member could neither append nor forward them. */
export class HeldProposals {
  #proposals: Uint8Array[] = [];
  #bytes = 0;
  /** The tick at which the oldest one arrived. */
  #sinceTick = 0;

  get isEmpty(): boolean {
    return this.#proposals.length === 0;
  }

  /** Drops the proposal if more than `bytesMax` would be held. */
  add(proposal: Uint8Array, tick: number, bytesMax: number): void {
    if (this.#bytes + proposal.length > bytesMax) return;
    if (this.isEmpty) this.#sinceTick = tick;
    this.#proposals.push(proposal);
    this.#bytes += proposal.length;
  }

  /** In order of arrival. */
  takeAll(): readonly Uint8Array[] {
    const proposals = this.#proposals;
    this.#proposals = [];
    this.#bytes = 0;
    return proposals;
  }

  /** Drops all of them if the oldest one arrived before `tick`. */
  expire(tick: number): void {
    if (!this.isEmpty && this.#sinceTick < tick) this.takeAll();
  }
}
