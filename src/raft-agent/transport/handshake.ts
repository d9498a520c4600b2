/** The first bytes in each direction: who is calling whom, in which cluster, in which version of the protocol. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { MemberId } from "../raft/entry.ts";
import { ByteReader, ByteWriter, getUint32 } from "../wal/byte-codec.ts";

export const protocolVersion = 1;
/** Begins with a byte that no HTTP request and no TLS record begins with. */
const magic = Buffer.from([0xf5, ...Buffer.from("haplan\n")]);
export const firstHandshakeByte: number = magic[0]!;

/** In the hello's flags. An agent that does not know it sends 0 and does not look at the flags. */
const takesMessagesFlag = 1;
const helloFixedBytes = 38;
const urlsBytesMax = 2048;
/** In the reply's flags: a text follows. An agent that does not know it does not look at the flags, nor at the text. */
const hasReasonFlag = 1;
const reasonBytesMax = 1024;
export const replyBytes = 28;

/** `fetchSnapshot`: the caller was told of a snapshot, and takes it on this connection. */
export const Purpose = { messages: 0, snapshot: 1, fetchSnapshot: 2 } as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

export type Hello = {
  readonly version: number;
  readonly purpose: Purpose;
  /** The answering side may send messages, requests and pings of its own on this connection. */
  readonly takesMessages: boolean;
  readonly clusterId: string;
  readonly from: MemberId;
  readonly to: MemberId;
  /** Where the caller can be called back. */
  readonly urls: readonly string[];
};

export const HandshakeStatus = {
  accepted: 0,
  wrongVersion: 1,
  wrongCluster: 2,
  wrongMember: 3,
  removed: 4,
  /** The caller's certificate is not that of the member that it says it is. */
  notPermitted: 5,
  /** The caller has the answering member's own id. */
  sameMember: 6,
} as const;
export type HandshakeStatus = (typeof HandshakeStatus)[keyof typeof HandshakeStatus];

/** The answer; it names the answering side, so that the caller's log can say what is wrong. */
export type Reply = {
  readonly version: number;
  readonly status: number;
  readonly clusterId: string;
  readonly member: MemberId;
  /** Why the caller is refused, beyond what `status` says; empty from older members. */
  readonly reason: string;
};

export function encodeHello(hello: Omit<Hello, "version">): Uint8Array {
  const writer = new ByteWriter(256);
  writer.raw(magic);
  writer.uint16(protocolVersion);
  writer.uint8(hello.purpose);
  writer.uint8(hello.takesMessages ? takesMessagesFlag : 0);
  for (const id of [hello.clusterId, hello.from, hello.to]) writer.memberId(id);
  const urls = Buffer.from(hello.urls.join(","));
  if (urls.length > urlsBytesMax)
    throw badHandshake(`peer URLs of ${urls.length} bytes, at most ${urlsBytesMax} are allowed`);
  writer.uint16(urls.length);
  writer.raw(urls);
  return writer.written();
}

/**
 * The hello at the start of `bytes` and its length, or null while it is incomplete.
 * @throws HaplanError `transport/bad-handshake` when it is none.
 */
export function decodeHello(bytes: Uint8Array): { readonly hello: Hello; readonly length: number } | null {
  checkMagic(bytes);
  if (bytes.length < helloFixedBytes) return null;
  const reader = new ByteReader(bytes, magic.length);
  const version = reader.uint16();
  const purpose = reader.uint8();
  const takesMessages = (reader.uint8() & takesMessagesFlag) !== 0;
  const [clusterId, from, to] = [reader.memberId(), reader.memberId(), reader.memberId()];
  const urlsBytes = reader.uint16();
  if (version === protocolVersion && !Object.values<number>(Purpose).includes(purpose)) {
    throw badHandshake(`unknown purpose ${purpose}`);
  }
  if (urlsBytes > urlsBytesMax) throw badHandshake(`peer URLs of ${urlsBytes} bytes`);
  if (reader.remaining < urlsBytes) return null;
  const text = Buffer.from(reader.raw(urlsBytes)).toString();
  const urls = text === "" ? [] : text.split(",");
  const hello = { version, purpose: purpose as Purpose, takesMessages, clusterId, from, to, urls };
  return { hello, length: reader.at };
}

