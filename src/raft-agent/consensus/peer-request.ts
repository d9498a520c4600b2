/**
 * Requests between members beside the log, and their responses, in both encodings. Members that both support version 2
 * of the peer protocol exchange the messages of `api/proto/haplan/peer/peer.proto`, encoded by hand here since every
 * renewal of a lease at a follower is one. With a member that supports only version 1 they are:
 *
 * ```
 * request:  | path length u16 | path | caller (`encodeCaller`; empty user = none) | message ... |
 * change:   | path length u16 | "/haplan.Peer/Change" | caller | id (16 bytes) | path length u16 | path | message ...
 * |
 * response: | status code u8 | message or, when the code is not 0, status text |
 * ```
 *
 * The kind of the transport's request determines which of the two it is; the response has the encoding of the request.
 */
import { StatusCode } from "../api/status-code.ts";
import { decodeMessage, emptyBytes, encodeMessage, type WireReader, type WireWriter } from "../api/wire.ts";
import { type Caller, decodeCaller, encodeCaller } from "../state-machine/caller.ts";
import type { ChangeId } from "../state-machine/change-id.ts";

/** The first version of the peer protocol that is defined by peer.proto. */
const firstProtobufVersion = 2;

export const PeerRequestKind = { framed: 1, protobuf: 2 } as const;
export type PeerRequestKind = (typeof PeerRequestKind)[keyof typeof PeerRequestKind];

export type PeerRequest = {
  /** The path of the method, e.g. `/etcdserverpb.Cluster/MemberAdd` or `/haplan.Peer/HashKv`. */
  readonly path: string;
  /** Null without a user. */
  readonly caller: Caller | null;
  /** For changes: the leader applies the change once, however often it is retried (`MemberChanges`). */
  readonly changeId: ChangeId | null;
  readonly message: Uint8Array;
};

export type PeerResponse = {
  readonly code: StatusCode;
  readonly text: string;
  readonly message: Uint8Array;
};

const changePath = "/haplan.Peer/Change";
const changeIdBytes = 16;
const noCaller: Caller = { user: "", authRevision: 0 };

/** The kind of requests to a member that shares `version` of the peer protocol with this one. */
export function peerRequestKind(version: number): PeerRequestKind {
  return version >= firstProtobufVersion ? PeerRequestKind.protobuf : PeerRequestKind.framed;
}

export function isPeerRequestKind(kind: number): kind is PeerRequestKind {
  return kind === PeerRequestKind.framed || kind === PeerRequestKind.protobuf;
}

export function encodePeerRequest(kind: PeerRequestKind, request: PeerRequest): Uint8Array {
  if (kind === PeerRequestKind.protobuf) return encodeMessage(writeRequest, request);
  const { path, caller, changeId, message } = request;
  const callerBytes = encodeCaller(caller ?? noCaller);
  if (changeId === null) return Buffer.concat([encodePath(path), callerBytes, message]);
  const id = Buffer.from(changeId, "hex");
  return Buffer.concat([encodePath(changePath), callerBytes, id, encodePath(path), message]);
}

/** @throws WireError or null when the bytes are not a request. The message is a view into `bytes`. */
export function decodePeerRequest(kind: PeerRequestKind, bytes: Uint8Array): PeerRequest | null {
  return kind === PeerRequestKind.protobuf ? decodeMessage(readRequest, bytes) : decodeFramedRequest(bytes);
}

export function encodePeerResponse(kind: PeerRequestKind, answer: PeerResponse): Uint8Array {
  if (kind === PeerRequestKind.protobuf) return encodeMessage(writeResponse, answer);
  const { code, text, message } = answer;
  return Buffer.concat([Uint8Array.of(code), code === StatusCode.ok ? message : Buffer.from(text)]);
}

