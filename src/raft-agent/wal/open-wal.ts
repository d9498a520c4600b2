/** Opens a log: locks its directory, recovers its content, repairs a torn tail, and prepares it for writing. */

import { randomBytes } from "node:crypto";
import { type Clock, systemClock } from "../../base/clock.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { Random } from "../../base/random.ts";
import { copyBytes } from "./byte-codec.ts";
import { damageError } from "./damage.ts";
import type { DirLock, FileSystem } from "./file-system.ts";
import { type RecoveredLog, Replay } from "./replay.ts";
import { type Scan, type ScannedSegment, scanLog, type TornRange } from "./scan.ts";
import { type LogId, metadataBytesMax, segmentBytesMin } from "./segment-format.ts";
import {
  makeSegment,
  type OpenSegment,
  removeUnfinished,
  type SegmentSettings,
  SegmentStore,
} from "./segment-store.ts";
import { TermRuns } from "./term-runs.ts";
import { Wal, type WalObserver } from "./wal.ts";

const segmentBytesDefault = 64 * 1024 * 1024;
/** A new log's first segment is small, so that a new member starts at once; the second one is prepared meanwhile. */
const firstSegmentBytesMax = 4 * 1024 * 1024;

export type OpenWalOptions = {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  /**
   * Opaque bytes, at most 256, written when the log is created: the identity of the log's owner. Ignored for an
   * existing log.
   */
  readonly metadata: Uint8Array;
  /** Size of new segments, at least 4096; 64 MiB by default. */
  readonly segmentBytes?: number;
  /** Released segments kept for reuse; 2 by default. */
  readonly spareSegmentsMax?: number;
  readonly clock?: Clock;
  /** The source of the new log's identity; the system's randomness by default. */
  readonly random?: Random;
  readonly observer?: WalObserver;
};

export type RecoveredWal = RecoveredLog & {
  /** The log did not exist before. */
  readonly isNew: boolean;
  readonly metadata: Uint8Array;
  /** The remains of batches that were never acknowledged when the process crashed; zeroed by now. */
  readonly repaired: readonly { readonly file: string; readonly offset: number; readonly bytes: number }[];
};

/**
 * @throws HaplanError `file-system/locked` when another process holds the directory, `wal/damaged` when the log does
 * not hold what was acknowledged, `wal/bad-option`, or the system's error.
 */
