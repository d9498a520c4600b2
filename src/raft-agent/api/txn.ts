/** etcdserverpb.TxnRequest, TxnResponse and their operations, which nest. */
import { type Compare, readCompare, writeCompare } from "./compare.ts";
import {
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  readDeleteRangeRequest,
  readDeleteRangeResponse,
  writeDeleteRangeRequest,
  writeDeleteRangeResponse,
} from "./delete-range.ts";
import {
  type PutRequest,
  type PutResponse,
  readPutRequest,
  readPutResponse,
  writePutRequest,
  writePutResponse,
} from "./put.ts";
import {
  type RangeRequest,
  type RangeResponse,
  readRangeRequest,
  readRangeResponse,
  writeRangeRequest,
  writeRangeResponse,
} from "./range.ts";
import { type ResponseHeader, readResponseHeader, writeHeaderField } from "./response-header.ts";
import { encodeMessage, maxNestingDepth, WireError, WireReader, type WireWriter } from "./wire.ts";

/** `none` = the client left the oneof empty, which etcd rejects. */
export type RequestOp =
  | { readonly kind: "range"; readonly request: RangeRequest }
  | { readonly kind: "put"; readonly request: PutRequest }
  | { readonly kind: "deleteRange"; readonly request: DeleteRangeRequest }
  | { readonly kind: "txn"; readonly request: TxnRequest }
  | { readonly kind: "none" };

export type TxnRequest = {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
};

export type ResponseOp =
  | { readonly kind: "range"; readonly response: RangeResponse }
  | { readonly kind: "put"; readonly response: PutResponse }
  | { readonly kind: "deleteRange"; readonly response: DeleteRangeResponse }
  | { readonly kind: "txn"; readonly response: TxnResponse }
  | { readonly kind: "none" };

export type TxnResponse = {
  readonly header: ResponseHeader | undefined;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
};

function readRequestOp(reader: WireReader, end: number, depth: number): RequestOp {
  let op: RequestOp = { kind: "none" };
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) op = { kind: "range", request: readRangeRequest(reader, reader.nestedEnd()) };
    else if (tag === 0x12) op = { kind: "put", request: readPutRequest(reader, reader.nestedEnd()) };
    else if (tag === 0x1a) op = { kind: "deleteRange", request: readDeleteRangeRequest(reader, reader.nestedEnd()) };
    else if (tag === 0x22) op = { kind: "txn", request: readTxnRequest(reader, reader.nestedEnd(), depth + 1) };
    else reader.skip(tag, 4);
  }
  reader.finish(end);
  return op;
}

/** `depth` counts the transactions around this one. */
export function readTxnRequest(reader: WireReader, end: number, depth: number): TxnRequest {
  if (depth > maxNestingDepth) throw new WireError(`transactions nest deeper than ${maxNestingDepth}`);
  const compare: Compare[] = [];
  const success: RequestOp[] = [];
  const failure: RequestOp[] = [];
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) compare.push(readCompare(reader, reader.nestedEnd()));
    else if (tag === 0x12) success.push(readRequestOp(reader, reader.nestedEnd(), depth));
    else if (tag === 0x1a) failure.push(readRequestOp(reader, reader.nestedEnd(), depth));
    else reader.skip(tag, 3);
  }
  reader.finish(end);
  return { compare, success, failure };
}

function writeRequestOp(writer: WireWriter, tag: number, op: RequestOp): void {
  const start = writer.beginNested(tag);
  switch (op.kind) {
    case "range":
      writeNested(writer, 0x0a, writeRangeRequest, op.request);
      break;
    case "put":
      writeNested(writer, 0x12, writePutRequest, op.request);
      break;
    case "deleteRange":
      writeNested(writer, 0x1a, writeDeleteRangeRequest, op.request);
      break;
    case "txn":
      writeNested(writer, 0x22, writeTxnRequest, op.request);
      break;
    case "none":
  }
  writer.endNested(start);
}

function writeNested<Message>(
  writer: WireWriter,
  tag: number,
  write: (writer: WireWriter, message: Message) => void,
  message: Message,
): void {
  const start = writer.beginNested(tag);
  write(writer, message);
  writer.endNested(start);
}

export function writeTxnRequest(writer: WireWriter, request: TxnRequest): void {
  for (const compare of request.compare) writeNested(writer, 0x0a, writeCompare, compare);
  for (const op of request.success) writeRequestOp(writer, 0x12, op);
  for (const op of request.failure) writeRequestOp(writer, 0x1a, op);
}

function readResponseOp(reader: WireReader, end: number, depth: number): ResponseOp {
  let op: ResponseOp = { kind: "none" };
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) op = { kind: "range", response: readRangeResponse(reader, reader.nestedEnd()) };
    else if (tag === 0x12) op = { kind: "put", response: readPutResponse(reader, reader.nestedEnd()) };
    else if (tag === 0x1a) op = { kind: "deleteRange", response: readDeleteRangeResponse(reader, reader.nestedEnd()) };
    else if (tag === 0x22) op = { kind: "txn", response: readTxnResponse(reader, reader.nestedEnd(), depth + 1) };
    else reader.skip(tag, 4);
  }
  reader.finish(end);
  return op;
}

export function readTxnResponse(reader: WireReader, end: number, depth: number): TxnResponse {
  if (depth > maxNestingDepth) throw new WireError(`transactions nest deeper than ${maxNestingDepth}`);
  let header: ResponseHeader | undefined;
  let succeeded = false;
  const responses: ResponseOp[] = [];
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) header = readResponseHeader(reader, reader.nestedEnd());
    else if (tag === 0x10) succeeded = reader.bool();
    else if (tag === 0x1a) responses.push(readResponseOp(reader, reader.nestedEnd(), depth));
    else reader.skip(tag, 3);
  }
  reader.finish(end);
  return { header, succeeded, responses };
}

function writeResponseOp(writer: WireWriter, op: ResponseOp): void {
  const start = writer.beginNested(0x1a);
  switch (op.kind) {
    case "range":
      writeNested(writer, 0x0a, writeRangeResponse, op.response);
      break;
    case "put":
      writeNested(writer, 0x12, writePutResponse, op.response);
      break;
    case "deleteRange":
      writeNested(writer, 0x1a, writeDeleteRangeResponse, op.response);
      break;
    case "txn":
      writeNested(writer, 0x22, writeTxnResponse, op.response);
      break;
    case "none":
  }
  writer.endNested(start);
}

export function writeTxnResponse(writer: WireWriter, response: TxnResponse): void {
  writeHeaderField(writer, response.header);
  writer.boolUnlessFalse(0x10, response.succeeded);
  for (const op of response.responses) writeResponseOp(writer, op);
}

export function encodeTxnRequest(request: TxnRequest): Uint8Array {
  return encodeMessage(writeTxnRequest, request);
}

export function decodeTxnRequest(bytes: Uint8Array): TxnRequest {
  return readTxnRequest(new WireReader(bytes), bytes.length, 0);
}

export function encodeTxnResponse(response: TxnResponse): Uint8Array {
  return encodeMessage(writeTxnResponse, response);
}

export function decodeTxnResponse(bytes: Uint8Array): TxnResponse {
  return readTxnResponse(new WireReader(bytes), bytes.length, 0);
}
