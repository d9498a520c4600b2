/** etcdserverpb.PutRequest and PutResponse. */
import type { EncodedKeyValue } from "./key-value.ts";
import { type ResponseHeader, readResponseHeader, writeHeaderField } from "./response-header.ts";
import { decodeMessage, emptyBytes, encodeMessage, type WireReader, type WireWriter } from "./wire.ts";

export type PutRequest = {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** 0n detaches the key from its lease. */
  readonly lease: bigint;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
};

export type PutResponse = {
  readonly header: ResponseHeader | undefined;
  readonly prevKv: EncodedKeyValue | undefined;
};

export function readPutRequest(reader: WireReader, end: number): PutRequest {
  let key = emptyBytes;
  let value = emptyBytes;
  let lease = 0n;
  let prevKv = false;
  let ignoreValue = false;
  let ignoreLease = false;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) key = reader.view();
    else if (tag === 0x12) value = reader.view();
    else if (tag === 0x18) lease = reader.bigInt64();
    else if (tag === 0x20) prevKv = reader.bool();
    else if (tag === 0x28) ignoreValue = reader.bool();
    else if (tag === 0x30) ignoreLease = reader.bool();
    else reader.skip(tag, 6);
  }
  reader.finish(end);
  return { key, value, lease, prevKv, ignoreValue, ignoreLease };
}

export function writePutRequest(writer: WireWriter, request: PutRequest): void {
  writer.bytesUnlessEmpty(0x0a, request.key);
  writer.bytesUnlessEmpty(0x12, request.value);
  writer.bigIntUnlessZero(0x18, request.lease);
  writer.boolUnlessFalse(0x20, request.prevKv);
  writer.boolUnlessFalse(0x28, request.ignoreValue);
  writer.boolUnlessFalse(0x30, request.ignoreLease);
}

export function readPutResponse(reader: WireReader, end: number): PutResponse {
  let header: ResponseHeader | undefined;
  let prevKv: EncodedKeyValue | undefined;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) header = readResponseHeader(reader, reader.nestedEnd());
    else if (tag === 0x12) prevKv = reader.view();
    else reader.skip(tag, 2);
  }
  reader.finish(end);
  return { header, prevKv };
}

export function writePutResponse(writer: WireWriter, response: PutResponse): void {
  writeHeaderField(writer, response.header);
  if (response.prevKv !== undefined) writer.bytesField(0x12, response.prevKv);
}

export function encodePutRequest(request: PutRequest): Uint8Array {
  return encodeMessage(writePutRequest, request);
}

export function decodePutRequest(bytes: Uint8Array): PutRequest {
  return decodeMessage(readPutRequest, bytes);
}

export function encodePutResponse(response: PutResponse): Uint8Array {
  return encodeMessage(writePutResponse, response);
}

export function decodePutResponse(bytes: Uint8Array): PutResponse {
  return decodeMessage(readPutResponse, bytes);
}
