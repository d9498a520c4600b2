/** Snapshots for tests, as etcd sends them: its buckets, and the SHA-256 of the file at the end. */
import { createHash } from "node:crypto";
import { encodeKeyValue } from "../raft-agent/api/key-value.ts";
import { databaseBytes } from "../raft-agent/bbolt/database.fixture.ts";

export type SnapshotContent = {
  /** One change each: a put, or a deletion if the value is null. The first is at revision 2. */
  readonly changes: readonly (readonly [key: string, value: string | null])[];
  /** As etcd 3.6 and later write it, such as 3.6.0. */
  readonly storageVersion?: string;
  /** Without it, it is a database of something else. */
  readonly keyBucket?: string;
};

export function snapshotBytes({ changes, storageVersion, keyBucket = "key" }: SnapshotContent): Buffer {
  const database = databaseBytes({
    [keyBucket]: changes.map(([key, value], place) => entryOf(place + 2, key, value)),
    lease: [],
    meta: storageVersion === undefined ? [] : [[Buffer.from("storageVersion"), Buffer.from(storageVersion)]],
  });
  return Buffer.concat([database, createHash("sha256").update(database).digest()]);
}

/** `count` keys with their own values. */
export function snapshotOfKeys(count: number): Buffer {
  return snapshotBytes({ changes: Array.from({ length: count }, (_, i) => [`key-${i}`, `value-${i}`] as const) });
}

export async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function entryOf(revision: number, key: string, value: string | null): readonly [key: Uint8Array, value: Uint8Array] {
  const at = Buffer.alloc(value === null ? 18 : 17);
  at.writeBigUInt64BE(BigInt(revision), 0);
  at.write("_", 8);
  if (value === null) at.write("t", 17);
  const content = value === null ? "" : value;
  const kv = {
    key: Buffer.from(key),
    createRevision: value === null ? 0 : revision,
    modRevision: revision,
    version: value === null ? 0 : 1,
    value: Buffer.from(content),
    lease: 0n,
  };
  return [at, encodeKeyValue(kv)];
}
