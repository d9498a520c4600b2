/**
 * Reads a bbolt file that is not being written. Trusts nothing: every position, length and page number is checked
 * before use, no page is visited twice in one walk, and keys have to ascend, so that a damaged file results in an
 * error and never in a crash, a loop or a guess.
 */
import { type Meta, readMeta } from "./meta-page.ts";
import {
  bucketElementFlag,
  bucketHeaderBytes,
  damagedDatabase,
  elementBytes,
  PageFlag,
  pageHeaderBytes,
  readUint64,
} from "./page-format.ts";
import type { PageSource } from "./page-source.ts";

export type DatabaseEntry = { readonly key: Buffer; readonly value: Buffer };

/** A page with all its overflow pages, or the content of an inline bucket. */
type Page = {
  readonly label: string;
  /** 0 for an inline bucket. */
  readonly id: number;
  readonly pages: number;
  readonly bytes: Buffer;
  readonly isLeaf: boolean;
  readonly count: number;
};
type Cursor = { readonly page: Page; next: number };
type LeafElement = DatabaseEntry & { readonly isBucket: boolean };

export class DatabaseReader {
  readonly #source: PageSource;
  readonly #meta: Meta;
  /** Bucket values: root page and, for an inline bucket, its page. */
  readonly #buckets = new Map<string, Buffer>();

  /** @throws HaplanError `bbolt/damaged` */
  constructor(source: PageSource) {
    this.#source = source;
    this.#meta = readMeta(source);
    for (const { key, value, isBucket } of this.#walk(this.#readPage(this.#meta.root))) {
      const name = key.toString();
      if (!isBucket) throw damagedDatabase(`"${name}" should be a bucket but is a value`);
      if (value.length < bucketHeaderBytes) throw damagedDatabase(`bucket "${name}" has no root`);
      this.#buckets.set(name, Buffer.from(value));
    }
  }

  /** The size according to the file's head; the file itself may be longer. */
  get sizeBytes(): number {
    return this.#meta.pageCount * this.#meta.pageBytes;
  }

  /** In file order: sorted by bytes. */
  get bucketNames(): string[] {
    return [...this.#buckets.keys()];
  }

  /**
   * The entries of a bucket in ascending key order; none when there is no such bucket. Views into pages: copy what is
   * kept. @throws HaplanError `bbolt/damaged`, also half-way.
   */
  *entries(bucket: string): Generator<DatabaseEntry> {
    const value = this.#buckets.get(bucket);
    if (value === undefined) return;
    const root = readUint64(value, 0);
    const label = `inline bucket "${bucket}"`;
    const page = root === 0 ? parsePage(label, value.subarray(bucketHeaderBytes)) : this.#readPage(root);
    for (const entry of this.#walk(page)) {
      if (entry.isBucket) throw damagedDatabase(`bucket "${bucket}" contains another bucket`);
      yield entry;
    }
  }

  *#walk(root: Page): Generator<LeafElement> {
    const seen = new Uint8Array((this.#meta.pageCount >>> 3) + 1);
    const path: Cursor[] = [{ page: root, next: 0 }];
    let last: Buffer | null = null;
    for (let cursor = path.at(-1); cursor !== undefined; cursor = path.at(-1)) {
      const { page } = cursor;
      if (cursor.next >= page.count) {
        path.pop();
        continue;
      }
      const index = cursor.next++;
      if (!page.isLeaf) {
        const child = this.#readPage(branchChild(page, index));
        markSeen(seen, child);
        path.push({ page: child, next: 0 });
        continue;
      }
      const element = leafElement(page, index);
      if (last !== null && Buffer.compare(last, element.key) >= 0) {
        throw damagedDatabase(`the keys of ${page.label} are out of order`);
      }
      last = element.key;
      yield element;
    }
  }

  #readPage(id: number): Page {
    const { pageBytes, pageCount } = this.#meta;
    if (id < 2 || id >= pageCount) throw damagedDatabase(`page ${id} does not exist, there are ${pageCount}`);
    let bytes = this.#source.read(id * pageBytes, pageBytes);
    if (bytes.length < pageBytes) throw damagedDatabase(`page ${id} is truncated`);
    if (readUint64(bytes, 0) !== id) throw damagedDatabase(`page ${id} has the id ${readUint64(bytes, 0)}`);
    const overflow = bytes.readUInt32LE(12);
    if (id + overflow >= pageCount) throw damagedDatabase(`page ${id} extends beyond the end`);
    if (overflow > 0) bytes = this.#source.read(id * pageBytes, (overflow + 1) * pageBytes);
    return parsePage(`page ${id}`, bytes, id, overflow + 1);
  }
}

/** Overflow pages count too, so that a walk never reads more than the file has. */
function markSeen(seen: Uint8Array, { id, pages }: Page): void {
  for (let page = id; page < id + pages; page++) {
    const bit = 1 << (page & 7);
    if ((seen[page >>> 3]! & bit) !== 0) throw damagedDatabase(`page ${page} is referred to twice`);
    seen[page >>> 3]! |= bit;
  }
}

function parsePage(label: string, bytes: Buffer, id = 0, pages = 0): Page {
  if (bytes.length < pageHeaderBytes) throw damagedDatabase(`${label} is truncated`);
  const flags = bytes.readUInt16LE(8);
  const count = bytes.readUInt16LE(10);
  if (flags !== PageFlag.leaf && flags !== PageFlag.branch) {
    throw damagedDatabase(`${label} is neither a branch nor a leaf`);
  }
  if (pageHeaderBytes + count * elementBytes > bytes.length) throw damagedDatabase(`${label} is too full`);
  return { label, id, pages, bytes, isLeaf: flags === PageFlag.leaf, count };
}

function leafElement({ label, bytes }: Page, index: number): LeafElement {
  const at = pageHeaderBytes + index * elementBytes;
  const keyAt = at + bytes.readUInt32LE(at + 4);
  const valueAt = keyAt + bytes.readUInt32LE(at + 8);
  const end = valueAt + bytes.readUInt32LE(at + 12);
  if (end > bytes.length || valueAt === keyAt) throw damagedDatabase(`element ${index} of ${label} is invalid`);
  const isBucket = (bytes.readUInt32LE(at) & bucketElementFlag) !== 0;
  return { key: bytes.subarray(keyAt, valueAt), value: bytes.subarray(valueAt, end), isBucket };
}

function branchChild({ label, bytes }: Page, index: number): number {
  const at = pageHeaderBytes + index * elementBytes;
  const end = at + bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4);
  if (end > bytes.length) throw damagedDatabase(`element ${index} of ${label} is invalid`);
  return readUint64(bytes, at + 8);
}
