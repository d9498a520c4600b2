/** What calls wait for at present, by the machine or the load balancer that they act on: for the progress of an apply. */
export class CurrentWaits {
  readonly #texts: Map<string, string> = new Map();

  /** The last wait that was reported of `subject`; null if it waits for nothing. */
  of(subject: string): string | null {
    return this.#texts.get(subject) ?? null;
  }

  /** Runs `work`, which reports what it waits for. */
  async during<Result>(subject: string, work: (report: (text: string) => void) => Promise<Result>): Promise<Result> {
    try {
      return await work((text) => void this.#texts.set(subject, text));
    } finally {
      this.#texts.delete(subject);
    }
  }
}
