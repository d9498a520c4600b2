/** etcdserverpb.DeleteRangeRequest and DeleteRangeResponse. */
import type { EncodedKeyValue } from "./key-value.ts";
import { type ResponseHeader, readResponseHeader, writeHeaderField } from "./response-header.ts";
import { decodeMessage, emptyBytes, encodeMessage, type WireReader, type WireWriter } from "./wire.ts";

export type DeleteRangeRequest = {
  readonly key: Uint8Array;
  /** As in a RangeRequest. */
  readonly rangeEnd: Uint8Array;
  readonly prevKv: boolean;
};

export type DeleteRangeResponse = {
  readonly header: ResponseHeader | undefined;
  readonly deleted: number;
  readonly prevKvs: readonly EncodedKeyValue[];
};

export function readDeleteRangeRequest(reader: WireReader, end: number): DeleteRangeRequest {
  let key = emptyBytes;
  let rangeEnd = emptyBytes;
  let prevKv = false;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) key = reader.view();
    else if (tag === 0x12) rangeEnd = reader.view();
    else if (tag === 0x18) prevKv = reader.bool();
    else reader.skip(tag, 3);
  }
  reader.finish(end);
  return { key, rangeEnd, prevKv };
}

export function writeDeleteRangeRequest(writer: WireWriter, request: DeleteRangeRequest): void {
  writer.bytesUnlessEmpty(0x0a, request.key);
  writer.bytesUnlessEmpty(0x12, request.rangeEnd);
  writer.boolUnlessFalse(0x18, request.prevKv);
}

export function readDeleteRangeResponse(reader: WireReader, end: number): DeleteRangeResponse {
  let header: ResponseHeader | undefined;
  let deleted = 0;
  const prevKvs: EncodedKeyValue[] = [];
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) header = readResponseHeader(reader, reader.nestedEnd());
    else if (tag === 0x10) deleted = reader.int64();
    else if (tag === 0x1a) prevKvs.push(reader.view());
    else reader.skip(tag, 3);
  }
  reader.finish(end);
  return { header, deleted, prevKvs };
}

export function writeDeleteRangeResponse(writer: WireWriter, response: DeleteRangeResponse): void {
  writeHeaderField(writer, response.header);
  writer.intUnlessZero(0x10, response.deleted);
  for (const kv of response.prevKvs) writer.bytesField(0x1a, kv);
}

export function encodeDeleteRangeRequest(request: DeleteRangeRequest): Uint8Array {
  return encodeMessage(writeDeleteRangeRequest, request);
}

export function decodeDeleteRangeRequest(bytes: Uint8Array): DeleteRangeRequest {
  return decodeMessage(readDeleteRangeRequest, bytes);
}

export function encodeDeleteRangeResponse(response: DeleteRangeResponse): Uint8Array {
  return encodeMessage(writeDeleteRangeResponse, response);
}

export function decodeDeleteRangeResponse(bytes: Uint8Array): DeleteRangeResponse {
  return decodeMessage(readDeleteRangeResponse, bytes);
}
