/** Store events from stored revisions. */
import { decodeKeyValue, type EncodedKeyValue, encodeKeyValue } from "../api/key-value.ts";
import { emptyBytes } from "../api/wire.ts";
import type { StoreEvent } from "./store.ts";

/** The event of one stored revision; `value` is copied. */
export function toStoreEvent(main: number, tombstone: boolean, value: Uint8Array): StoreEvent {
  const copy = value.slice();
  const stored = decodeKeyValue(copy);
  if (tombstone) return deleteEvent(stored.key, main);
  return { kind: "put", key: stored.key, revision: main, kv: copy, created: stored.version === 1 };
}

/** Expects canonical bytes whose key is `keyLength` long: it follows its tag and length. */
export function putEvent(keyLength: number, kv: EncodedKeyValue, revision: number, created: boolean): StoreEvent {
  const start = 1 + varintLength(keyLength);
  const key = keyLength === 0 ? emptyBytes : kv.subarray(start, start + keyLength);
  return { kind: "put", key, revision, kv, created };
}

function varintLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
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
