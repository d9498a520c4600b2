/**
 * HashKV like etcd's (server/storage/mvcc/hash.go): CRC-32C over the bucket name "key" and then each stored revision
 * key and value up to a revision. Revisions at or below the compacted one count only if they are live at the hashed
 * revision, so that members agree while one is still scrubbing; without any live key nothing is skipped but tombstones
 * of the compacted revision itself, which etcd before 3.4.34 and 3.5.16 does not keep. Members compare a hash that
 * includes them, like the previous release.
 */

import { crc32c, extendCrc32c } from "../../base/crc32c.ts";
import { readKeyValue } from "../api/key-value.ts";
import { WireReader } from "../api/wire.ts";
import type { Backend, ReadSnapshot } from "./backend/backend.ts";
import type { IndexedStore } from "./index/open-index.ts";
import { writeRevisionKey } from "./revision.ts";
import { type HashReader, type KeyspaceHash, RevisionError } from "./store.ts";

/** Bytes hashed between two turns of the event loop. */
const sliceBytes = 2 << 20;

type Position = { main: number; sub: number };

/**
 * 0 = the current revision; there is nothing below a negative one, as in etcd. @throws RevisionError, also when a
 * compaction overtakes the hash.
 */
export async function hashKeyspace(
  store: IndexedStore,
  backend: Backend,
  { revision: asked, reader }: { readonly revision: number; readonly reader: HashReader },
  yieldTurn: () => Promise<void>,
): Promise<KeyspaceHash> {
  const problem = store.revisionError(Math.max(0, asked), store.revision);
  if (problem !== null) throw new RevisionError(problem, store.compactedRevision);
  const revision = asked === 0 ? store.revision : asked;
  const compactRevision = store.compactedRevision;
  const skipsUnreachable = hasLiveKey(store, revision);
  const snapshot = await backend.snapshot();
  try {
    let hash = crc32c(Buffer.from("key"));
    let next: Position | null = { main: 0, sub: 0 };
    while (next !== null) {
      if (revision > 0 && store.compactedRevision > revision)
        throw new RevisionError("compacted", store.compactedRevision);
      [hash, next] = hashSlice(snapshot, next, hash, revision, (main, sub, tombstone, value) => {
        if (main > compactRevision) return true;
        if (main === compactRevision && tombstone && reader === "clients") return false;
        return !skipsUnreachable || isLive(store, revision, main, sub, value);
      });
      if (next !== null) await yieldTurn();
    }
    return { hash, compactRevision, revision };
  } finally {
    snapshot.close();
  }
}

function hashSlice(
  snapshot: ReadSnapshot,
  from: Position,
  startHash: number,
  revision: number,
  counts: (main: number, sub: number, tombstone: boolean, value: Uint8Array) => boolean,
): [hash: number, next: Position | null] {
  const key = new Uint8Array(18);
  let hash = startHash;
  let left = sliceBytes;
  let next: Position | null = null;
  snapshot.scan(from.main, from.sub, (main, sub, tombstone, value) => {
    if (main > revision) return false;
    if (left <= 0) {
      next = { main, sub };
      return false;
    }
    left -= value.length + key.length;
    if (!counts(main, sub, tombstone, value)) return true;
    hash = extendCrc32c(hash, key, writeRevisionKey(key, main, sub, tombstone));
    hash = extendCrc32c(hash, value);
    return true;
  });
  return [hash, next];
}

function hasLiveKey(store: IndexedStore, revision: number): boolean {
  for (let slot = 0; slot < store.index.slotLimit; slot++) if (store.index.liveAt(slot, revision) !== 0) return true;
  return false;
}

function isLive(store: IndexedStore, revision: number, main: number, sub: number, value: Uint8Array): boolean {
  const { index } = store;
  const slot = index.find(readKeyValue(new WireReader(value), value.length).key);
  const record = slot < 0 ? 0 : index.liveAt(slot, revision);
  return record !== 0 && index.versions.main(record) === main && index.versions.sub(record) === sub;
}
