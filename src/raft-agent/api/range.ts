/** etcdserverpb.RangeRequest and RangeResponse. */
import type { EncodedKeyValue } from "./key-value.ts";
import { type ResponseHeader, readResponseHeader, writeHeaderField } from "./response-header.ts";
import { decodeMessage, emptyBytes, encodeMessage, type WireReader, type WireWriter } from "./wire.ts";

export const SortOrder = { none: 0, ascend: 1, descend: 2 } as const;
export const SortTarget = { key: 0, version: 1, create: 2, mod: 3, value: 4 } as const;

export type RangeRequest = {
  readonly key: Uint8Array;
  /** Empty = the one key; a single zero byte = every key ≥ `key`; else the first key after the range. */
  readonly rangeEnd: Uint8Array;
  /** The maximum number of key-values; ≤ 0 = all. */
  readonly limit: number;
  /** ≤ 0 = the latest. */
  readonly revision: number;
  /** One of `SortOrder`; other numbers may arrive and must be rejected. */
  readonly sortOrder: number;
  /** One of `SortTarget`; other numbers may arrive and must be rejected. */
  readonly sortTarget: number;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  /** Inclusive bounds; 0 = none. */
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
};

export type RangeResponse = {
  readonly header: ResponseHeader | undefined;
  readonly kvs: readonly EncodedKeyValue[];
  readonly more: boolean;
  readonly count: number;
};

type Mutable<Message> = { -readonly [Field in keyof Message]: Message[Field] };

function emptyRangeRequest(): Mutable<RangeRequest> {
  return {
    key: emptyBytes,
    rangeEnd: emptyBytes,
    limit: 0,
    revision: 0,
    sortOrder: SortOrder.none,
    sortTarget: SortTarget.key,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

/** A request for one key, with only the key set. */
export function rangeRequest(key: Uint8Array, overrides: Partial<RangeRequest> = {}): RangeRequest {
  return { ...emptyRangeRequest(), key, ...overrides };
}

export function readRangeRequest(reader: WireReader, end: number): RangeRequest {
  const request = emptyRangeRequest();
  while (reader.offset < end) readRangeRequestField(reader, request);
  reader.finish(end);
  return request;
}

function readRangeRequestField(reader: WireReader, request: Mutable<RangeRequest>): void {
  const tag = reader.tag();
  if (tag === 0x0a) request.key = reader.view();
  else if (tag === 0x12) request.rangeEnd = reader.view();
  else if (tag === 0x18) request.limit = reader.int64();
  else if (tag === 0x20) request.revision = reader.int64();
  else if (tag === 0x28) request.sortOrder = reader.int32();
  else if (tag === 0x30) request.sortTarget = reader.int32();
  else if (tag === 0x38) request.serializable = reader.bool();
  else if (tag === 0x40) request.keysOnly = reader.bool();
  else if (tag === 0x48) request.countOnly = reader.bool();
  else if (tag === 0x50) request.minModRevision = reader.int64();
  else if (tag === 0x58) request.maxModRevision = reader.int64();
  else if (tag === 0x60) request.minCreateRevision = reader.int64();
  else if (tag === 0x68) request.maxCreateRevision = reader.int64();
  else reader.skip(tag, 13);
}

export function writeRangeRequest(writer: WireWriter, request: RangeRequest): void {
  writer.bytesUnlessEmpty(0x0a, request.key);
  writer.bytesUnlessEmpty(0x12, request.rangeEnd);
  writer.intUnlessZero(0x18, request.limit);
  writer.intUnlessZero(0x20, request.revision);
  writer.intUnlessZero(0x28, request.sortOrder);
  writer.intUnlessZero(0x30, request.sortTarget);
  writer.boolUnlessFalse(0x38, request.serializable);
  writer.boolUnlessFalse(0x40, request.keysOnly);
  writer.boolUnlessFalse(0x48, request.countOnly);
  writer.intUnlessZero(0x50, request.minModRevision);
  writer.intUnlessZero(0x58, request.maxModRevision);
  writer.intUnlessZero(0x60, request.minCreateRevision);
  writer.intUnlessZero(0x68, request.maxCreateRevision);
}

export function readRangeResponse(reader: WireReader, end: number): RangeResponse {
  let header: ResponseHeader | undefined;
  const kvs: EncodedKeyValue[] = [];
  let more = false;
  let count = 0;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) header = readResponseHeader(reader, reader.nestedEnd());
    else if (tag === 0x12) kvs.push(reader.view());
    else if (tag === 0x18) more = reader.bool();
    else if (tag === 0x20) count = reader.int64();
    else reader.skip(tag, 4);
  }
  reader.finish(end);
  return { header, kvs, more, count };
}

export function writeRangeResponse(writer: WireWriter, response: RangeResponse): void {
  writeHeaderField(writer, response.header);
  for (const kv of response.kvs) writer.bytesField(0x12, kv);
  writer.boolUnlessFalse(0x18, response.more);
  writer.intUnlessZero(0x20, response.count);
}

export function encodeRangeRequest(request: RangeRequest): Uint8Array {
  return encodeMessage(writeRangeRequest, request);
}

export function decodeRangeRequest(bytes: Uint8Array): RangeRequest {
  return decodeMessage(readRangeRequest, bytes);
}

export function encodeRangeResponse(response: RangeResponse): Uint8Array {
  return encodeMessage(writeRangeResponse, response);
}

export function decodeRangeResponse(bytes: Uint8Array): RangeResponse {
  return decodeMessage(readRangeResponse, bytes);
}
