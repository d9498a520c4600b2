/** A log that is followed over connections that break: it is opened again, and goes on where it was. */
import type { Clock } from "../base/clock.ts";
import { HaplanError } from "../base/haplan-error.ts";
import type { LogEntry, LogEvent, LogRequest } from "./log-entry.ts";

export type ResumeOptions = {
  readonly request: LogRequest;
  readonly open: (request: LogRequest) => AsyncIterable<LogEvent>;
  readonly clock: Pick<Clock, "now" | "sleep">;
  readonly signal: AbortSignal;
  /** The connection has broken, or was not made. */
  readonly onLost: (error: unknown) => void;
  /** It is there again. */
  readonly onResumed: () => void;
};

const firstPauseMs = 1_000;
const longestPauseMs = 30_000;
/** How much earlier than the last entry a unit may have logged one that has not arrived yet. */
const overlapMs = 60_000;

/**
 * Returns each entry once. Without `follow` it is the log itself.
 * @throws HaplanError `provider/no-machine`; and without `follow` whatever the log throws
 */
export async function* resumeLogs(options: ResumeOptions): AsyncGenerator<LogEvent> {
  const { request, open, clock, signal, onLost, onResumed } = options;
  const seen = new SeenEntries(request, clock.now());
  let pauseMs = firstPauseMs;
  let isLost = false;
  for (;;) {
    let ending: unknown = new HaplanError("provider/connection-lost", "The log has ended");
    try {
      for await (const event of open(seen.request())) {
        if (isLost) onResumed();
        isLost = false;
        pauseMs = firstPauseMs;
        if (seen.isNew(event)) yield event;
      }
      if (!request.follow) return;
    } catch (error) {
      if (!request.follow || isGone(error)) throw error;
      ending = error;
    }
    if (signal.aborted) return;
    if (!isLost) onLost(ending);
    isLost = true;
    await clock.sleep(pauseMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    pauseMs = Math.min(2 * pauseMs, longestPauseMs);
  }
}

function isGone(error: unknown): boolean {
  return error instanceof HaplanError && error.code === "provider/no-machine";
}

/** When a unit has logged last, and what it has logged at that time. */
type LastEntries = { readonly timeMs: number; readonly messages: readonly string[] };

class SeenEntries {
  readonly #request: LogRequest;
  readonly #openedMs: number;
  readonly #last: Map<string, LastEntries> = new Map();
  /** The units whose entries of the present connection may still be those of the former one, with the last of them. */
  #repeating: Map<string, LastEntries> = new Map();
  #wasCurrent = false;

  constructor(request: LogRequest, openedMs: number) {
    this.#request = request;
    this.#openedMs = openedMs;
  }

  /** What to ask of the next connection. */
  request(): LogRequest {
    this.#repeating = new Map(this.#last);
    if (!this.#wasCurrent) return this.#request;
    const times = [...this.#last.values()].map(({ timeMs }) => timeMs);
    // The host's own clock, where it has told a time.
    const lastMs = times.length === 0 ? this.#openedMs : Math.max(...times);
    const sinceMs = Math.max(lastMs - overlapMs, this.#request.sinceMs ?? Number.NEGATIVE_INFINITY);
    return { ...this.#request, lines: null, sinceMs };
  }

  isNew(event: LogEvent): boolean {
    if (event === "current") {
      const isFirst = !this.#wasCurrent;
      this.#wasCurrent = true;
      return isFirst;
    }
    if (this.#isRepeated(event)) return false;
    const { unit, timeMs, message } = event;
    const last = this.#last.get(unit);
    this.#last.set(unit, { timeMs, messages: [...(last?.timeMs === timeMs ? last.messages : []), message] });
    return true;
  }

  #isRepeated({ unit, timeMs, message }: LogEntry): boolean {
    const last = this.#repeating.get(unit);
    if (last === undefined) return false;
    if (timeMs < last.timeMs) return true;
    const at = last.timeMs === timeMs ? last.messages.indexOf(message) : -1;
    if (at === -1) this.#repeating.delete(unit);
    else this.#repeating.set(unit, { timeMs, messages: last.messages.toSpliced(at, 1) });
    return at !== -1;
  }
}
