/**
 * Builds a bbolt tree from entries in ascending order: leaves are filled one after the other, a full page is written
 * and its first key passed to the page above, so that only one page per level is held. Pages never change once
 * written.
 */
import { assert } from "../../base/assert.ts";
import { elementBytes, keyBytesMax, PageFlag, pageHeaderBytes, writePageHeader, writeUint64 } from "./page-format.ts";

/** Numbers pages and collects their bytes, or only numbers them when only the layout is needed. */
export class PageOutput {
  readonly pageBytes: number;
  readonly keepsBytes: boolean;
  nextId: number;
  #gathered: Buffer[] = [];

  constructor(options: { readonly pageBytes: number; readonly firstId: number; readonly keepsBytes: boolean }) {
    this.pageBytes = options.pageBytes;
    this.nextId = options.firstId;
    this.keepsBytes = options.keepsBytes;
  }

  /** The bytes of the pages since the last call, in the order of their numbers. */
  take(): Buffer {
    const bytes = Buffer.concat(this.#gathered);
    this.#gathered = [];
    return bytes;
  }

  /** Assigns a number to a page of `usedBytes`; a larger one continues in overflow pages. */
  write(usedBytes: number, fill: (page: Buffer, id: number, overflow: number) => void): number {
    const id = this.nextId;
    const pages = Math.max(1, Math.ceil(usedBytes / this.pageBytes));
    this.nextId += pages;
    if (this.keepsBytes) {
      const page = Buffer.alloc(pages * this.pageBytes);
      fill(page, id, pages - 1);
      this.#gathered.push(page);
    }
    return id;
  }
}

type Element = {
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly flags: number;
  readonly child: number;
};

class OpenPage {
  readonly #output: PageOutput;
  readonly #isLeaf: boolean;
  #elements: Element[] = [];
  #data: Buffer;
  #dataBytes = 0;
  firstKey: Buffer = Buffer.alloc(0);

  constructor(output: PageOutput, isLeaf: boolean) {
    this.#output = output;
    this.#isLeaf = isLeaf;
    this.#data = Buffer.alloc(output.keepsBytes ? output.pageBytes : 0);
  }

  /**
   * A branch takes at least two children whatever their keys' lengths, or the tree would never converge to one root.
   */
  hasRoomFor(entryBytes: number): boolean {
    if (this.#elements.length < (this.#isLeaf ? 1 : 2)) return true;
    return this.#usedBytes() + elementBytes + entryBytes <= this.#output.pageBytes;
  }

  add(key: Uint8Array, value: Uint8Array, flags: number, child: number): void {
    if (this.#elements.length === 0) this.firstKey = Buffer.from(key);
    this.#elements.push({ keyBytes: key.length, valueBytes: value.length, flags, child });
    if (this.#output.keepsBytes) this.#append(key, value);
    this.#dataBytes += key.length + value.length;
  }

  /** Writes the page, clears it, and returns its number. */
  flush(): number {
    const id = this.#output.write(this.#usedBytes(), (page, ownId, overflow) => this.#encode(page, ownId, overflow));
    this.#elements = [];
    this.#dataBytes = 0;
    return id;
  }

  #usedBytes(): number {
    return pageHeaderBytes + this.#elements.length * elementBytes + this.#dataBytes;
  }

  #append(key: Uint8Array, value: Uint8Array): void {
    const end = this.#dataBytes + key.length + value.length;
    if (end > this.#data.length) {
      const larger = Buffer.alloc(Math.max(end, this.#data.length * 2));
      this.#data.copy(larger, 0, 0, this.#dataBytes);
      this.#data = larger;
    }
    this.#data.set(key, this.#dataBytes);
    this.#data.set(value, this.#dataBytes + key.length);
  }

  #encode(page: Buffer, id: number, overflow: number): void {
    const count = this.#elements.length;
    writePageHeader(page, id, this.#isLeaf ? PageFlag.leaf : PageFlag.branch, count, overflow);
    let dataAt = pageHeaderBytes + count * elementBytes;
    this.#data.copy(page, dataAt, 0, this.#dataBytes);
    let at = pageHeaderBytes;
    for (const { keyBytes, valueBytes, flags, child } of this.#elements) {
      if (this.#isLeaf) {
        page.writeUInt32LE(flags, at);
        page.writeUInt32LE(dataAt - at, at + 4);
        page.writeUInt32LE(keyBytes, at + 8);
        page.writeUInt32LE(valueBytes, at + 12);
      } else {
        page.writeUInt32LE(dataAt - at, at);
        page.writeUInt32LE(keyBytes, at + 4);
        writeUint64(page, at + 8, child);
      }
      at += elementBytes;
      dataAt += keyBytes + valueBytes;
    }
  }
}

const noValue = new Uint8Array(0);

export class TreeWriter {
  readonly #output: PageOutput;
  /** The page being filled at each height, leaves first. */
  readonly #levels: OpenPage[];

  constructor(output: PageOutput) {
    this.#output = output;
    this.#levels = [new OpenPage(output, true)];
  }

  /** Copies what it keeps. Keys are ascending and unique. */
  add(key: Uint8Array, value: Uint8Array, flags = 0): void {
    assert(key.length > 0 && key.length <= keyBytesMax, "bbolt takes keys of 1 to 32768 bytes");
    this.#addAt(0, key, value, flags, 0);
  }

  /** Writes what is left and returns the root's page number. An empty tree is one empty leaf. */
  finish(): number {
    for (let level = 0; level < this.#levels.length - 1; level++) this.#flush(level);
    return this.#levels.at(-1)!.flush();
  }

  #addAt(level: number, key: Uint8Array, value: Uint8Array, flags: number, child: number): void {
    let page = this.#levels[level];
    if (page === undefined) this.#levels.push((page = new OpenPage(this.#output, false)));
    if (!page.hasRoomFor(key.length + value.length)) this.#flush(level);
    page.add(key, value, flags, child);
  }

  #flush(level: number): void {
    const page = this.#levels[level]!;
    const { firstKey } = page;
    this.#addAt(level + 1, firstKey, noValue, 0, page.flush());
  }
}
