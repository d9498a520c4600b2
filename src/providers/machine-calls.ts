/**
 * Bounds calls to machines: their concurrency, the time of each, and the time that they continue after Ctrl-C, which is less
 * than a second. Every call is idempotent, so the next run resumes a call that was aborted.
 */
import type { Clock } from "../base/clock.ts";
import { HaplanError } from "../base/haplan-error.ts";

export type CallLimits = {
  /** Maximum number of concurrent calls to machines. */
  readonly machinesAtOnce: number;
  /** Time limit of one call, in addition to `waitMs`; null if calls always return and are never aborted. */
  readonly callTimeoutMs: number | null;
};

export type MachineCall = {
  /** The call, for error messages: `startUnit m1`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
  /** Time that the call waits on purpose, such as the grace period of a stop. */
  readonly waitMs?: number;
};

/** Writes to the debug log: names and addresses, no contents. */
export type ProviderLog = (message: string, facts: { readonly [name: string]: string | number | boolean }) => void;

export type MachineCallsOptions = {
  readonly limits: CallLimits;
  readonly clock: Clock;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly log: ProviderLog;
};

/** Time in which a call may still complete after it was asked to stop. */
const graceMs = 700;
/** Time in which aborted work may reject by itself. */
const noticeMs = 200;

export class MachineCalls {
  readonly limits: CallLimits;
  readonly #clock: Clock;
  readonly #stop: AbortSignal;
  readonly #log: ProviderLog;
  readonly #waiting: (() => void)[] = [];
  /** Callbacks of the running calls, for Ctrl-C. */
  readonly #stopCallbacks: Set<() => void> = new Set();
  #running = 0;

  constructor({ limits, clock, signal, log }: MachineCallsOptions) {
    this.limits = limits;
    this.#clock = clock;
    this.#stop = signal;
    this.#log = log;
    // One listener for all calls: an AbortSignal warns about more than ten.
    signal.addEventListener("abort", () => {
      for (const stop of this.#stopCallbacks) stop();
    });
  }

  /**
   * Runs `work` when a slot is free. Aborts the signal of `work` at the time limit or after a request to stop.
   * @throws HaplanError `provider/timed-out` or `provider/aborted`
   */
  async run<Result>(call: MachineCall, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    if (this.#running >= this.limits.machinesAtOnce) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      // It has not started, so there is nothing to complete.
      if (this.#isStopped(call) && this.limits.callTimeoutMs !== null) {
        this.#next();
        throw aborted(call);
      }
    } else this.#running += 1;
    try {
      return await this.#bounded(call, work);
    } finally {
      this.#next();
    }
  }

  /** Passes the slot to the next waiting call, or frees it. */
  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }

  #isStopped({ signal }: MachineCall): boolean {
    return this.#stop.aborted || signal?.aborted === true;
  }

  /** Resolves when the call is asked to stop; removes its listeners when `settled` is aborted. */
  #stopOf(call: MachineCall, settled: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isStopped(call)) resolve();
      const stop = (): void => resolve();
      this.#stopCallbacks.add(stop);
      settled.addEventListener("abort", () => this.#stopCallbacks.delete(stop));
      call.signal?.addEventListener("abort", stop, { once: true, signal: settled });
    });
  }

  async #bounded<Result>(call: MachineCall, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const { callTimeoutMs } = this.limits;
    const given = new AbortController();
    if (callTimeoutMs === null) return await work(given.signal);
    const settled = new AbortController();
    const pause = (ms: number): Promise<void> => this.#clock.sleep(ms, settled.signal);
    const abort = async (why: HaplanError): Promise<never> => {
      given.abort(why);
      this.#log("machine call aborted", { call: call.what, code: why.code });
      await pause(noticeMs);
      throw why;
    };
    const limitMs = callTimeoutMs + (call.waitMs ?? 0);
    const late = async (): Promise<never> => {
      await pause(limitMs);
      return await abort(timedOut(call, limitMs));
    };
    const stopped = async (): Promise<never> => {
      await this.#stopOf(call, settled.signal);
      await pause(graceMs);
      return await abort(aborted(call));
    };
    try {
      return await Promise.race([work(given.signal), late(), stopped()]);
    } catch (error) {
      throw given.signal.aborted ? given.signal.reason : error;
    } finally {
      settled.abort();
    }
  }
}

function timedOut({ what }: MachineCall, limitMs: number): HaplanError {
  return new HaplanError("provider/timed-out", `No answer within ${limitMs / 1000} s (${what})`);
}

function aborted({ what }: MachineCall): HaplanError {
  return new HaplanError("provider/aborted", `Aborted before the machine answered (${what})`);
}