export function encodeReply(reply: Omit<Reply, "version" | "reason"> & { readonly reason?: string }): Uint8Array {
  const writer = new ByteWriter(replyBytes);
  writer.raw(magic);
  writer.uint16(protocolVersion);
  const reason = Buffer.from(reply.reason ?? "").subarray(0, reasonBytesMax);
  writer.uint8(reply.status);
  writer.uint8(reason.length > 0 ? hasReasonFlag : 0);
  writer.memberId(reply.clusterId);
  writer.memberId(reply.member);
  if (reason.length > 0) {
    writer.uint16(reason.length);
    writer.raw(reason);
  }
  return writer.written();
}

/** Null while incomplete. @throws HaplanError `transport/bad-handshake` when it is no reply of ours. */
export function decodeReply(bytes: Uint8Array): Reply | null {
  checkMagic(bytes);
  if (bytes.length < replyBytes) return null;
  const reader = new ByteReader(bytes, magic.length);
  const version = reader.uint16();
  const status = reader.uint8();
  const hasReason = (reader.uint8() & hasReasonFlag) !== 0;
  const reply = { version, status, clusterId: reader.memberId(), member: reader.memberId() };
  if (!hasReason) return { ...reply, reason: "" };
  if (reader.remaining < 2) return null;
  const reasonBytes = reader.uint16();
  if (reader.remaining < reasonBytes) return null;
  return { ...reply, reason: Buffer.from(reader.raw(reasonBytes)).toString() };
}

function checkMagic(bytes: Uint8Array): void {
  const length = Math.min(bytes.length, magic.length);
  if (magic.compare(bytes, 0, length, 0, length) !== 0) throw badHandshake("other bytes than a peer's greeting");
}

/** Whether this member takes the caller's connection. */
export function judgeHello(
  hello: Hello,
  own: { clusterId: string; self: MemberId; isRemoved(id: MemberId): boolean },
): HandshakeStatus {
  if (hello.version !== protocolVersion) return HandshakeStatus.wrongVersion;
  if (hello.clusterId !== own.clusterId) return HandshakeStatus.wrongCluster;
  // First: all members may have been replaced since, and others answer at the addresses that the caller knows.
  if (own.isRemoved(hello.from)) return HandshakeStatus.removed;
  if (hello.to !== own.self) return HandshakeStatus.wrongMember;
  if (hello.from === own.self) return HandshakeStatus.sameMember;
  return HandshakeStatus.accepted;
}

/** Why a connection was refused, in words that are right on both sides; `caller` and `answerer` say who is who. */
export function explainRefusal(
  status: number,
  caller: Omit<Hello, "urls" | "purpose" | "takesMessages">,
  answerer: Omit<Reply, "status" | "reason"> & { readonly reason?: string },
): string {
  switch (status) {
    case HandshakeStatus.wrongVersion:
      return `protocol version mismatch: member ${caller.from} speaks version ${caller.version}, member ${answerer.member} version ${answerer.version}`;
    case HandshakeStatus.wrongCluster:
      return `cluster ID mismatch: member ${caller.from} belongs to cluster ${caller.clusterId}, member ${answerer.member} to cluster ${answerer.clusterId}`;
    case HandshakeStatus.wrongMember:
      return `wrong member: member ${caller.from} wants member ${caller.to}, but member ${answerer.member} answers at this address`;
    case HandshakeStatus.removed:
      return `member ${caller.from} has been removed from the cluster`;
    case HandshakeStatus.notPermitted:
      return answerer.reason
        ? `member ${answerer.member} refuses the connection: ${answerer.reason}`
        : `member ${answerer.member} does not take the caller's certificate for that of member ${caller.from}; its log says why`;
    case HandshakeStatus.sameMember:
      return `two members have the id ${caller.from}: give each a data directory of its own, never a copy`;
    default:
      return `refused with unknown status ${status}`;
  }
}

function badHandshake(what: string): HaplanError {
  return new HaplanError("transport/bad-handshake", what);
}

/** The first four bytes as hex, for logs about strangers. */
export function describeFirstBytes(bytes: Uint8Array): string {
  return bytes.length < 4 ? Buffer.from(bytes).toString("hex") : getUint32(bytes, 0).toString(16).padStart(8, "0");
}
