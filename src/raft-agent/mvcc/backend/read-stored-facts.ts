/** Reads a store without opening it for writing. */
import { statSync } from "node:fs";
import { open } from "lmdb";
import { errorText, HaplanError } from "../../../base/haplan-error.ts";
import type { LogIndex } from "../../raft/entry.ts";
import { indexKey, lastMain, metadataKey, readBucket, readNumber, type Tree, verifyTree } from "./lmdb-tree.ts";

export type StoredFacts = {
  readonly consistentIndex: LogIndex;
  /** Of the last change. */
  readonly revision: number;
  readonly sizeBytes: number;
  /** The metadata of one bucket, as it was read. */
  bucket(name: string): ReadonlyMap<string, Uint8Array>;
};

const compactedKey = "meta\0scheduledCompactRev";
/** LMDB reads this much before anything can be checked. */
const headBytes = 2 * 4096;
const buckets = ["meta", "members", "members_removed", "cluster"];

/** @throws HaplanError `store/open-failed`, `store/cut-off`, `store/newer-version` */
export function readStoredFacts(path: string): StoredFacts {
  if (statSync(path).size < headBytes) throw new HaplanError("store/cut-off", `The store ${path} was truncated`);
  const tree = openForReading(path);
  try {
    const sizeBytes = verifyTree(tree, path);
    const read = new Map(buckets.map((name) => [name, copied(readBucket(tree, name))]));
    return {
      consistentIndex: readNumber(tree.getBinary(metadataKey(indexKey))),
      revision: Math.max(1, lastMain(tree), readNumber(tree.getBinary(metadataKey(compactedKey)))),
      sizeBytes,
      bucket: (name) => read.get(name) ?? new Map(),
    };
  } finally {
    void tree.close();
  }
}

function copied(bucket: Map<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  return new Map([...bucket].map(([key, value]) => [key, value.slice()]));
}

function openForReading(path: string): Tree {
  try {
    return open<Buffer, Uint8Array>({
      path,
      noSubdir: true,
      keyEncoding: "binary",
      encoding: "binary",
      readOnly: true,
      maxDbs: 1,
    });
  } catch (error) {
    throw new HaplanError("store/open-failed", `Cannot open the store ${path}: ${errorText(error)}`, { cause: error });
  }
}