/** @throws WireError when the bytes are not a response. The message is a view into `bytes`. */
export function decodePeerResponse(kind: PeerRequestKind, bytes: Uint8Array): PeerResponse {
  if (kind === PeerRequestKind.protobuf) return decodeMessage(readResponse, bytes);
  const code = (bytes[0] ?? StatusCode.internal) as StatusCode;
  const rest = bytes.subarray(1);
  if (code === StatusCode.ok) return { code, text: "", message: rest };
  return { code, text: Buffer.from(rest).toString("utf8"), message: emptyBytes };
}

function writeRequest(writer: WireWriter, { path, caller, changeId, message }: PeerRequest): void {
  writer.stringUnlessEmpty(0x0a, path);
  if (caller !== null && caller.user !== "") {
    const start = writer.beginNested(0x12);
    writer.stringUnlessEmpty(0x0a, caller.user);
    writer.intUnlessZero(0x10, caller.authRevision);
    writer.endNested(start);
  }
  if (changeId !== null) writer.bytesField(0x1a, Buffer.from(changeId, "hex"));
  writer.bytesUnlessEmpty(0x22, message);
}

function readRequest(reader: WireReader, end: number): PeerRequest {
  let path = "";
  let caller: Caller | null = null;
  let changeId: ChangeId | null = null;
  let message = emptyBytes;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) path = reader.string();
    else if (tag === 0x12) caller = readCaller(reader, reader.nestedEnd());
    else if (tag === 0x1a) changeId = Buffer.from(reader.view()).toString("hex");
    else if (tag === 0x22) message = reader.view();
    else reader.skip(tag, 4);
  }
  reader.finish(end);
  return { path, caller: caller?.user === "" ? null : caller, changeId: changeId === "" ? null : changeId, message };
}

function readCaller(reader: WireReader, end: number): Caller {
  let user = "";
  let authRevision = 0;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x0a) user = reader.string();
    else if (tag === 0x10) authRevision = reader.int64();
    else reader.skip(tag, 2);
  }
  reader.finish(end);
  return { user, authRevision };
}

function writeResponse(writer: WireWriter, { code, text, message }: PeerResponse): void {
  writer.intUnlessZero(0x08, code);
  writer.stringUnlessEmpty(0x12, text);
  writer.bytesUnlessEmpty(0x1a, message);
}

function readResponse(reader: WireReader, end: number): PeerResponse {
  let code = 0;
  let text = "";
  let message = emptyBytes;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x08) code = reader.int32();
    else if (tag === 0x12) text = reader.string();
    else if (tag === 0x1a) message = reader.view();
    else reader.skip(tag, 3);
  }
  reader.finish(end);
  return { code: code as StatusCode, text, message };
}

/** Null when the bytes are truncated. */
function decodeFramedRequest(bytes: Uint8Array): PeerRequest | null {
  const outer = decodePath(bytes, 0);
  const decoded = outer === null ? null : decodeCaller(bytes, outer.end);
  if (outer === null || decoded === null) return null;
  const caller = decoded.caller.user === "" ? null : decoded.caller;
  const message = bytes.subarray(decoded.end);
  if (outer.path !== changePath) return { path: outer.path, caller, changeId: null, message };
  const inner = decodePath(message, changeIdBytes);
  if (inner === null) return null;
  const changeId = Buffer.from(message.subarray(0, changeIdBytes)).toString("hex");
  return { path: inner.path, caller, changeId, message: message.subarray(inner.end) };
}

function encodePath(path: string): Uint8Array {
  const bytes = Buffer.alloc(2 + path.length);
  bytes.writeUInt16BE(path.length, 0);
  bytes.write(path, 2, "latin1");
  return bytes;
}

function decodePath(bytes: Uint8Array, start: number): { readonly path: string; readonly end: number } | null {
  if (bytes.length < start + 2) return null;
  const end = start + 2 + ((bytes[start]! << 8) | bytes[start + 1]!);
  return bytes.length < end ? null : { path: Buffer.from(bytes.subarray(start + 2, end)).toString("latin1"), end };
}
