/**
 * Writes a whole bbolt file, front to back, from buckets that can be read twice. The head of the file has its root and
 * its length, which are known only after the last page: so a first pass lays out the pages without their bytes, and
 * the second writes them. Memory is one page per tree level, whatever the size of the data.
 */
import { assert } from "../../base/assert.ts";
import { encodeMetaPage } from "./meta-page.ts";
import {
  bucketElementFlag,
  bucketHeaderBytes,
  defaultPageBytes,
  PageFlag,
  writePageHeader,
  writeUint64,
} from "./page-format.ts";
import { PageOutput, TreeWriter } from "./tree-writer.ts";

/** Takes one entry; the bytes are copied before it returns. */
export type AddEntry = (key: Uint8Array, value: Uint8Array) => void;

export type BucketSource = {
  readonly name: string;
  /**
   * Starts at the first entry. Each call of the result passes the next few entries in ascending key order and returns
   * false once there are no more. The entries are the same every time it is opened.
   */
  open(): (add: AddEntry) => boolean;
};

export type DatabaseLayout = { readonly pageCount: number; readonly root: number; readonly sizeBytes: number };

const freelistPage = 2;
const firstTreePage = 3;
const bytesPerYield = 256 * 1024;

/** The first pass. Yields between slices of work. `buckets` are sorted by name. */
export function* layOutDatabase(buckets: readonly BucketSource[]): Generator<undefined, DatabaseLayout> {
  const output = new PageOutput({ pageBytes: defaultPageBytes, firstId: firstTreePage, keepsBytes: false });
  const root = yield* writeTrees(buckets, output);
  return { pageCount: output.nextId, root, sizeBytes: output.nextId * defaultPageBytes };
}

/** The second pass: the file's bytes, in pieces of whole pages. */
export function* writeDatabase(buckets: readonly BucketSource[], layout: DatabaseLayout): Generator<Buffer, void> {
  const { pageCount, root } = layout;
  const output = new PageOutput({ pageBytes: defaultPageBytes, firstId: firstTreePage, keepsBytes: true });
  yield encodeHead(layout);
  const trees = writeTrees(buckets, output);
  for (;;) {
    const step = trees.next();
    const bytes = output.take();
    if (bytes.length > 0) yield bytes;
    if (step.done !== true) continue;
    assert(step.value === root && output.nextId === pageCount, "both passes over a database see the same entries");
    return;
  }
}

/** Both meta pages are the same; the free list is empty. */
function encodeHead({ pageCount, root }: DatabaseLayout): Buffer {
  const meta = { pageBytes: defaultPageBytes, root, freelist: freelistPage, pageCount };
  const freelist = Buffer.alloc(defaultPageBytes);
  writePageHeader(freelist, freelistPage, PageFlag.freelist, 0, 0);
  const [first, second] = [0, 1].map((id) => encodeMetaPage(id, { ...meta, transaction: id + 1 }));
  return Buffer.concat([first!, second!, freelist]);
}

/** Writes every bucket's tree and then the root bucket's, and returns the root of the latter. */
function* writeTrees(buckets: readonly BucketSource[], output: PageOutput): Generator<undefined, number> {
  const roots: [name: string, root: number][] = [];
  for (const { name, open } of buckets) {
    const tree = new TreeWriter(output);
    let bytes = 0;
    const add: AddEntry = (key, value) => {
      bytes += key.length + value.length;
      tree.add(key, value);
    };
    const next = open();
    while (next(add)) {
      if (bytes < bytesPerYield) continue;
      bytes = 0;
      yield;
    }
    roots.push([name, tree.finish()]);
    yield;
  }
  const rootTree = new TreeWriter(output);
  for (const [name, root] of roots) {
    const header = Buffer.alloc(bucketHeaderBytes);
    writeUint64(header, 0, root);
    rootTree.add(Buffer.from(name), header, bucketElementFlag);
  }
  return rootTree.finish();
}
