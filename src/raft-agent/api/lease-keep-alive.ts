/** etcdserverpb.LeaseKeepAliveRequest and LeaseKeepAliveResponse. */
import { type ResponseHeader, readResponseHeader, writeHeaderField } from "./response-header.ts";
import { decodeMessage, encodeMessage, type WireReader, type WireWriter } from "./wire.ts";

export type LeaseKeepAliveRequest = { readonly id: bigint };

export type LeaseKeepAliveResponse = {
  readonly header: ResponseHeader | undefined;
  readonly id: bigint;
  /** In seconds; 0 = there is no such lease. */
  readonly ttl: number;
};

export function readLeaseKeepAliveRequest(reader: WireReader, end: number): LeaseKeepAliveRequest {
  let id = 0n;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x08) id = reader.bigInt64();
    else reader.skip(tag, 1);
  }
  reader.finish(end);
  return { id };
}

export function writeLeaseKeepAliveRequest(writer: WireWriter, request: LeaseKeepAliveRequest): void {
  writer.bigIntUnlessZero(0x08, request.id);
}

export function readLeaseKeepAliveResponse(reader: WireReader, end: number): LeaseKeepAliveResponse {
  let header: ResponseHeader | undefined;
  let id = 0n;
  let ttl = 0;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) header = readResponseHeader(reader, reader.nestedEnd());
    else if (tag === 0x10) id = reader.bigInt64();
    else if (tag === 0x18) ttl = reader.int64();
    else reader.skip(tag, 3);
  }
  reader.finish(end);
  return { header, id, ttl };
}

export function writeLeaseKeepAliveResponse(writer: WireWriter, response: LeaseKeepAliveResponse): void {
  writeHeaderField(writer, response.header);
  writer.bigIntUnlessZero(0x10, response.id);
  writer.intUnlessZero(0x18, response.ttl);
}

export function encodeLeaseKeepAliveRequest(request: LeaseKeepAliveRequest): Uint8Array {
  return encodeMessage(writeLeaseKeepAliveRequest, request);
}

export function decodeLeaseKeepAliveRequest(bytes: Uint8Array): LeaseKeepAliveRequest {
  return decodeMessage(readLeaseKeepAliveRequest, bytes);
}

export function encodeLeaseKeepAliveResponse(response: LeaseKeepAliveResponse): Uint8Array {
  return encodeMessage(writeLeaseKeepAliveResponse, response);
}

export function decodeLeaseKeepAliveResponse(bytes: Uint8Array): LeaseKeepAliveResponse {
  return decodeMessage(readLeaseKeepAliveResponse, bytes);
}
