/**
 * The key index as stored beside the values, so that opening a store reads a few hundred pages instead of every value
 * ever written. A page describes all changes of a run of revisions, and is written in the same transaction as the last
 * of them: whatever a crash leaves, pages never describe missing values. They are derived data. When they are not
 * contiguous from the first revision on, or one is damaged, all of them are deleted and the values are read.
 *
 *   page     crc32c of the rest 4 · first revision covered, count, then per change:
 *   change   revision − the previous one, sub, flags (1 = tombstone, 2 = leased), created, version, [lease high, low],
 *            key length (all varints), key
 */

import { crc32c } from "../../../base/crc32c.ts";
import { WireError, WireReader, WireWriter } from "../../api/wire.ts";
import type { IndexPages } from "../backend/backend.ts";

const pageRecords = 4096;
const checksumBytes = 4;
const tombstoneFlag = 1;
const leasedFlag = 2;
/** Work of a pruning between two turns of the event loop. */
const changesPerSlice = 500;

/** The index record of one change. */
export type IndexedChange = {
  readonly key: Uint8Array;
  readonly main: number;
  readonly sub: number;
  readonly tombstone: boolean;
  readonly created: number;
  readonly version: number;
  readonly lease: bigint;
};

/** Collects changes in the order of their revisions and writes them out page by page. */
export class IndexPageWriter {
  readonly #pages: IndexPages;
  readonly #recordsMax: number;
  readonly #changes = new WireWriter(4096);
  #firstMain: number;
  #lastMain: number;
  #count = 0;

  /** `firstMain` follows the last revision covered by pages. */
  constructor(pages: IndexPages, firstMain: number, recordsMax: number = pageRecords) {
    this.#pages = pages;
    this.#recordsMax = recordsMax;
    this.#firstMain = firstMain;
    this.#lastMain = firstMain;
  }

  get isFull(): boolean {
    return this.#count >= this.#recordsMax;
  }

