/**
 * The write-ahead log of a member's persistent state, made durable with one disk write per group of batches. While one
 * group is being written, further batches are collected into the next one (group commit). Two buffers alternate, so
 * the hot path allocates one promise per group.
 */
import { assert } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import type { Entry, HardState, LogIndex } from "../raft/entry.ts";
import { ByteReader, ByteWriter } from "./byte-codec.ts";
import type { DirLock } from "./file-system.ts";
import { entryRecordBytes, readRecord, writeEntry, writeHardState, writeSnapshotMarker } from "./record.ts";
import { batchBytes, batchHeaderBytes, type LogId, sealBatch, segmentHeaderBytes } from "./segment-format.ts";
import type { SegmentStore } from "./segment-store.ts";
import type { TermRuns } from "./term-runs.ts";

/** Larger buffers are not kept. */
const bufferBytesMax = 8 * 1024 * 1024;

/** Room for the state at the start of a new segment: enough for a configuration of 100 members. */
const carryBytesMax = 1024;

/** The unit of durability; the snapshot comes first, then the entries, then the hard state. */
export type WalBatch = {
  readonly hardState: HardState | null;
  /** Consecutive. The index of the first may lie inside the log: everything from there on is replaced. */
  readonly entries: readonly Entry[];
  /** A snapshot that is durable elsewhere: entries up to its index are no longer needed (Raft §7). */
  readonly snapshot: SnapshotMetadata | null;
};

export type WalObserver = {
  /** Called after each durable write: how long write and fdatasync took together, and how many bytes were written. */
  onSync?(durationMs: number, bytes: number): void;
};

/** The hard state and snapshot marker as of some position in the log. */
export type CarriedState = { hardState: HardState | null; snapshot: SnapshotMetadata | null };

export type WalParts = {
  readonly segments: SegmentStore;
  readonly lock: DirLock;
  readonly termRuns: TermRuns;
  readonly logId: LogId;
  readonly clock: Clock;
  readonly observer: WalObserver;
  readonly segmentBytes: number;
  readonly lastSequence: number;
  readonly lastCrc: number;
  readonly carriedState: CarriedState;
};

/** Batches that become durable together. `writer` holds room for a header, then the payload. */
type Group = {
  readonly writer: ByteWriter;
  readonly carriedState: CarriedState;
  highestIndex: LogIndex;
  durable: Promise<void>;
  resolve: () => void;
  reject: (error: Error) => void;
};

type BatchPart = { readonly moreFollows: boolean; readonly highestIndex: LogIndex };

export class Wal {
  readonly #parts: WalParts;
  #sequence: number;
  #previousCrc: number;
  /** As of the last byte written, including the middle of a group. */
  readonly #written: CarriedState;
  /** Of the last group that is durable as a whole. */
  #durableSnapshotIndex: LogIndex;
  /** The segment in which that group ends; the state at its start is therefore durable. */
  #durableSegment: number;
  #collecting: Group | null = null;
  #spareWriter: ByteWriter | null = new ByteWriter(64 * 1024);
  #running: Promise<void> | null = null;
  #writingSinceMs: number | null = null;
  #failure: HaplanError | null = null;
  #closing = false;

  /** Use `openWal`. */
  constructor(parts: WalParts) {
    this.#parts = parts;
    this.#sequence = parts.lastSequence;
    this.#previousCrc = parts.lastCrc;
    this.#written = { ...parts.carriedState };
    this.#durableSnapshotIndex = parts.carriedState.snapshot?.index ?? 0;
    this.#durableSegment = parts.segments.active.number;
  }

