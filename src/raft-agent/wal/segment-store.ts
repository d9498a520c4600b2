/**
 * The segment files of a log: the active one, a prepared one after it, older ones that are still needed, and a few
 * released ones for reuse. Preparing a segment (zeroing, header, sync, rename) happens in the background, so that the
 * switch from one to the next costs the writer nothing.
 */
import type { Clock } from "../../base/clock.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { LogIndex } from "../raft/entry.ts";
import type { FileHandle, FileSystem } from "./file-system.ts";
import { encodeSegmentHeader, type LogId, segmentHeaderBytes } from "./segment-format.ts";

/** Zeroes are synced this many bytes at a time, so that the log's own syncs never queue behind a whole segment. */
const zeroChunkBytes = 256 * 1024;
/** Between two chunks the disk is left idle for this many times as long as a chunk took, unless a writer waits. */
const pauseFactor = 3;
const pauseMsMax = 20;
const zeroChunk = new Uint8Array(zeroChunkBytes);

export function segmentName(number: number): string {
  return `${String(number).padStart(12, "0")}.log`;
}

/** The number in a segment's name, or null for another file. */
export function segmentNumber(name: string): number | null {
  return /^\d{12}\.log$/.test(name) ? Number(name.slice(0, 12)) : null;
}

export type SegmentSettings = {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly logId: LogId;
  readonly metadata: Uint8Array;
  /** Size of new segments. */
  readonly segmentBytes: number;
  /** Files kept for reuse beyond the prepared one. */
  readonly spareSegmentsMax: number;
  readonly clock: Clock;
};

/** The priority of preparing a segment; may change while it is being prepared. */
export type Priority = "background" | "urgent" | "cancelled";

export type OpenSegment = {
  readonly number: number;
  readonly segmentBytes: number;
  readonly file: FileHandle;
  /** The offset of the next batch. */
  end: number;
  highestIndex: LogIndex;
};

type ClosedSegment = { readonly number: number; readonly highestIndex: LogIndex };

export class SegmentStore {
  active: OpenSegment;
  #closed: ClosedSegment[];
  #ready: OpenSegment[];
  readonly #settings: SegmentSettings;
  /** Changes of the directory run one after the other. */
  #maintenance: Promise<void> = Promise.resolve();
  #priority: Priority = "background";

  constructor(settings: SegmentSettings, closed: readonly ClosedSegment[], active: OpenSegment, ready: OpenSegment[]) {
    this.#settings = settings;
    this.#closed = [...closed];
    this.active = active;
    this.#ready = ready;
  }

  /** Starts preparing the next segment; a failure is reported only when that segment is needed. */
  prepareAhead(): void {
    this.#inBackground(() => this.#prepareNext()).catch(() => {});
  }

  /** Switches to the next segment; waits for it, or retries creating it once, when it is not ready. */
  async advance(): Promise<void> {
    if (this.#ready.length === 0) {
      this.#priority = "urgent";
      await this.#inBackground(() => this.#prepareNext());
      this.#priority = "background";
    }
    const left = this.active;
    this.#closed.push({ number: left.number, highestIndex: left.highestIndex });
    this.active = this.#ready.shift()!;
    await left.file.close();
    this.prepareAhead();
  }

