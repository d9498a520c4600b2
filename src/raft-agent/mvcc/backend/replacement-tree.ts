/**
 * Builds a database that replaces another one, with the content of a snapshot: filled and flushed beside it, and only
 * then renamed. A crash leaves the old one or the new one, never a part.
 */
import { renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { syncDir } from "../../../base/durable-file.ts";
import type { BackendFiller } from "./backend.ts";
import { bigEndian, indexKey, metadataKey, openTree, RevisionKeys, type Tree, termKey } from "./lmdb-tree.ts";

const fillBatch = 2000;
const fillBatchBytes = 16 << 20;

/** Builds the replacement of the database at `path`. On disk when it resolves; a failure leaves nothing. */
export async function buildReplacement(
  path: string,
  mapBytes: number,
  fill: (empty: BackendFiller) => Promise<void>,
): Promise<void> {
  removeReplacement(path);
  const tree = openTree(replacementPath(path), mapBytes);
  try {
    await fillTree(tree, fill);
    await tree.close();
  } catch (error) {
    await tree.close();
    removeReplacement(path);
    throw error;
  }
}

/** Moves the replacement to `path`, durably. The caller has closed the database there. */
export function swapInReplacement(path: string): void {
  renameSync(replacementPath(path), path);
  removeReplacement(path);
  syncDir(dirname(path));
}

/** Removes what a crash has left, with LMDB's lock file. */
export function removeReplacement(path: string): void {
  rmSync(replacementPath(path), { force: true });
  rmSync(`${replacementPath(path)}-lock`, { force: true });
}

function replacementPath(path: string): string {
  return `${path}.incoming`;
}

async function fillTree(tree: Tree, fill: (empty: BackendFiller) => Promise<void>): Promise<void> {
  const keys = new RevisionKeys();
  let collected: (() => void)[] = [];
  let collectedBytes = 0;
  const write = async (): Promise<void> => {
    const batch = collected;
    collected = [];
    collectedBytes = 0;
    if (batch.length > 0) await tree.batch(() => batch.forEach((put) => void put()));
  };
  await fill({
    put: (main, sub, tombstone, value) => {
      const copy = value.slice() as Buffer;
      collectedBytes += copy.length;
      collected.push(() => tree.put(keys.key(main, sub, tombstone), copy));
    },
    putMetadata: (bucket, name, value) => {
      const copy = value.slice() as Buffer;
      collected.push(() => tree.put(metadataKey(`${bucket}\0${name}`), copy));
    },
    setConsistentIndex: (index, term) => {
      collected.push(() => tree.put(metadataKey(indexKey), bigEndian(index) as Buffer));
      collected.push(() => tree.put(metadataKey(termKey), bigEndian(term) as Buffer));
    },
    drain: () => (collected.length < fillBatch && collectedBytes < fillBatchBytes ? Promise.resolve() : write()),
  });
  await write();
  await tree.flushed;
}