  /**
   * Resolves once the batch is durable. May be called again before that: waiting batches are written together, in the
   * order of the calls. All bytes are copied before it returns. A disk error (`wal/write-failed`) is final: every
   * waiting and every later append is rejected with it. @throws AssertionError when the entries do not continue the
   * log.
   */
  append(batch: WalBatch): Promise<void> {
    const error = this.#failure ?? (this.#closing ? closedError() : this.#findTooLarge(batch.entries));
    if (error !== null) return Promise.reject(error);
    if (batch.snapshot === null) this.#parts.termRuns.assertAppendable(batch.entries);
    const group = (this.#collecting ??= this.#newGroup());
    this.#encode(group, batch);
    this.#running ??= Promise.resolve().then(() => this.#run());
    return group.durable;
  }

  /** How long the disk write in flight has been pending; null when there is none. For detecting a stalled disk. */
  pendingSinceMs(): number | null {
    return this.#writingSinceMs === null ? null : this.#parts.clock.monotonicMs() - this.#writingSinceMs;
  }

  /**
   * Truncates the front of the log: frees the space of entries below `index`, by whole segments. Entries that the last
   * durable snapshot marker does not cover are kept, whatever `index` says.
   */
  async truncateBefore(index: LogIndex): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    await this.#parts.segments.releaseBelow(Math.min(index, this.#durableSnapshotIndex + 1), this.#durableSegment);
  }

  /** Completes the pending appends, closes the files and unlocks the directory. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#running;
    await this.#parts.segments.close();
    await this.#parts.lock.release();
  }

  #newGroup(): Group {
    const writer = this.#spareWriter ?? new ByteWriter(64 * 1024);
    this.#spareWriter = null;
    writer.length = batchHeaderBytes;
    let resolve = (): void => {};
    let reject = (_error: Error): void => {};
    const durable = new Promise<void>((onDurable, onFailure) => {
      resolve = onDurable;
      reject = onFailure;
    });
    durable.catch(() => {}); // The callers hold the same promise and observe the failure there.
    return { writer, carriedState: { hardState: null, snapshot: null }, highestIndex: 0, durable, resolve, reject };
  }

  #encode(group: Group, { snapshot, entries, hardState }: WalBatch): void {
    const { termRuns } = this.#parts;
    if (snapshot !== null) {
      writeSnapshotMarker(group.writer, snapshot, termRuns.compact(snapshot));
      group.carriedState.snapshot = snapshot;
      termRuns.assertAppendable(entries);
    }
    for (const entry of entries) {
      writeEntry(group.writer, entry);
      termRuns.append(entry);
      if (entry.index > group.highestIndex) group.highestIndex = entry.index;
    }
    if (hardState !== null) {
      writeHardState(group.writer, hardState);
      group.carriedState.hardState = hardState;
    }
  }

  #findTooLarge(entries: readonly Entry[]): HaplanError | null {
    const roomMax = this.#parts.segmentBytes - segmentHeaderBytes - carryBytesMax;
    for (const entry of entries) {
      if (batchBytes(entryRecordBytes(entry.data.length)) <= roomMax) continue;
      return new HaplanError(
        "wal/entry-too-large",
        `Cannot append entry ${entry.index}: its ${entry.data.length} bytes do not fit into a segment of ${this.#parts.segmentBytes} bytes`,
      );
    }
    return null;
  }

  async #run(): Promise<void> {
    for (let group = this.#collecting; group !== null; group = this.#collecting) {
      this.#collecting = null;
      try {
        await this.#writeGroup(group);
        group.resolve();
      } catch (error) {
        this.#fail(error, group);
      }
      if (group.writer.bytes.length <= bufferBytesMax) this.#spareWriter = group.writer;
    }
    this.#running = null;
  }

  #fail(error: unknown, group: Group): void {
    this.#failure = new HaplanError(
      "wal/write-failed",
      `Cannot write the log: ${errorText(error)}. The pending writes may or may not be durable, so this member stops; ` +
        "check the disk and start the member again",
      { cause: error },
    );
    group.reject(this.#failure);
    this.#collecting?.reject(this.#failure);
    this.#collecting = null;
  }

  async #writeGroup(group: Group): Promise<void> {
    const { writer, highestIndex } = group;
    this.#writingSinceMs = this.#parts.clock.monotonicMs();
    const payloadBytes = writer.length - batchHeaderBytes;
    const { active } = this.#parts.segments;
    if (batchBytes(payloadBytes) <= active.segmentBytes - active.end) {
      await this.#writeBatch(writer, payloadBytes, { moreFollows: false, highestIndex });
    } else await this.#writeInParts(new ByteReader(writer.bytes, batchHeaderBytes, writer.length), highestIndex);
    this.#writingSinceMs = null;
    this.#written.hardState = group.carriedState.hardState ?? this.#written.hardState;
    this.#written.snapshot = group.carriedState.snapshot ?? this.#written.snapshot;
    this.#durableSnapshotIndex = this.#written.snapshot?.index ?? 0;
    this.#durableSegment = this.#parts.segments.active.number;
  }

  /** Seals the payload that is in `writer` after the room for a header, and makes it durable. */
  async #writeBatch(writer: ByteWriter, payloadBytes: number, part: BatchPart): Promise<void> {
    const { clock, observer, logId, segments } = this.#parts;
    const { active } = segments;
    const total = batchBytes(payloadBytes);
    writer.length = batchHeaderBytes + payloadBytes;
    writer.reserve(total - writer.length);
    const { moreFollows } = part;
    const frame = { payloadBytes, sequence: this.#sequence + 1, previousCrc: this.#previousCrc, moreFollows, logId };
    const crc = sealBatch(writer.bytes, 0, frame);
    const start = clock.monotonicMs();
    await active.file.writeDurably(active.end, writer.bytes.subarray(0, total));
    observer.onSync?.(clock.monotonicMs() - start, total);
    active.end += total;
    active.highestIndex = Math.max(active.highestIndex, part.highestIndex);
    this.#sequence++;
    this.#previousCrc = crc;
  }

