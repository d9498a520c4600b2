/** Store events from stored revisions. */
import { decodeKeyValue, encodeKeyValue } from "../api/key-value.ts";
import { emptyBytes } from "../api/wire.ts";
import type { StoreEvent } from "./store.ts";

/** The event of one revision as it lies on disk; `value` is copied. */
export function toStoreEvent(main: number, tombstone: boolean, value: Uint8Array): StoreEvent {
  const copy = value.slice();
  const stored = decodeKeyValue(copy);
  if (tombstone) return deleteEvent(stored.key, main);
  return { kind: "put", key: stored.key, revision: main, kv: copy, created: stored.version === 1 };
}

/** `key` must outlive the event. */
export function deleteEvent(key: Uint8Array, revision: number): StoreEvent {
  const kv = encodeKeyValue({
    key,
    createRevision: 0,
    modRevision: revision,
    version: 0,
    value: emptyBytes,
    lease: 0n,
  });
  return { kind: "delete", key, revision, kv, created: false };
}
