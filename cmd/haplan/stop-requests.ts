/**
 * Requests to stop a run early: signals, and a standard output that can no longer be written. A run that holds the
 * state's lock finishes its current step and releases the lock; any other run has nothing to finish.
 */
import { setMaxListeners } from "node:events";

export type StopOptions = {
  /** Ends the process at once. */
  readonly leave: (code: 1) => void;
  /** Writes to standard error. */
  readonly say: (text: string) => void;
  readonly monotonicMs: () => number;
};

/**
 * A signal that soon after the first is the same request: Ctrl-C reaches the whole foreground process group, and `npx`
 * forwards it as well.
 */
const sameRequestMs = 250;

/** A signal, or `outputLost`. */
export type StopRequest = StopSignal | "outputLost";
type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

export class StopRequests {
  readonly #controller = new AbortController();
  readonly #options: StopOptions;
  #holds = 0;
  #handler: ((request: StopRequest) => void) | null = null;
  #firstAtMs = 0;
  #cause: string | null = null;

  constructor(options: StopOptions) {
    this.#options = options;
    // As many calls listen as there are machines.
    setMaxListeners(0, this.#controller.signal);
  }

  /** Aborted once a stop was requested. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why the run stops, for the summary of a diagnostic. */
  get reason(): string {
    return this.#cause ?? "Stopped";
  }

  /** Runs `work`, which must not be interrupted. */
  async hold<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#holds += 1;
    try {
      return await work();
    } finally {
      this.#holds -= 1;
    }
  }

  /** Runs `work`, which ends by itself after `handler` was told to stop it: nothing else happens at a request. */
  async handleWith<Result>(handler: (request: StopRequest) => void, work: () => Promise<Result>): Promise<Result> {
    this.#handler = handler;
    try {
      return await work();
    } finally {
      this.#handler = null;
    }
  }

  /** Runs `work` until it ends, or has ended because a request aborted its signal. */
  untilStopped<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const stop = new AbortController();
    return this.handleWith(
      () => stop.abort(),
      () => work(stop.signal),
    );
  }

  receive(signal: StopSignal): void {
    const { leave, say, monotonicMs } = this.#options;
    if (this.#handler !== null) {
      this.#handler(signal);
      return;
    }
    if (this.#holds === 0) {
      leave(1);
    } else if (!this.signal.aborted) {
      this.#firstAtMs = monotonicMs();
      say("\nStopping after the running steps; repeat to stop at once.");
      this.#abort(signal === "SIGHUP" ? "Interrupted: the terminal was closed" : "Interrupted by the user");
    } else if (signal !== "SIGHUP" && monotonicMs() - this.#firstAtMs >= sameRequestMs) {
      // A closed terminal sends more than one SIGHUP, which is not a request to stop at once. The journal is valid at
      // every moment.
      say("\nStopped at once. To resume, run the same command again.");
      leave(1);
    }
  }

  /** The effects of a change can no longer be shown: it stops as at Ctrl-C. Other commands keep their own exit code. */
  outputLost(why: string): void {
    if (this.#handler !== null) {
      this.#handler("outputLost");
      return;
    }
    if (this.#holds === 0 || this.signal.aborted) return;
    this.#options.say(`\nStandard output cannot be written (${why}): stopping after the running steps.`);
    this.#abort("Interrupted: standard output cannot be written");
  }

  /** Stops the run as at Ctrl-C, for a reason of its own. */
  cancel(cause: string): void {
    if (!this.signal.aborted) this.#abort(cause);
  }

  #abort(cause: string): void {
    this.#cause = cause;
    this.#controller.abort();
  }
}