  /**
   * Writes a group that does not fit into the rest of the segment: as few batches as the segments allow, all but the
   * last one marked `moreFollows`, so that recovery takes the group as a whole or not at all.
   */
  async #writeInParts(records: ByteReader, highestIndex: LogIndex): Promise<void> {
    const { segments } = this.#parts;
    let isFresh = false;
    while (records.remaining > 0) {
      const room = segments.active.segmentBytes - segments.active.end;
      const start = records.at;
      if (batchBytes(records.remaining) <= room) records.at = records.end;
      // A group that certainly fits into the next segment is not started in this one.
      else if (isFresh || records.remaining > this.#parts.segmentBytes / 4) this.#skipFitting(records, room);
      if (records.at > start) {
        const part = new ByteWriter(batchBytes(records.at - start));
        part.length = batchHeaderBytes;
        part.raw(records.bytes.subarray(start, records.at));
        await this.#writeBatch(part, records.at - start, { moreFollows: records.remaining > 0, highestIndex });
      }
      if (records.remaining === 0) return;
      await this.#advance(records.at > batchHeaderBytes);
      isFresh = true;
    }
  }

  /** Advances `records` over as many records as fit into a batch of `room` bytes, noting their state. */
  #skipFitting(records: ByteReader, room: number): void {
    const start = records.at;
    while (records.remaining > 0) {
      const recordStart = records.at;
      const record = readRecord(records);
      if (batchBytes(records.at - start) > room) {
        records.at = recordStart;
        return;
      }
      if (record.kind === "hardState") this.#written.hardState = record.hardState;
      if (record.kind === "snapshot") this.#written.snapshot = record.snapshot;
    }
  }

  /**
   * Switches to the next segment, which starts with the current hard state and snapshot marker, so that the segments
   * before it can be released. `moreFollows` makes that batch part of the group being written.
   */
  async #advance(moreFollows: boolean): Promise<void> {
    await this.#parts.segments.advance();
    const { hardState, snapshot } = this.#written;
    const carry = new ByteWriter(carryBytesMax);
    carry.length = batchHeaderBytes;
    if (snapshot !== null) writeSnapshotMarker(carry, snapshot, true);
    if (hardState !== null) writeHardState(carry, hardState);
    assert(batchBytes(carry.length) <= carryBytesMax, "the state at the start of a new segment is small");
    await this.#writeBatch(carry, carry.length - batchHeaderBytes, { moreFollows, highestIndex: 0 });
  }
}

function closedError(): HaplanError {
  return new HaplanError("wal/closed", "Cannot append: the log is closed");
}
