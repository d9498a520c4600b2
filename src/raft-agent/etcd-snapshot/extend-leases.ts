/**
 * A snapshot whose leases do not expire soon after it is restored: each has a remaining time of an hour or more, whatever its
 * TTL. The first renewal sets that to the TTL again. etcd before 3.6 starts every lease with its TTL, and ignores this.
 */
import { WireReader, WireWriter } from "../api/wire.ts";
import type { DatabaseReader } from "../bbolt/database-reader.ts";
import { type AddEntry, type BucketSource, layOutDatabase, writeDatabase } from "../bbolt/database-writer.ts";
import { EtcdBucket } from "./etcd-buckets.ts";

const remainingMinSeconds = 3_600;
const entriesPerSlice = 500;
const idTag = 0x08;
const ttlTag = 0x10;
const remainingTag = 0x18;

/** The database's bytes, without a digest. */
export function* withExtendedLeases(database: DatabaseReader): Generator<Uint8Array> {
  const buckets = [...database.bucketNames].sort().map(
    (name): BucketSource => ({
      name,
      open: () => {
        const entries = database.entries(name);
        return (add: AddEntry) => {
          for (let left = entriesPerSlice; left > 0; left--) {
            const next = entries.next();
            if (next.done === true) return false;
            const { key, value } = next.value;
            add(key, name === EtcdBucket.lease ? extended(value) : value);
          }
          return true;
        };
      },
    }),
  );
  const layingOut = layOutDatabase(buckets);
  let step = layingOut.next();
  while (step.done !== true) step = layingOut.next();
  yield* writeDatabase(buckets, step.value);
}

/** leasepb.Lease: the last of several values of a field counts. */
function extended(lease: Uint8Array): Uint8Array {
  const reader = new WireReader(lease);
  let ttlSeconds = 0;
  while (reader.offset < lease.length) {
    const tag = reader.tag();
    if (tag === idTag) reader.bigInt64();
    else if (tag === ttlTag) ttlSeconds = reader.int64();
    else if (tag === remainingTag) reader.int64();
    else reader.skip(tag, 3);
  }
  const writer = new WireWriter(16);
  writer.intUnlessZero(remainingTag, Math.max(ttlSeconds, remainingMinSeconds));
  return Buffer.concat([lease, writer.copy()]);
}
