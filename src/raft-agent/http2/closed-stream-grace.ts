/**
 * Streams that we closed before the client did: frames that were in flight when our RST_STREAM was sent are ignored
 * (RFC 9113 §5.1, "closed"); frames for any other closed stream are an error. Bounded: the oldest are dropped, and
 * from then on every id up to theirs is treated leniently.
 */
const rememberedMax = 1_024;

export class ClosedStreamGrace {
  readonly #ids = new Set<number>();
  #forgottenUpTo = 0;

  expect(streamId: number): void {
    this.#ids.add(streamId);
    if (this.#ids.size <= rememberedMax) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      this.#forgottenUpTo = Math.max(this.#forgottenUpTo, oldest);
      return;
    }
  }

  mayCome(streamId: number): boolean {
    return streamId <= this.#forgottenUpTo || this.#ids.has(streamId);
  }

  /** The client has ended the stream too. */
  ended(streamId: number): void {
    this.#ids.delete(streamId);
  }
}
