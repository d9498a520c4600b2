/**
 * What asks a run to stop before it is done: signals, and a standard output that cannot be written any more. A run that
 * holds the state's lock finishes the step it is at and gives the lock back; any other run has nothing to finish.
 */
export type StopSurroundings = {
  /** Ends the process at once. */
  readonly leave: (code: 1) => void;
  /** Writes to standard error. */
  readonly say: (text: string) => void;
  readonly monotonicMs: () => number;
};

/**
 * A signal that comes this soon after the first is the same request: Ctrl-C reaches the whole foreground group, and `npx`
 * passes it on as well.
 */
const sameRequestMs = 250;

export class StopRequests {
  readonly #controller = new AbortController();
  readonly #surroundings: StopSurroundings;
  #holds = 0;
  #firstAtMs = 0;
  #cause: string | null = null;

  constructor(surroundings: StopSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Aborted once a stop was requested. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why the run stops, for the summary of a diagnostic. */
  get reason(): string {
    return this.#cause ?? "Stopped";
  }

  /** Runs `work`, which must not be cut off. */
  async hold<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#holds += 1;
    try {
      return await work();
    } finally {
      this.#holds -= 1;
    }
  }

  receive(signal: "SIGINT" | "SIGTERM" | "SIGHUP"): void {
    const { leave, say, monotonicMs } = this.#surroundings;
    if (this.#holds === 0) {
      leave(1);
    } else if (!this.signal.aborted) {
      this.#firstAtMs = monotonicMs();
      say("\nStopping after what is under way; once more stops at once.");
      this.#abort(signal === "SIGHUP" ? "Stopped because the terminal was closed" : "Stopped as you asked");
    } else if (signal !== "SIGHUP" && monotonicMs() - this.#firstAtMs >= sameRequestMs) {
      // A closed terminal sends more than one SIGHUP, which is no request for haste. The journal is valid at every moment.
      say("\nStopped at once. To go on from here, run the same command again.");
      leave(1);
    }
  }

  /** What a change does is no longer seen: it stops as at Ctrl-C. Other verbs end with the exit code that they have. */
  outputLost(why: string): void {
    if (this.#holds === 0 || this.signal.aborted) return;
    this.#surroundings.say(`\nStandard output cannot be written (${why}): stopping after what is under way.`);
    this.#abort("Stopped because standard output cannot be written");
  }

  #abort(cause: string): void {
    this.#cause = cause;
    this.#controller.abort();
  }
}
