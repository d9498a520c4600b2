/**
 * The two meta pages at the head of a bbolt file: the root bucket and the number of pages. bbolt writes them
 * alternately, so that one of them is intact after a crash; the valid one with the later transaction counts.
 */
import { damagedDatabase, PageFlag, pageHeaderBytes, readUint64, writePageHeader, writeUint64 } from "./page-format.ts";
import type { PageSource } from "./page-source.ts";

export type Meta = {
  readonly pageBytes: number;
  /** The page of the root bucket. */
  readonly root: number;
  readonly freelist: number;
  /** Pages in use, including free ones: the file's logical length. */
  readonly pageCount: number;
  readonly transaction: number;
};

const magic = 0xed0cdaed;
const version = 2;
const checksumAt = pageHeaderBytes + 56;
const metaBytes = checksumAt + 8;
const pageBytesMin = 1024;
const pageBytesMax = 65_536;

export function encodeMetaPage(id: number, meta: Meta): Buffer {
  const page = Buffer.alloc(meta.pageBytes);
  writePageHeader(page, id, PageFlag.meta, 0, 0);
  const body = page.subarray(pageHeaderBytes);
  body.writeUInt32LE(magic, 0);
  body.writeUInt32LE(version, 4);
  body.writeUInt32LE(meta.pageBytes, 8);
  writeUint64(body, 16, meta.root);
  writeUint64(body, 32, meta.freelist);
  writeUint64(body, 40, meta.pageCount);
  writeUint64(body, 48, meta.transaction);
  page.writeBigUInt64LE(checksum(page), checksumAt);
  return page;
}

/** @throws HaplanError `bbolt/damaged`: neither meta page is intact, or the file is shorter than they require. */
export function readMeta(source: PageSource): Meta {
  const first = readMetaAt(source, 0);
  const candidates = first === null ? [] : [first, readMetaAt(source, first.pageBytes)];
  // If the first page is damaged, the second one is found by trying page sizes.
  for (let at = pageBytesMin; first === null && at <= pageBytesMax; at *= 2) {
    const second = readMetaAt(source, at);
    if (second?.pageBytes === at) candidates.push(second);
  }
  let best: Meta | null = null;
  for (const meta of candidates) if (meta !== null && meta.transaction >= (best?.transaction ?? 0)) best = meta;
  if (best === null) throw damagedDatabase("it has no valid meta page; is it a snapshot at all?");
  if (best.pageCount * best.pageBytes > source.sizeBytes) {
    throw damagedDatabase(
      `it should be ${best.pageCount * best.pageBytes} bytes long but has ${source.sizeBytes}; it was truncated`,
    );
  }
  return best;
}

function readMetaAt(source: PageSource, offset: number): Meta | null {
  if (source.sizeBytes < offset + metaBytes) return null;
  const bytes = source.read(offset, metaBytes);
  const body = bytes.subarray(pageHeaderBytes);
  if (body.readUInt32LE(0) !== magic || body.readUInt32LE(4) !== version) return null;
  if (checksum(bytes) !== bytes.readBigUInt64LE(checksumAt)) return null;
  const pageBytes = body.readUInt32LE(8);
  if (pageBytes < pageBytesMin || pageBytes > pageBytesMax || (pageBytes & (pageBytes - 1)) !== 0) return null;
  return {
    pageBytes,
    root: readUint64(body, 16),
    freelist: readUint64(body, 32),
    pageCount: readUint64(body, 40),
    transaction: readUint64(body, 48),
  };
}

/** FNV-1a, 64 bits, over the meta before its checksum. */
function checksum(page: Buffer): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of page.subarray(pageHeaderBytes, checksumAt)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash;
}
