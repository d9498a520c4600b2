/**
 * The journal on disk: one line before each action and one after it, each fsynced before anything else happens. After a
 * crash it names the actions that may have happened without being recorded.
 *  A line is `<first 16 hex digits of the SHA-256 of the JSON> <JSON>
 * `. Every line is on disk before the next one is written, so a crash can tear only the last line, which is then
 * truncated. Any other damage is an error.
 */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../base/clock.ts";
import { appendDurably, syncDir } from "../base/durable-file.ts";
import { compareVersion, type FileContent, type FileFormat, upgradeContent } from "../base/file-format.ts";
import { errorText, HaplanError, systemErrorCode } from "../base/haplan-error.ts";
import type { JournalRecord } from "../plan/journal-record.ts";

/**
 * Of each record; one that says none is of version 1. A new version needs an upgrade from the one before, and an example in
 * test/formats/examples.
 */
export const journalFormat: FileFormat = { current: 1, upgrades: {} };

export type Journal = {
  /**
   * All records since the journal was last cleared, oldest first. @throws HaplanError `journal/damaged`,
   * `journal/unreadable`, `journal/newer-version`
   */
  read(): Promise<readonly JournalRecord[]>;
  /** Resolves once the record is on disk, numbered and dated. @throws HaplanError `journal/unwritable` */
  append(record: Omit<JournalRecord, "sequence" | "at">): Promise<void>;
  /**
   * Starts an empty journal; keeps the old one as `<path>.previous`, and that of a restore or a recovery as `<path>.restored`.
   * For a completed plan.
   */
  clear(): Promise<void>;
};

/**
 * The journal at `path`, which is created with its first record. `beforeWrite` is called before each change and may
 * throw to forbid it (the lock's check).
 */
export function createJournalFile(options: {
  readonly path: string;
  readonly clock: Clock;
  readonly beforeWrite: () => Promise<void>;
  readonly format?: FileFormat;
}): Journal {
  const { path, clock, beforeWrite, format = journalFormat } = options;
  let lastSequence: number | null = null;
  return {
    read: async () => parseJournal(path, readBytes(path), format).records,
    append: async (record) => {
      await beforeWrite();
      lastSequence ??= repair(path, format);
      const numbered = { sequence: lastSequence + 1, at: new Date(clock.now()).toISOString(), ...record };
      try {
        appendDurably(path, renderLine(numbered, format));
      } catch (error) {
        // Half of the line may be on disk: it is truncated before anything is written after it.
        lastSequence = null;
        throw unwritable(path, error);
      }
      lastSequence = numbered.sequence;
    },
    clear: async () => {
      await beforeWrite();
      lastSequence = null;
      const bytes = readBytes(path);
      if (bytes.length === 0) return;
      const isRestore = parseJournal(path, bytes, format).records.some(
        ({ action }) => action?.kind === "restoreMember",
      );
      const kept = keptJournals(path);
      renameSync(path, isRestore ? kept.restored : kept.previous);
      syncDir(dirname(path));
    },
  };
}

/** Journals of completed plans: a restore or a recovery is kept when others follow. */
export function keptJournals(path: string): { readonly previous: string; readonly restored: string } {
  return { previous: `${path}.previous`, restored: `${path}.restored` };
}

/** Truncates a torn last line; returns the sequence number of the last whole one. */
function repair(path: string, format: FileFormat): number {
  const bytes = readBytes(path);
  const { records, soundBytes } = parseJournal(path, bytes, format);
  if (soundBytes < bytes.length) {
    const file = openSync(path, "r+");
    try {
      ftruncateSync(file, soundBytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }
  return records.length;
}

function unwritable(path: string, error: unknown): HaplanError {
  const message = `Cannot write the journal\n${path}: ${errorText(error)}\nNo further step was started. Free some space or make the file writable, and run the same command again: existing resources are detected and not created again.`;
  return new HaplanError("journal/unwritable", message, { cause: error });
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return Buffer.alloc(0);
    throw new HaplanError("journal/unreadable", `Cannot read the journal\n${path}: ${errorText(error)}`, {
      cause: error,
    });
  }
}

/** `soundBytes`: how much of the file consists of whole records. */
function parseJournal(
  path: string,
  bytes: Buffer,
  format: FileFormat,
): { records: readonly JournalRecord[]; soundBytes: number } {
  const records: JournalRecord[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = bytes.indexOf(0x0a, start);
    const content = end === -1 ? null : parseLine(bytes.toString("utf8", start, end));
    const record = content === null ? null : recordFrom(content, `${path}:${records.length + 1}`, format);
    if (content !== null && record === null) throw damaged(path, records.length + 1);
    if (record?.sequence !== records.length + 1) {
      if (record === null && (end === -1 || end === bytes.length - 1)) break;
      throw damaged(path, records.length + 1);
    }
    records.push(record);
    start = end + 1;
  }
  return { records, soundBytes: start };
}

function damaged(path: string, line: number): HaplanError {
  const message = `The journal is damaged at line ${line}\n${path}\nIt records what an interrupted apply may have done. Nothing was changed now. If no apply was interrupted, or if the status shows that the cluster is healthy, move the file away: the next plan is made from the state and the observed cluster.`;
  return new HaplanError("journal/damaged", message, { commands: [["status"]] });
}

/** Null when it says no version that there is. @throws HaplanError `journal/newer-version` */
function recordFrom(content: FileContent, place: string, format: FileFormat): JournalRecord | null {
  const { version = 1, ...rest } = content;
  const comparison = compareVersion(format, version);
  if (comparison === "newer") {
    const message = `The journal was written by a newer haplan\n${place} has version ${version}, but this haplan supports versions up to ${format.current}. It tells what an interrupted apply may have done, and was not changed. Finish that apply with the haplan that began it.`;
    throw new HaplanError("journal/newer-version", message);
  }
  if (comparison === "unknown") return null;
  const { version: _, ...record } = upgradeContent(format, version as number, rest);
  return record as unknown as JournalRecord;
}

function renderLine(record: JournalRecord, { current }: FileFormat): string {
  const json = JSON.stringify({ version: current, ...record });
  return `${checksum(json)} ${json}\n`;
}

function parseLine(line: string): FileContent | null {
  const json = line.slice(17);
  if (line[16] !== " " || line.slice(0, 16) !== checksum(json)) return null;
  const content: unknown = JSON.parse(json);
  return typeof content === "object" && content !== null && !Array.isArray(content) ? (content as FileContent) : null;
}

function checksum(json: string): string {
  return createHash("sha256").update(json).digest("hex").slice(0, 16);
}
