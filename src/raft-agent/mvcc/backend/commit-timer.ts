/**
 * Decides when the next commit starts: at the end of an interval, or in the next turn of the event loop when much has
 * accumulated.
 */

export class CommitTimer {
  readonly #intervalMs: number;
  readonly #begin: () => void;
  #timer: NodeJS.Timeout | undefined;
  #soon = false;

  /** Created once: `atInterval` is called for every write. */
  readonly #onInterval = (): void => {
    this.#timer = undefined;
    this.#begin();
  };

  constructor(intervalMs: number, begin: () => void) {
    this.#intervalMs = intervalMs;
    this.#begin = begin;
  }

  /** Unless one starts earlier anyway. */
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

  /** A commit starts now: the interval is over. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
