/**
 * A database that is to take another's place, with the content of a snapshot: filled and flushed beside it, and only
 * then renamed. A crash leaves the old one or the new one, never a part.
 */
import { renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { syncDir } from "../../../base/durable-file.ts";
import type { BackendFiller } from "./backend.ts";
import { bigEndian, indexKey, metadataKey, openTree, RevisionKeys, type Tree, termKey } from "./lmdb-tree.ts";

const fillBatch = 2000;
const fillBatchBytes = 16 << 20;

/** Builds what is to take the place of the database at `path`. On disk when it resolves; a failure leaves nothing. */
export async function buildIncoming(
  path: string,
  mapBytes: number,
  fill: (empty: BackendFiller) => Promise<void>,
): Promise<void> {
  removeIncoming(path);
  const tree = openTree(incomingPath(path), mapBytes);
  try {
    await fillTree(tree, fill);
    await tree.close();
  } catch (error) {
    await tree.close();
    removeIncoming(path);
    throw error;
  }
}

/** Puts what was built at `path`, durably. Whoever had the database open there has closed it. */
export function takeIncoming(path: string): void {
  renameSync(incomingPath(path), path);
  removeIncoming(path);
  syncDir(dirname(path));
}

/** What a crash left, and LMDB's lock beside it. */
export function removeIncoming(path: string): void {
  rmSync(incomingPath(path), { force: true });
  rmSync(`${incomingPath(path)}-lock`, { force: true });
}

function incomingPath(path: string): string {
  return `${path}.incoming`;
}

async function fillTree(tree: Tree, fill: (empty: BackendFiller) => Promise<void>): Promise<void> {
  const keys = new RevisionKeys();
  let gathered: (() => void)[] = [];
  let gatheredBytes = 0;
  const write = async (): Promise<void> => {
    const batch = gathered;
    gathered = [];
    gatheredBytes = 0;
    if (batch.length > 0) await tree.batch(() => batch.forEach((put) => void put()));
  };
  await fill({
    put: (main, sub, tombstone, value) => {
      const copy = value.slice() as Buffer;
      gatheredBytes += copy.length;
      gathered.push(() => tree.put(keys.key(main, sub, tombstone), copy));
    },
    putMetadata: (bucket, name, value) => {
      const copy = value.slice() as Buffer;
      gathered.push(() => tree.put(metadataKey(`${bucket}\0${name}`), copy));
    },
    setConsistentIndex: (index, term) => {
      gathered.push(() => tree.put(metadataKey(indexKey), bigEndian(index) as Buffer));
      gathered.push(() => tree.put(metadataKey(termKey), bigEndian(term) as Buffer));
    },
    drain: () => (gathered.length < fillBatch && gatheredBytes < fillBatchBytes ? Promise.resolve() : write()),
  });
  await write();
  await tree.flushed;
}