export async function openWal(options: OpenWalOptions): Promise<{ wal: Wal; recovered: RecoveredWal }> {
  checkOptions(options);
  const { fileSystem, directory } = options;
  await fileSystem.makeDir(directory);
  const lock = await fileSystem.lock(`${directory}/lock`);
  try {
    await removeUnfinished(fileSystem, directory);
    const replay = new Replay();
    const scan = await scanLog(fileSystem, directory, (batch) => {
      const highest = replay.apply(copyBytes(batch.payload));
      batch.segment.highestIndex = Math.max(batch.segment.highestIndex, highest);
    });
    if (scan.segments.length === 0) return await createLog(options, lock);
    return await resumeLog(options, lock, scan, replay);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function checkOptions({ metadata, segmentBytes = segmentBytesDefault }: OpenWalOptions): void {
  if (metadata.length > metadataBytesMax) {
    throw new HaplanError(
      "wal/bad-option",
      `Cannot open the log: its metadata has ${metadata.length} bytes, but at most ${metadataBytesMax} are allowed`,
    );
  }
  if (!Number.isInteger(segmentBytes) || segmentBytes < segmentBytesMin || segmentBytes % 8 !== 0) {
    throw new HaplanError(
      "wal/bad-option",
      `Cannot open the log: a segment size of ${segmentBytes} is not a multiple of 8 of at least ${segmentBytesMin}`,
    );
  }
}

async function createLog(options: OpenWalOptions, lock: DirLock): Promise<{ wal: Wal; recovered: RecoveredWal }> {
  const leftovers = (await options.fileSystem.list(options.directory)).filter((name) => name.endsWith(".spare"));
  if (leftovers.length > 0)
    throw damageError(leftovers[0]!, 0, "a segment of an older log whose other files are missing");
  const settings = settingsOf(options, drawLogId(options.random), copyBytes(options.metadata));
  const first = await makeSegment(settings, 1, Math.min(settings.segmentBytes, firstSegmentBytesMax));
  const empty = { hardState: null, snapshot: null, entries: [] };
  const wal = startWal(options, lock, settings, { closed: [], active: first, ready: [] }, empty, {
    lastSequence: 0,
    lastCrc: 0,
  });
  return { wal, recovered: { ...empty, isNew: true, metadata: settings.metadata, repaired: [] } };
}

async function resumeLog(
  options: OpenWalOptions,
  lock: DirLock,
  scan: Scan,
  replay: Replay,
): Promise<{ wal: Wal; recovered: RecoveredWal }> {
  const active = scan.lastBatch?.segment ?? scan.segments[0]!;
  const log = replay.finish();
  if ("problem" in log) throw damageError(active.name, active.end, log.problem);
  const { fileSystem, directory } = options;
  // The process that renamed the newest segment may not have synced the directory.
  await fileSystem.syncDir(directory);
  const open = new Map<ScannedSegment, OpenSegment>();
  for (const segment of scan.segments.filter(({ number }) => number >= active.number)) {
    open.set(segment, await openSegment(options, segment));
  }
  await repairTail(scan.torn, open);
  // A process that died between write and sync leaves bytes that can be read but are not durable. Writing them again
  // makes them dirty again even where the kernel dropped them after a failed sync.
  if (scan.lastBatch !== null) await open.get(active)!.file.writeDurably(scan.lastBatch.offset, scan.lastBatch.bytes);
  const settings = settingsOf(options, active.header.logId, active.header.metadata);
  const [first, ...ready] = open.values();
  const closed = scan.segments.filter(({ number }) => number < active.number);
  const wal = startWal(options, lock, settings, { closed, active: first!, ready }, log, scan);
  const repaired = scan.torn.map(({ segment, start, end }) => ({
    file: segment.name,
    offset: start,
    bytes: end - start,
  }));
  return { wal, recovered: { ...log, isNew: false, metadata: active.header.metadata, repaired } };
}

async function openSegment({ fileSystem, directory }: OpenWalOptions, segment: ScannedSegment): Promise<OpenSegment> {
  const file = await fileSystem.open(`${directory}/${segment.name}`, { create: false });
  const { number, end, highestIndex, header } = segment;
  return { number, segmentBytes: header.segmentBytes, file, end, highestIndex };
}

/** From the last to the first: a crash in between must not leave a later batch of a group without its earlier ones. */
async function repairTail(torn: readonly TornRange[], open: ReadonlyMap<ScannedSegment, OpenSegment>): Promise<void> {
  for (const { segment, start, end } of torn.toReversed()) {
    await open.get(segment)!.file.writeDurably(start, new Uint8Array(end - start));
  }
}

function startWal(
  options: OpenWalOptions,
  lock: DirLock,
  settings: SegmentSettings,
  files: { readonly closed: readonly ScannedSegment[]; readonly active: OpenSegment; readonly ready: OpenSegment[] },
  log: RecoveredLog,
  { lastSequence, lastCrc }: Pick<Scan, "lastSequence" | "lastCrc">,
): Wal {
  const segments = new SegmentStore(settings, files.closed, files.active, files.ready);
  const termRuns = new TermRuns();
  if (log.snapshot !== null) termRuns.compact(log.snapshot);
  for (const entry of log.entries) termRuns.append(entry);
  segments.prepareAhead();
  return new Wal({
    segments,
    lock,
    termRuns,
    lastSequence,
    lastCrc,
    logId: settings.logId,
    segmentBytes: settings.segmentBytes,
    clock: settings.clock,
    observer: options.observer ?? {},
    carriedState: { hardState: log.hardState, snapshot: log.snapshot },
  });
}

function settingsOf(options: OpenWalOptions, logId: LogId, metadata: Uint8Array): SegmentSettings {
  const { fileSystem, directory, segmentBytes = segmentBytesDefault, spareSegmentsMax = 2 } = options;
  return {
    fileSystem,
    directory,
    logId,
    metadata,
    segmentBytes,
    spareSegmentsMax,
    clock: options.clock ?? systemClock,
  };
}

/** Neither half is ever zero. */
function drawLogId(random: Random | undefined): LogId {
  if (random !== undefined) return { high: 1 + random.below(0xffff_ffff), low: 1 + random.below(0xffff_ffff) };
  const bytes = randomBytes(8);
  return { high: bytes.readUInt32LE(0) || 1, low: bytes.readUInt32LE(4) || 1 };
}
