/**
 * mvccpb.KeyValue and mvccpb.Event. The store keeps key-values in their canonical encoding (ascending fields, zeros
 * omitted), and responses pass those bytes on without decoding them: in this module's messages a key-value is an
 * `EncodedKeyValue`, and `decodeKeyValue` decodes it where its fields are needed.
 */
import { decodeMessage, emptyBytes, encodeMessage, type WireReader, type WireWriter } from "./wire.ts";

export type KeyValue = {
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** The number of changes since the key was created; 1 for the creation. */
  readonly version: number;
  readonly value: Uint8Array;
  /** 0n when no lease is attached. */
  readonly lease: bigint;
};

/** A KeyValue in protobuf form; canonical when it comes from the store. */
export type EncodedKeyValue = Uint8Array;

export const EventType = { put: 0, delete: 1 } as const;

export type Event = {
  /** One of `EventType`. */
  readonly type: number;
  /** A delete has only key and mod revision. */
  readonly kv: EncodedKeyValue | undefined;
  readonly prevKv: EncodedKeyValue | undefined;
};

export function readKeyValue(reader: WireReader, end: number): KeyValue {
  let key = emptyBytes;
  let createRevision = 0;
  let modRevision = 0;
  let version = 0;
  let value = emptyBytes;
  let lease = 0n;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) key = reader.view();
    else if (tag === 0x10) createRevision = reader.int64();
    else if (tag === 0x18) modRevision = reader.int64();
    else if (tag === 0x20) version = reader.int64();
    else if (tag === 0x2a) value = reader.view();
    else if (tag === 0x30) lease = reader.bigInt64();
    else reader.skip(tag, 6);
  }
  reader.finish(end);
  return { key, createRevision, modRevision, version, value, lease };
}

export function writeKeyValue(writer: WireWriter, kv: KeyValue): void {
  writer.bytesUnlessEmpty(0x0a, kv.key);
  writer.intUnlessZero(0x10, kv.createRevision);
  writer.intUnlessZero(0x18, kv.modRevision);
  writer.intUnlessZero(0x20, kv.version);
  writer.bytesUnlessEmpty(0x2a, kv.value);
  writer.bigIntUnlessZero(0x30, kv.lease);
}

export function encodeKeyValue(kv: KeyValue): EncodedKeyValue {
  return encodeMessage(writeKeyValue, kv);
}

/** Views into `bytes`: copy what outlives them. */
export function decodeKeyValue(bytes: EncodedKeyValue): KeyValue {
  return decodeMessage(readKeyValue, bytes);
}

export function readEvent(reader: WireReader, end: number): Event {
  let type = 0;
  let kv: EncodedKeyValue | undefined;
  let prevKv: EncodedKeyValue | undefined;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x08) type = reader.int32();
    else if (tag === 0x12) kv = reader.view();
    else if (tag === 0x1a) prevKv = reader.view();
    else reader.skip(tag, 3);
  }
  reader.finish(end);
  return { type, kv, prevKv };
}

export function writeEvent(writer: WireWriter, event: Event): void {
  writer.intUnlessZero(0x08, event.type);
  if (event.kv !== undefined) writer.bytesField(0x12, event.kv);
  if (event.prevKv !== undefined) writer.bytesField(0x1a, event.prevKv);
}

export function encodeEvent(event: Event): Uint8Array {
  return encodeMessage(writeEvent, event);
}

export function decodeEvent(bytes: Uint8Array): Event {
  return decodeMessage(readEvent, bytes);
}
