/**
 * The layout of the store's one LMDB tree, and opening, reading and writing it: metadata first, then revisions in
 * order, then the pages of the key index.
 */
import { chmodSync, closeSync, openSync, statSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import { errorText, HaplanError } from "../../../base/haplan-error.ts";
import { isTombstone, mainOf, readBigEndian, subOf, writeBigEndian, writeRevisionKey } from "../revision.ts";
import type { ReadSnapshot, RevisionVisitor } from "./backend.ts";
import type { PendingWrites } from "./pending-writes.ts";

export type Tree = RootDatabase<Buffer, Uint8Array>;

/**
 * Holds the version of this layout as a decimal number; a tree without it has version 1. It belongs to the file, and no
 * snapshot carries it.
 */
export const layoutKey: Uint8Array = Uint8Array.of(0);
const layoutVersion = 1;
const metadataPrefix = 1;
const revisionPrefix = 2;
const indexPagePrefix = 3;
/** Revisions precede this key. */
const revisionsEnd = Uint8Array.of(indexPagePrefix);
export const indexKey = "meta\0consistent_index";
export const termKey = "meta\0term";

/** Builds the keys of revisions in one buffer, which the next call overwrites: LMDB copies keys as it takes them. */
export class RevisionKeys {
  readonly #buffer = new Uint8Array(19);
  readonly #revisionPart = this.#buffer.subarray(1);
  readonly #putKey = this.#buffer.subarray(0, 18);

  constructor() {
    this.#buffer[0] = revisionPrefix;
  }

  key(main: number, sub: number, tombstone: boolean): Uint8Array {
    return writeRevisionKey(this.#revisionPart, main, sub, tombstone) === 17 ? this.#putKey : this.#buffer;
  }
}

/** Of the last change in the tree; 0 if there is none. */
export function lastMain(tree: Tree): number {
  const range = tree.getKeys({ start: revisionsEnd, end: Uint8Array.of(revisionPrefix), reverse: true, limit: 1 });
  for (const key of range as Iterable<Uint8Array>) return mainOf(key.subarray(1));
  return 0;
}

/** Call it inside `tree.batch`. */
export function writePending(tree: Tree, keys: RevisionKeys, batch: PendingWrites): void {
  batch.scan(0, 0, (main, sub, tombstone, value) => {
    tree.put(keys.key(main, sub, tombstone), value as Buffer);
    return true;
  });
  for (const { main, sub, tombstone } of batch.deletions) tree.remove(keys.key(main, sub, tombstone));
  for (const [key, value] of batch.metadata) {
    if (value === null) tree.remove(metadataKey(key));
    else tree.put(metadataKey(key), value as Buffer);
  }
  for (const [lastMain, page] of batch.indexPages) {
    if (page === null) tree.remove(indexPageKey(lastMain));
    else tree.put(indexPageKey(lastMain), page as Buffer);
  }
}

/** The metadata of one bucket, by name, in the tree. */
export function readBucket(tree: Tree, bucket: string): Map<string, Uint8Array> {
  const prefix = `${bucket}\0`;
  const found = new Map<string, Uint8Array>();
  for (const { key, value } of tree.getRange({ start: metadataKey(prefix) })) {
    const text = metadataText(key);
    if (key[0] !== metadataPrefix || !text.startsWith(prefix)) break;
    found.set(text.slice(prefix.length), value);
  }
  return found;
}

/** The size of the file, and of the pages in use. */
export function treeBytes(tree: Tree): { readonly total: number; readonly inUse: number } {
  const stats = tree.getStats() as Record<string, number>;
  const pages = stats["treeBranchPageCount"]! + stats["treeLeafPageCount"]! + stats["overflowPages"]! + 2;
  const pageBytes = stats["pageSize"]!;
  return { total: (stats["lastPageNumber"]! + 1) * pageBytes, inUse: pages * pageBytes };
}

/** @throws HaplanError `store/open-failed`, `store/cut-off`, `store/newer-version` */
export function openTree(path: string, mapSize: number): Tree {
  const tree = openDatabase(path, mapSize);
  verifyTree(tree, path);
  return tree;
}

/** Comes before any other read. Returns the size of the file. @throws HaplanError `store/cut-off`, `store/newer-version` */
export function verifyTree(tree: Tree, path: string): number {
  const size = assertComplete(tree, path);
  assertKnownLayout(tree, path);
  return size;
}

/** Comes before any read: reading past the end of the file kills the process without a message (SIGBUS). */
function assertComplete(tree: Tree, path: string): number {
  const { size } = statSync(path);
  const { inUse } = treeBytes(tree);
  if (size >= inUse) return size;
  void tree.close();
  throw new HaplanError(
    "store/cut-off",
    `Cannot open the store ${path}: the file has ${size} bytes, but at least ${inUse} are in use, so it was truncated. ` +
      "Remove the member from the cluster, clear its directories and add it as a new one (it then receives its data from the leader)",
  );
}

function assertKnownLayout(tree: Tree, path: string): void {
  const version = Number(tree.get(layoutKey)?.toString("latin1") ?? 1);
  if (version <= layoutVersion) return;
  void tree.close();
  throw new HaplanError(
    "store/newer-version",
    `Cannot open the store ${path}: its layout has version ${version}, but this haplan-agent supports versions up to ${layoutVersion}. ` +
      "It was not changed. Start the haplan-agent that wrote it, or a later one",
  );
}

function openDatabase(path: string, mapSize: number): Tree {
  try {
    keepPrivate(path);
    keepPrivate(`${path}-lock`);
    return open<Buffer, Uint8Array>({
      path,
      noSubdir: true,
      keyEncoding: "binary",
      encoding: "binary",
      mapSize,
      noMemInit: true,
      maxDbs: 1,
    });
  } catch (error) {
    throw new HaplanError("store/open-failed", `Cannot open the store ${path}: ${errorText(error)}`, { cause: error });
  }
}

/** LMDB makes its files world-readable: it finds them created, and treats an empty one as new. */
function keepPrivate(path: string): void {
  closeSync(openSync(path, "a", 0o600));
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
}

/** False when `visit` stopped. */
export function scanTree(
  tree: Database<Buffer, Uint8Array>,
  start: Uint8Array,
  visit: RevisionVisitor,
  transaction?: ReturnType<Tree["useReadTransaction"]>,
): boolean {
  const range = tree.getRange({ start, end: revisionsEnd, ...(transaction === undefined ? {} : { transaction }) });
  for (const { key, value } of range) {
    const revision = key.subarray(1);
    if (!visit(mainOf(revision), subOf(revision), isTombstone(revision), value)) return false;
  }
  return true;
}

/** False when `visit` stopped. */
export function readPages(
  tree: Tree,
  fromMain: number,
  visit: (lastMain: number, page: Uint8Array) => boolean,
): boolean {
  for (const { key, value } of tree.getRange({ start: indexPageKey(fromMain) })) {
    if (!visit(readBigEndian(key, 1), value)) return false;
  }
  return true;
}

/**
 * A view that ends when the database is replaced: its reader then gets an error instead of the end of the data.
 * `onClose` is called once.
 */
export type EndableSnapshot = ReadSnapshot & { end(): void };

export function openSnapshot(tree: Tree, onClose: (snapshot: EndableSnapshot) => void): EndableSnapshot {
  tree.resetReadTxn();
  const transaction = tree.useReadTransaction();
  let isOpen = true;
  let isReplaced = false;
  const assertUsable = (): void => {
    if (isReplaced) throw replacedError();
  };
  const number = (key: string): number => readNumber(tree.get(metadataKey(key), { transaction }));
  const snapshot: EndableSnapshot = {
    consistentIndex: number(indexKey),
    consistentTerm: number(termKey),
    scan: (main, sub, visit) => {
      assertUsable();
      scanTree(tree, new RevisionKeys().key(main, sub, false), visit, transaction);
    },
    metadata: () => {
      assertUsable();
      const entries: [string, string, Uint8Array][] = [];
      const end = Uint8Array.of(revisionPrefix);
      for (const { key, value } of tree.getRange({ start: Uint8Array.of(metadataPrefix), end, transaction })) {
        const text = metadataText(key);
        if (text === indexKey || text === termKey) continue;
        const split = text.indexOf("\0");
        entries.push([text.slice(0, split), text.slice(split + 1), value]);
      }
      return entries;
    },
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      transaction.done();
      onClose(snapshot);
    },
    end: () => {
      isReplaced = true;
      snapshot.close();
    },
  };
  return snapshot;
}

function replacedError(): HaplanError {
  return new HaplanError(
    "store/replaced",
    "Cannot read the whole copy of the store: a snapshot from the leader has replaced the content meanwhile; try again",
  );
}

function indexPageKey(lastMain: number): Uint8Array {
  const key = Buffer.alloc(9, indexPagePrefix);
  writeBigEndian(key, 1, lastMain);
  return key;
}

export function metadataKey(text: string): Uint8Array {
  return Buffer.from(`${String.fromCharCode(metadataPrefix)}${text}`);
}

function metadataText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset + 1, key.length - 1).toString();
}

export function bigEndian(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  writeBigEndian(bytes, 0, value);
  return bytes;
}

export function readNumber(bytes: Uint8Array | undefined): number {
  return bytes === undefined ? 0 : readBigEndian(bytes, 0);
}