  add(change: IndexedChange): void {
    const { main, key, lease } = change;
    const writer = this.#changes;
    writer.int(main - this.#lastMain);
    writer.int(change.sub);
    writer.int((change.tombstone ? tombstoneFlag : 0) | (lease === 0n ? 0 : leasedFlag));
    writer.int(change.created);
    writer.int(change.version);
    if (lease !== 0n) {
      writer.int(Number(BigInt.asUintN(64, lease) >> 32n));
      writer.int(Number(BigInt.asUintN(32, lease)));
    }
    writer.int(key.length);
    writer.raw(key);
    this.#lastMain = main;
    this.#count++;
  }

  /** All changes of `main` are added: a page holds whole revisions. */
  endRevision(main: number): void {
    if (this.isFull) this.endPage(main);
  }

  /** Writes the collected changes as a page that covers everything up to `main`. */
  endPage(main: number): void {
    this.#pages.put(main, this.#encode());
    this.#changes.reset();
    this.#count = 0;
    this.#firstMain = main + 1;
    this.#lastMain = this.#firstMain;
  }

  #encode(): Uint8Array {
    const page = new WireWriter(this.#changes.length + 32);
    page.raw(new Uint8Array(checksumBytes));
    page.int(this.#firstMain);
    page.int(this.#count);
    page.raw(this.#changes.view());
    const bytes = page.copy();
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, crc32c(bytes, checksumBytes));
    return bytes;
  }
}

/**
 * Reads every page in order. Returns the first revision that they do not cover, or null when they cannot be trusted;
 * `restore` may then have been called already.
 */
export function readIndexPages(pages: IndexPages, restore: (change: IndexedChange) => void): number | null {
  let next = 0;
  const whole = pages.read(0, (lastMain, page) => {
    const isValid = readPage(page, next, lastMain, restore);
    next = lastMain + 1;
    return isValid;
  });
  return whole ? next : null;
}

/**
 * Rewrites the pages up to revision `upTo` with the changes that `isKept`, so that they do not outgrow the values.
 * Merged pages are written and deleted within one turn, and so in one transaction. Call it only while no other pruning
 * runs; new pages may be added meanwhile.
 */
export async function pruneIndexPages(
  pages: IndexPages,
  upTo: number,
  isKept: (change: IndexedChange) => boolean,
  yieldTurn: () => Promise<void>,
): Promise<void> {
  const writer = new IndexPageWriter(pages, 0);
  let merged: number[] = [];
  for (let next = 0; ; ) {
    const lastMain = await addKept(pages, writer, next, upTo, isKept, yieldTurn);
    if (lastMain === null) break;
    next = lastMain + 1;
    merged.push(lastMain);
    if (!writer.isFull) {
      await yieldTurn();
      continue;
    }
    replacePages(pages, writer, merged);
    merged = [];
  }
  if (merged.length > 0) replacePages(pages, writer, merged);
}

/**
 * Adds the kept changes of the first page from `next` on, and returns its last revision, or null when there is none.
 */
async function addKept(
  pages: IndexPages,
  writer: IndexPageWriter,
  next: number,
  upTo: number,
  isKept: (change: IndexedChange) => boolean,
  yieldTurn: () => Promise<void>,
): Promise<number | null> {
  const found: { reader: PageReader; lastMain: number }[] = [];
  pages.read(next, (lastMain, page) => {
    // A copy: the store owns the bytes, and continues between the slices.
    if (lastMain <= upTo) found.push({ reader: new PageReader(Uint8Array.from(page), next, lastMain), lastMain });
    return false;
  });
  const [first] = found;
  if (first === undefined || !first.reader.isValid) return null;
  const add = (change: IndexedChange): void => {
    if (isKept(change)) writer.add(change);
  };
  while (first.reader.read(changesPerSlice, add)) await yieldTurn();
  return first.reader.isValid ? first.lastMain : null;
}

function replacePages(pages: IndexPages, writer: IndexPageWriter, merged: readonly number[]): void {
  for (const lastMain of merged) pages.delete(lastMain);
  writer.endPage(merged.at(-1)!);
}

/** False when the page is damaged, or does not start where the previous one ended. */
function readPage(
  page: Uint8Array,
  firstMain: number,
  lastMain: number,
  restore: (change: IndexedChange) => void,
): boolean {
  const reader = new PageReader(page, firstMain, lastMain);
  reader.read(Number.POSITIVE_INFINITY, restore);
  return reader.isValid;
}

/** Reads a page, all at once or in slices. */
class PageReader {
  /** False once the page has turned out to be damaged, or not to start where the previous one ended. */
  isValid = true;
  readonly #reader: WireReader;
  readonly #lastMain: number;
  #main: number;
  #left = 0;

  constructor(page: Uint8Array, firstMain: number, lastMain: number) {
    this.#reader = new WireReader(page, Math.min(checksumBytes, page.length));
    this.#main = firstMain;
    this.#lastMain = lastMain;
    this.isValid = isIntact(page);
    this.#guarded(() => {
      this.isValid = this.#reader.uint64() === firstMain;
      this.#left = this.#reader.uint64();
    });
  }

  /** Returns at most this many changes through `restore`. Returns whether there are more. */
  read(count: number, restore: (change: IndexedChange) => void): boolean {
    this.#guarded(() => {
      for (let some = Math.min(count, this.#left); some > 0; some--, this.#left--) {
        this.#main += this.#reader.uint64();
        restore(readChange(this.#reader, this.#main));
      }
      if (this.#left === 0)
        this.isValid = this.#reader.offset === this.#reader.bytes.length && this.#main <= this.#lastMain;
    });
    return this.isValid && this.#left > 0;
  }

  #guarded(run: () => void): void {
    if (!this.isValid) return;
    try {
      run();
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.isValid = false;
    }
  }
}

function isIntact(page: Uint8Array): boolean {
  if (page.length < checksumBytes) return false;
  return crc32c(page, checksumBytes) === new DataView(page.buffer, page.byteOffset).getUint32(0);
}

function readChange(reader: WireReader, main: number): IndexedChange {
  const sub = reader.uint64();
  const flags = reader.uint64();
  const created = reader.uint64();
  const version = reader.uint64();
  const lease = (flags & leasedFlag) === 0 ? 0n : readLease(reader);
  const key = reader.view();
  return { key, main, sub, tombstone: (flags & tombstoneFlag) !== 0, created, version, lease };
}

function readLease(reader: WireReader): bigint {
  const high = BigInt(reader.uint64());
  return BigInt.asIntN(64, (high << 32n) | BigInt(reader.uint64()));
}