  /**
   * Releases the oldest segments as long as all their entries have an index below `limit`, but never segment
   * `firstNeeded` or a later one: a segment is needed until the state at the start of the next one is durable.
   */
  releaseBelow(limit: LogIndex, firstNeeded: number): Promise<void> {
    return this.#inBackground(async () => {
      // One after the other, each made durable before the next: after a crash the remaining ones are still without a
      // gap.
      for (let oldest = this.#closed[0]; oldest !== undefined; oldest = this.#closed[0]) {
        if (oldest.highestIndex >= limit || oldest.number >= firstNeeded) return;
        await this.#recycle(oldest.number);
        this.#closed.shift();
      }
    });
  }

  /** Waits for background work, then closes the files. */
  async close(): Promise<void> {
    this.#priority = "cancelled";
    await this.#maintenance;
    for (const segment of [this.active, ...this.#ready]) await segment.file.close();
  }

  #inBackground(work: () => Promise<void>): Promise<void> {
    const done = this.#maintenance.then(work);
    this.#maintenance = done.catch(() => {});
    return done;
  }

  async #recycle(number: number): Promise<void> {
    const { fileSystem, directory } = this.#settings;
    const path = `${directory}/${segmentName(number)}`;
    if ((await listSpares(fileSystem, directory)).length < this.#settings.spareSegmentsMax) {
      await fileSystem.rename(path, path.replace(/\.log$/, ".spare"));
    } else await fileSystem.remove(path);
    await fileSystem.syncDir(directory);
  }

  async #prepareNext(): Promise<void> {
    if (this.#ready.length > 0 || this.#priority === "cancelled") return;
    const settings = this.#settings;
    this.#ready.push(await makeSegment(settings, this.active.number + 1, settings.segmentBytes, () => this.#priority));
  }
}

async function listSpares(fileSystem: FileSystem, directory: string): Promise<string[]> {
  return (await fileSystem.list(directory)).filter((name) => name.endsWith(".spare"));
}

/**
 * Creates an empty segment, from a released file when there is one of the right size. It gets its final name only when
 * every byte of it is durable: a segment with its final name always has an intact header and its full size.
 */
export async function makeSegment(
  settings: SegmentSettings,
  number: number,
  segmentBytes: number,
  priority: () => Priority = () => "urgent",
): Promise<OpenSegment> {
  const { fileSystem, directory, logId, metadata } = settings;
  const { file, path } = await openTemporary(settings, number, segmentBytes);
  try {
    await fillWithZeroes(file, segmentBytes, settings.clock, priority);
    await file.write(0, encodeSegmentHeader({ number, logId, segmentBytes, metadata }));
    await file.sync();
    await fileSystem.rename(path, `${directory}/${segmentName(number)}`);
    await fileSystem.syncDir(directory);
    return { number, segmentBytes, file, end: segmentHeaderBytes, highestIndex: 0 };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function fillWithZeroes(file: FileHandle, size: number, clock: Clock, priority: () => Priority): Promise<void> {
  for (let offset = 0; offset < size; offset += zeroChunkBytes) {
    if (priority() === "cancelled")
      throw new HaplanError("wal/closed", "Cannot create a segment: the log is being closed");
    const start = clock.monotonicMs();
    await file.writeDurably(offset, zeroChunk.subarray(0, Math.min(zeroChunkBytes, size - offset)));
    const pauseMs = Math.min(pauseMsMax, pauseFactor * (clock.monotonicMs() - start));
    if (priority() === "background" && pauseMs > 0) await clock.sleep(pauseMs);
  }
}

async function openTemporary(
  { fileSystem, directory }: SegmentSettings,
  number: number,
  segmentBytes: number,
): Promise<{ file: FileHandle; path: string }> {
  for (const spare of await listSpares(fileSystem, directory)) {
    const path = `${directory}/${spare}`;
    const file = await fileSystem.open(path, { create: false });
    if ((await file.size()) === segmentBytes) return { file, path };
    await file.close();
    await fileSystem.remove(path);
  }
  const path = `${directory}/${segmentName(number)}.making`;
  await removeUnfinished(fileSystem, directory);
  return { file: await fileSystem.open(path, { create: true }), path };
}

/** Removes partially created files that a crash has left. */
export async function removeUnfinished(fileSystem: FileSystem, directory: string): Promise<void> {
  for (const name of await fileSystem.list(directory)) {
    if (isUnfinished(name)) await fileSystem.remove(`${directory}/${name}`);
  }
}

/** True for a partially created segment: it holds nothing of a log. */
export function isUnfinished(name: string): boolean {
  return name.endsWith(".making");
}
