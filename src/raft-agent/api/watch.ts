/** etcdserverpb.WatchRequest and WatchResponse. */
import { type Event, readEvent, writeEvent } from "./key-value.ts";
import { type ResponseHeader, readResponseHeader, writeHeaderField } from "./response-header.ts";
import { decodeMessage, emptyBytes, encodeMessage, type WireReader, type WireWriter } from "./wire.ts";

export const WatchFilter = { noPut: 0, noDelete: 1 } as const;

export type WatchCreateRequest = {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  /** The first revision to watch; 0 = from now on. */
  readonly startRevision: number;
  readonly progressNotify: boolean;
  /** Of `WatchFilter`. */
  readonly filters: readonly number[];
  readonly prevKv: boolean;
  /** 0 = chosen by the server. */
  readonly watchId: number;
  /** Large batches may be split. */
  readonly fragment: boolean;
};

/** A watch on one key from now on, with only the key set. */
export function watchCreateRequest(key: Uint8Array, overrides: Partial<WatchCreateRequest> = {}): WatchCreateRequest {
  return {
    key,
    rangeEnd: emptyBytes,
    startRevision: 0,
    progressNotify: false,
    filters: [],
    prevKv: false,
    watchId: 0,
    fragment: false,
    ...overrides,
  };
}

export type WatchRequest =
  | { readonly kind: "create"; readonly request: WatchCreateRequest }
  | { readonly kind: "cancel"; readonly watchId: number }
  | { readonly kind: "progress" }
  | { readonly kind: "none" };

export type WatchResponse = {
  readonly header: ResponseHeader | undefined;
  readonly watchId: number;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly fragment: boolean;
  readonly events: readonly Event[];
};

export function readWatchRequest(reader: WireReader, end: number): WatchRequest {
  let request: WatchRequest = { kind: "none" };
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) request = { kind: "create", request: readWatchCreateRequest(reader, reader.nestedEnd()) };
    else if (tag === 0x12) request = { kind: "cancel", watchId: readWatchCancelRequest(reader, reader.nestedEnd()) };
    else if (tag === 0x1a) request = readWatchProgressRequest(reader, reader.nestedEnd());
    else reader.skip(tag, 3);
  }
  reader.finish(end);
  return request;
}

type Mutable<Message> = { -readonly [Field in keyof Message]: Message[Field] };

function readWatchCreateRequest(reader: WireReader, end: number): WatchCreateRequest {
  const filters: number[] = [];
  const request: Mutable<WatchCreateRequest> = watchCreateRequest(emptyBytes, { filters });
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) request.key = reader.view();
    else if (tag === 0x12) request.rangeEnd = reader.view();
    else if (tag === 0x18) request.startRevision = reader.int64();
    else if (tag === 0x20) request.progressNotify = reader.bool();
    else if (tag === 0x2a) readPackedEnums(reader, filters);
    else if (tag === 0x28) filters.push(reader.int32());
    else if (tag === 0x30) request.prevKv = reader.bool();
    else if (tag === 0x38) request.watchId = reader.int64();
    else if (tag === 0x40) request.fragment = reader.bool();
    else reader.skip(tag, 8);
  }
  reader.finish(end);
  return request;
}

function readPackedEnums(reader: WireReader, into: number[]): void {
  const end = reader.nestedEnd();
  while (reader.offset < end) into.push(reader.int32());
  reader.finish(end);
}

function readWatchCancelRequest(reader: WireReader, end: number): number {
  let watchId = 0;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x08) watchId = reader.int64();
    else reader.skip(tag, 1);
  }
  reader.finish(end);
  return watchId;
}

function readWatchProgressRequest(reader: WireReader, end: number): WatchRequest {
  while (reader.offset < end) reader.skip(reader.tag(), 0);
  reader.finish(end);
  return { kind: "progress" };
}

export function writeWatchRequest(writer: WireWriter, request: WatchRequest): void {
  switch (request.kind) {
    case "create": {
      const start = writer.beginNested(0x0a);
      writeWatchCreateRequest(writer, request.request);
      writer.endNested(start);
      break;
    }
    case "cancel": {
      const start = writer.beginNested(0x12);
      writer.intUnlessZero(0x08, request.watchId);
      writer.endNested(start);
      break;
    }
    case "progress":
      writer.bytesField(0x1a, emptyBytes);
      break;
    case "none":
  }
}

function writeWatchCreateRequest(writer: WireWriter, request: WatchCreateRequest): void {
  writer.bytesUnlessEmpty(0x0a, request.key);
  writer.bytesUnlessEmpty(0x12, request.rangeEnd);
  writer.intUnlessZero(0x18, request.startRevision);
  writer.boolUnlessFalse(0x20, request.progressNotify);
  if (request.filters.length > 0) {
    const start = writer.beginNested(0x2a);
    for (const filter of request.filters) writer.int(filter);
    writer.endNested(start);
  }
  writer.boolUnlessFalse(0x30, request.prevKv);
  writer.intUnlessZero(0x38, request.watchId);
  writer.boolUnlessFalse(0x40, request.fragment);
}

export function readWatchResponse(reader: WireReader, end: number): WatchResponse {
  const events: Event[] = [];
  const response: Mutable<WatchResponse> = {
    header: undefined,
    watchId: 0,
    created: false,
    canceled: false,
    compactRevision: 0,
    cancelReason: "",
    fragment: false,
    events,
  };
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) response.header = readResponseHeader(reader, reader.nestedEnd());
    else if (tag === 0x10) response.watchId = reader.int64();
    else if (tag === 0x18) response.created = reader.bool();
    else if (tag === 0x20) response.canceled = reader.bool();
    else if (tag === 0x28) response.compactRevision = reader.int64();
    else if (tag === 0x32) response.cancelReason = reader.string();
    else if (tag === 0x38) response.fragment = reader.bool();
    else if (tag === 0x5a) events.push(readEvent(reader, reader.nestedEnd()));
    else reader.skip(tag, tag >>> 3 === 11 ? 11 : 7);
  }
  reader.finish(end);
  return response;
}

/** Everything but the events, which are the last field: an encoded batch of events can follow. */
export function writeWatchResponseHead(writer: WireWriter, response: Omit<WatchResponse, "events">): void {
  writeHeaderField(writer, response.header);
  writer.intUnlessZero(0x10, response.watchId);
  writer.boolUnlessFalse(0x18, response.created);
  writer.boolUnlessFalse(0x20, response.canceled);
  writer.intUnlessZero(0x28, response.compactRevision);
  writer.stringUnlessEmpty(0x32, response.cancelReason);
  writer.boolUnlessFalse(0x38, response.fragment);
}

/** One event as a field of a WatchResponse. */
export function writeWatchResponseEvent(writer: WireWriter, event: Event): void {
  const start = writer.beginNested(0x5a);
  writeEvent(writer, event);
  writer.endNested(start);
}

export function writeWatchResponse(writer: WireWriter, response: WatchResponse): void {
  writeWatchResponseHead(writer, response);
  for (const event of response.events) writeWatchResponseEvent(writer, event);
}

export function encodeWatchRequest(request: WatchRequest): Uint8Array {
  return encodeMessage(writeWatchRequest, request);
}

export function decodeWatchRequest(bytes: Uint8Array): WatchRequest {
  return decodeMessage(readWatchRequest, bytes);
}

export function encodeWatchResponse(response: WatchResponse): Uint8Array {
  return encodeMessage(writeWatchResponse, response);
}

export function decodeWatchResponse(bytes: Uint8Array): WatchResponse {
  return decodeMessage(readWatchResponse, bytes);
}
