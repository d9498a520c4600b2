/** Several logs as one, in the order of time. */
import type { LogEntry, LogEvent } from "./log-entry.ts";

export type MergeOptions = {
  /** Called when a log fails; the others continue. */
  readonly onFailure: (index: number, error: unknown) => void;
  /**
   * How long the first entries wait for a log that has not returned any; its entries are then merged from where the others
   * are. Absent: until it has.
   */
  readonly patience?: Promise<void>;
};

/** A log that is read ahead by this many entries waits. */
const bufferedMax = 1000;

type Source = {
  readonly entries: LogEntry[];
  /** It has returned all that was logged before the call, or has ended. */
  isCurrent: boolean;
  hasEnded: boolean;
  /** Continues to read. */
  resume: () => void;
};

/** What was logged before the call is sorted by time; later entries come as they arrive. */
export async function* mergeLogs(
  logs: readonly AsyncIterable<LogEvent>[],
  { onFailure, patience }: MergeOptions,
): AsyncGenerator<LogEvent> {
  const sources = logs.map((): Source => ({ entries: [], isCurrent: false, hasEnded: false, resume: () => {} }));
  let wake = (): void => {};
  let isPatient = true;
  let saidCurrent = false;
  void patience?.then(() => {
    isPatient = false;
    wake();
  });
  const iterators = logs.map((log) => log[Symbol.asyncIterator]());
  const readers = sources.map((source, index) =>
    read(
      source,
      iterators[index]!,
      (error) => onFailure(index, error),
      () => wake(),
    ),
  );
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      yield* takeReady(sources, isPatient);
      if (!saidCurrent && sources.every(({ isCurrent, entries }) => isCurrent && entries.length === 0)) {
        saidCurrent = true;
        yield "current";
      }
      if (sources.every(({ hasEnded, entries }) => hasEnded && entries.length === 0)) return;
      await woken;
    }
  } finally {
    for (const source of sources) {
      source.entries.length = 0;
      source.resume();
    }
    await Promise.allSettled([...iterators.map((iterator) => iterator.return?.()), ...readers]);
  }
}

/** Entries whose place in the order is certain. */
function* takeReady(sources: readonly Source[], isPatient: boolean): Generator<LogEntry> {
  for (;;) {
    const waitsFor = sources.some(({ entries, isCurrent }) => entries.length === 0 && !isCurrent);
    if (waitsFor && isPatient) return;
    let first: Source | null = null;
    for (const source of sources) {
      const [entry] = source.entries;
      if (entry !== undefined && (first === null || entry.timeMs < first.entries[0]!.timeMs)) first = source;
    }
    if (first === null) return;
    const entry = first.entries.shift()!;
    if (first.entries.length < bufferedMax / 2) first.resume();
    yield entry;
  }
}

async function read(
  source: Source,
  iterator: AsyncIterator<LogEvent>,
  onFailure: (error: unknown) => void,
  wake: () => void,
): Promise<void> {
  try {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      if (next.value === "current") source.isCurrent = true;
      else source.entries.push(next.value);
      wake();
      if (source.entries.length >= bufferedMax)
        await new Promise<void>((resolve) => {
          source.resume = resolve;
        });
    }
  } catch (error) {
    onFailure(error);
  }
  source.isCurrent = true;
  source.hasEnded = true;
  wake();
}
