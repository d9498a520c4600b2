/** etcdserverpb.CompactionRequest and CompactionResponse. */
import { type ResponseHeader, readResponseHeader, writeHeaderField } from "./response-header.ts";
import { decodeMessage, encodeMessage, type WireReader, type WireWriter } from "./wire.ts";

export type CompactionRequest = {
  readonly revision: number;
  /** Respond only after the disk space has been freed physically. */
  readonly physical: boolean;
};

export type CompactionResponse = { readonly header: ResponseHeader | undefined };

export function readCompactionRequest(reader: WireReader, end: number): CompactionRequest {
  let revision = 0;
  let physical = false;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x08) revision = reader.int64();
    else if (tag === 0x10) physical = reader.bool();
    else reader.skip(tag, 2);
  }
  reader.finish(end);
  return { revision, physical };
}

export function writeCompactionRequest(writer: WireWriter, request: CompactionRequest): void {
  writer.intUnlessZero(0x08, request.revision);
  writer.boolUnlessFalse(0x10, request.physical);
}

export function readCompactionResponse(reader: WireReader, end: number): CompactionResponse {
  let header: ResponseHeader | undefined;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) header = readResponseHeader(reader, reader.nestedEnd());
    else reader.skip(tag, 1);
  }
  reader.finish(end);
  return { header };
}

export function writeCompactionResponse(writer: WireWriter, response: CompactionResponse): void {
  writeHeaderField(writer, response.header);
}

export function encodeCompactionRequest(request: CompactionRequest): Uint8Array {
  return encodeMessage(writeCompactionRequest, request);
}

export function decodeCompactionRequest(bytes: Uint8Array): CompactionRequest {
  return decodeMessage(readCompactionRequest, bytes);
}

export function encodeCompactionResponse(response: CompactionResponse): Uint8Array {
  return encodeMessage(writeCompactionResponse, response);
}

export function decodeCompactionResponse(bytes: Uint8Array): CompactionResponse {
  return decodeMessage(readCompactionResponse, bytes);
}
