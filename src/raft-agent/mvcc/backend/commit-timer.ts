/** When the next commit begins: at the end of an interval, or in the next turn of the event loop when much has gathered. */

export class CommitTimer {
  readonly #intervalMs: number;
  readonly #begin: () => void;
  #timer: NodeJS.Timeout | undefined;
  #soon = false;

  /** Made once: `atInterval` is called for every write. */
  readonly #onInterval = (): void => {
    this.#timer = undefined;
    this.#begin();
  };

  constructor(intervalMs: number, begin: () => void) {
    this.#intervalMs = intervalMs;
    this.#begin = begin;
  }

  /** Unless one begins earlier anyway. */
  atInterval(): void {
    if (!this.#soon) this.#timer ??= setTimeout(this.#onInterval, this.#intervalMs);
  }

  nextTurn(): void {
    if (this.#soon) return;
    this.#soon = true;
    setImmediate(() => {
      this.#soon = false;
      this.#begin();
    });
  }

  /** A commit begins now: the interval is over. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
