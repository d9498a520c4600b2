/** A unit's log file as entries: what is in it, and what is appended to it. */
import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { systemErrorCode } from "../../base/haplan-error.ts";
import type { LogLine, LogSelection } from "../supervisor.ts";

const pollMs = 200;
const chunkBytes = 64 * 1024;
const newline = 0x0a;

/**
 * The lines of the file that was rotated before, then those of `path`. A line has the time that it says, or that of the line
 * before it.
 */
export async function* readLogFile(
  path: string,
  { lines, sinceMs, follow }: LogSelection,
  signal: AbortSignal,
): AsyncGenerator<LogLine | "current"> {
  const clock = new LineClock();
  const file = await LogFile.open(path);
  try {
    const before = await linesOf(await LogFile.open(`${path}.1`), clock);
    const now = file === null ? [] : await file.readLines(clock, !follow);
    const wanted = [...before, ...now].filter(({ timeMs }) => sinceMs === null || timeMs >= sinceMs);
    yield* lines === null ? wanted : wanted.slice(Math.max(0, wanted.length - lines));
    yield "current";
    if (follow) yield* followFile(path, file, clock, signal);
  } finally {
    await file?.close();
  }
}

async function linesOf(file: LogFile | null, clock: LineClock): Promise<readonly LogLine[]> {
  if (file === null) return [];
  try {
    return await file.readLines(clock, true);
  } finally {
    await file.close();
  }
}

/** `first` was read to its end. A restart may rename the file and start another one. */
async function* followFile(
  path: string,
  first: LogFile | null,
  clock: LineClock,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  let file = first;
  try {
    while (!signal.aborted) {
      const present = await LogFile.open(path);
      const isOther = present !== null && (file === null || !file.isSame(present));
      clock.now();
      // The end of the former file, before its successor.
      if (file !== null) yield* await file.readLines(clock, isOther);
      if (isOther) {
        if (file !== first) await file?.close();
        file = present;
        yield* await file.readLines(clock, false);
      } else await present?.close();
      await sleep(pollMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    if (file !== first) await file?.close();
  }
}

class LogFile {
  readonly #handle: FileHandle;
  readonly #inode: number;
  #offset = 0;
  /** A line without an end. */
  #rest: Buffer = Buffer.alloc(0);
  readonly #changedMs: number;

  private constructor(handle: FileHandle, inode: number, changedMs: number) {
    this.#handle = handle;
    this.#inode = inode;
    this.#changedMs = changedMs;
  }

  /** Null if there is no such file. */
  static async open(path: string): Promise<LogFile | null> {
    try {
      const handle = await open(path, "r");
      const { ino, mtimeMs } = await handle.stat();
      return new LogFile(handle, ino, mtimeMs);
    } catch (error) {
      if (systemErrorCode(error) === "ENOENT") return null;
      throw error;
    }
  }

  isSame(other: LogFile): boolean {
    return this.#inode === other.#inode;
  }

  /** The lines since the last call. `isFinal`: a line without an end is one too, since nothing more will come. */
  async readLines(clock: LineClock, isFinal: boolean): Promise<readonly LogLine[]> {
    const parts = [this.#rest];
    for (;;) {
      const { bytesRead, buffer } = await this.#handle.read(Buffer.alloc(chunkBytes), 0, chunkBytes, this.#offset);
      if (bytesRead === 0) break;
      this.#offset += bytesRead;
      parts.push(buffer.subarray(0, bytesRead));
    }
    const bytes = Buffer.concat(parts);
    const end = isFinal ? bytes.length : bytes.lastIndexOf(newline) + 1;
    this.#rest = bytes.subarray(end);
    const text = bytes.subarray(0, end).toString("utf8");
    if (text === "") return [];
    return text
      .replace(/\n$/, "")
      .split("\n")
      .map((message) => ({ message, timeMs: clock.timeOf(message, this.#changedMs) }));
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** The times of successive lines. */
class LineClock {
  #lastMs: number | null = null;

  /** Lines without a time are logged now, from here on. */
  now(): void {
    this.#lastMs = Date.now();
  }

  timeOf(line: string, fallbackMs: number): number {
    const said = timeInLine(line);
    this.#lastMs = said ?? this.#lastMs ?? fallbackMs;
    return this.#lastMs;
  }
}

/** The time in a line of haplan's programs or of etcd (`"ts":"..."`, `"time":...`), or at the beginning of any other line. */
export function timeInLine(line: string): number | null {
  const [, iso, epochMs] =
    /^\{.{0,40}"(?:ts":"([^"]+)"|time":(\d{13})\b)/.exec(line) ??
    /^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*)/.exec(line) ??
    [];
  if (epochMs !== undefined) return Number(epochMs);
  const timeMs = Date.parse(iso ?? "");
  return Number.isNaN(timeMs) ? null : timeMs;
}
