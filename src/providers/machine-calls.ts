/**
 * Calls to machines, bounded: so many at once as the provider serves, each with a time limit, and none that outlives the
 * request to stop by more than a second. Every call can be repeated, so one that was cut off is taken up by the next run.
 */
import type { Clock } from "../base/clock.ts";
import { HaplanError } from "../base/haplan-error.ts";

export type CallLimits = {
  /** How many machines are served at the same time. */
  readonly machinesAtOnce: number;
  /** How long one call may take, beside a wait that it asks for; null where calls end by themselves and are never cut off. */
  readonly callTimeoutMs: number | null;
};

export type MachineCall = {
  /** What is done, for the error: `startUnit m1`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
  /** A wait that is part of the call, such as the time that a unit has to stop. */
  readonly waitMs?: number;
};

/** Takes what a provider has to tell for the debug log: names and addresses, never contents. */
export type ProviderLog = (message: string, facts: { readonly [name: string]: string | number | boolean }) => void;

export type MachineCallsOptions = {
  readonly limits: CallLimits;
  readonly clock: Clock;
  /** Aborted when the run is to stop. */
  readonly signal: AbortSignal;
  readonly log: ProviderLog;
};

/** After a request to stop, what answers may finish; what does not answer is given up. */
const graceMs = 700;
/** How long work may take to notice that it was given up. */
const noticeMs = 200;

export class MachineCalls {
  readonly limits: CallLimits;
  readonly #clock: Clock;
  readonly #stop: AbortSignal;
  readonly #log: ProviderLog;
  readonly #waiting: (() => void)[] = [];
  /** Of the calls under way: told when the run is to stop. */
  readonly #underWay: Set<() => void> = new Set();
  #running = 0;

  constructor({ limits, clock, signal, log }: MachineCallsOptions) {
    this.limits = limits;
    this.#clock = clock;
    this.#stop = signal;
    this.#log = log;
    // One listener for all calls: a signal is not made for hundreds.
    signal.addEventListener("abort", () => {
      for (const stop of this.#underWay) stop();
    });
  }

  /**
   * Runs `work` once it is its turn. The signal that `work` gets is aborted when it is to give up.
   * @throws HaplanError `provider/timed-out` or `provider/aborted`
   */
  async run<Result>(call: MachineCall, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    if (this.#running >= this.limits.machinesAtOnce) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      // It was never begun: there is nothing to finish.
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

  /** Hands the turn over, or takes it back. */
  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }

  #isStopped({ signal }: MachineCall): boolean {
    return this.#stop.aborted || signal?.aborted === true;
  }

  /** Resolves once the call is to stop; listens no longer once `settled` is aborted. */
  #stopOf(call: MachineCall, settled: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isStopped(call)) resolve();
      const stop = (): void => resolve();
      this.#underWay.add(stop);
      settled.addEventListener("abort", () => this.#underWay.delete(stop));
      call.signal?.addEventListener("abort", stop, { once: true, signal: settled });
    });
  }

  async #bounded<Result>(call: MachineCall, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const { callTimeoutMs } = this.limits;
    const given = new AbortController();
    if (callTimeoutMs === null) return await work(given.signal);
    const settled = new AbortController();
    const pause = (ms: number): Promise<void> => this.#clock.sleep(ms, settled.signal);
    const giveUp = async (why: HaplanError): Promise<never> => {
      given.abort(why);
      this.#log("machine call given up", { call: call.what, code: why.code });
      await pause(noticeMs);
      throw why;
    };
    const limitMs = callTimeoutMs + (call.waitMs ?? 0);
    const late = async (): Promise<never> => {
      await pause(limitMs);
      return await giveUp(timedOut(call, limitMs));
    };
    const stopped = async (): Promise<never> => {
      await this.#stopOf(call, settled.signal);
      await pause(graceMs);
      return await giveUp(aborted(call));
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
  return new HaplanError("provider/aborted", `Stopped before the machine answered (${what})`);
}
