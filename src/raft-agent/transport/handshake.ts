/** The first bytes in each direction: caller and callee, cluster, and protocol version. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { MemberId } from "../raft/entry.ts";
import { ByteReader, ByteWriter, getUint32 } from "../wal/byte-codec.ts";

/**
 * The protocol versions that a member supports, both bounds included. Two members use the highest common one, so that
 * a cluster can be upgraded one member at a time: a release that adds a version keeps supporting the previous one.
 *
 * 1. Agent-level requests are length-prefixed.
 * 2. They are the messages of `api/proto/haplan/peer/peer.proto`.
 */
export type VersionRange = { readonly lowest: number; readonly highest: number };
export const supportedVersions: VersionRange = { lowest: 1, highest: 2 };

/** Null when there is no common version. */
export function commonVersion(one: VersionRange, other: VersionRange): number | null {
  const highest = Math.min(one.highest, other.highest);
  return highest >= Math.max(one.lowest, other.lowest) ? highest : null;
}

/** Starts with a byte with which no HTTP request and no TLS record starts. */
const magic = Buffer.from([0xf5, ...Buffer.from("haplan\n")]);
export const firstHandshakeByte: number = magic[0]!;

/** In the hello's flags. An older agent sends 0 and ignores the flags. */
const acceptsMessagesFlag = 1;
/**
 * In the flags of both: how many versions above `version` are supported too. Members that support one version send 0.
 */
const moreVersionsShift = 4;
const moreVersionsMax = 15;
const helloFixedBytes = 38;
const urlsBytesMax = 2048;
/** In the reply's flags: a text follows. An older agent ignores the flags and the text. */
const hasReasonFlag = 1;
const reasonBytesMax = 1024;
export const replyBytes = 28;

/** `fetchSnapshot`: the caller was offered a snapshot, and receives it on this connection. */
export const Purpose = { messages: 0, snapshot: 1, fetchSnapshot: 2 } as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

export type Hello = {
  readonly versions: VersionRange;
  readonly purpose: Purpose;
  /** The answering side may send its own messages, requests and pings on this connection. */
  readonly acceptsMessages: boolean;
  readonly clusterId: string;
  readonly from: MemberId;
  readonly to: MemberId;
  /** The URLs at which the caller can be dialed. */
  readonly urls: readonly string[];
};

export const HandshakeStatus = {
  accepted: 0,
  wrongVersion: 1,
  wrongCluster: 2,
  wrongMember: 3,
  removed: 4,
  /** The caller's certificate is not that of the member it claims to be. */
  notPermitted: 5,
  /** The caller has the answering member's own id. */
  sameMember: 6,
  /** The answering member's cluster was rebuilt in place of the caller's: what the caller has is no longer the cluster. */
  replaced: 7,
} as const;
export type HandshakeStatus = (typeof HandshakeStatus)[keyof typeof HandshakeStatus];

/** The response; it names the answering side, so that the caller's log can explain an error. */
export type Reply = {
  readonly versions: VersionRange;
  readonly status: number;
  readonly clusterId: string;
  readonly member: MemberId;
  /** The reason for a rejection, in addition to `status`; empty from older members. */
  readonly reason: string;
};

export function encodeHello(hello: Omit<Hello, "versions">, versions: VersionRange = supportedVersions): Uint8Array {
  const writer = new ByteWriter(256);
  writer.raw(magic);
  writer.uint16(versions.lowest);
  writer.uint8(hello.purpose);
  writer.uint8((hello.acceptsMessages ? acceptsMessagesFlag : 0) | moreVersions(versions));
  for (const id of [hello.clusterId, hello.from, hello.to]) writer.memberId(id);
  const urls = Buffer.from(hello.urls.join(","));
  if (urls.length > urlsBytesMax)
    throw badHandshake(`peer URLs of ${urls.length} bytes, but at most ${urlsBytesMax} are allowed`);
  writer.uint16(urls.length);
  writer.raw(urls);
  return writer.written();
}

/**
 * The hello at the start of `bytes` and its length, or null while it is incomplete. @throws HaplanError
 * `transport/bad-handshake` when it is not a hello.
 */
export function decodeHello(bytes: Uint8Array): { readonly hello: Hello; readonly length: number } | null {
  checkMagic(bytes);
  if (bytes.length < helloFixedBytes) return null;
  const reader = new ByteReader(bytes, magic.length);
  const lowest = reader.uint16();
  const purpose = reader.uint8();
  const flags = reader.uint8();
  const versions = versionsFrom(lowest, flags);
  const acceptsMessages = (flags & acceptsMessagesFlag) !== 0;
  const [clusterId, from, to] = [reader.memberId(), reader.memberId(), reader.memberId()];
  const urlsBytes = reader.uint16();
  if (commonVersion(versions, supportedVersions) !== null && !Object.values<number>(Purpose).includes(purpose)) {
    throw badHandshake(`unknown purpose ${purpose}`);
  }
  if (urlsBytes > urlsBytesMax) throw badHandshake(`peer URLs of ${urlsBytes} bytes`);
  if (reader.remaining < urlsBytes) return null;
  const text = Buffer.from(reader.raw(urlsBytes)).toString();
  const urls = text === "" ? [] : text.split(",");
  const hello = { versions, purpose: purpose as Purpose, acceptsMessages, clusterId, from, to, urls };
  return { hello, length: reader.at };
}

export function encodeReply(
  reply: Omit<Reply, "versions" | "reason"> & { readonly reason?: string },
  versions: VersionRange = supportedVersions,
): Uint8Array {
  const writer = new ByteWriter(replyBytes);
  writer.raw(magic);
  writer.uint16(versions.lowest);
  const reason = Buffer.from(reply.reason ?? "").subarray(0, reasonBytesMax);
  writer.uint8(reply.status);
  writer.uint8((reason.length > 0 ? hasReasonFlag : 0) | moreVersions(versions));
  writer.memberId(reply.clusterId);
  writer.memberId(reply.member);
  if (reason.length > 0) {
    writer.uint16(reason.length);
    writer.raw(reason);
  }
  return writer.written();
}

/** Null while incomplete. @throws HaplanError `transport/bad-handshake` when it is not a valid reply. */
export function decodeReply(bytes: Uint8Array): Reply | null {
  checkMagic(bytes);
  if (bytes.length < replyBytes) return null;
  const reader = new ByteReader(bytes, magic.length);
  const lowest = reader.uint16();
  const status = reader.uint8();
  const flags = reader.uint8();
  const hasReason = (flags & hasReasonFlag) !== 0;
  const reply = {
    versions: versionsFrom(lowest, flags),
    status,
    clusterId: reader.memberId(),
    member: reader.memberId(),
  };
  if (!hasReason) return { ...reply, reason: "" };
  if (reader.remaining < 2) return null;
  const reasonBytes = reader.uint16();
  if (reader.remaining < reasonBytes) return null;
  return { ...reply, reason: Buffer.from(reader.raw(reasonBytes)).toString() };
}

function moreVersions({ lowest, highest }: VersionRange): number {
  return Math.min(highest - lowest, moreVersionsMax) << moreVersionsShift;
}

function versionsFrom(lowest: number, flags: number): VersionRange {
  return { lowest, highest: lowest + (flags >> moreVersionsShift) };
}

function versionsText({ lowest, highest }: VersionRange): string {
  return lowest === highest ? `version ${lowest}` : `versions ${lowest} to ${highest}`;
}

function checkMagic(bytes: Uint8Array): void {
  const length = Math.min(bytes.length, magic.length);
  if (magic.compare(bytes, 0, length, 0, length) !== 0) throw badHandshake("bytes that are not a peer's greeting");
}

/** Whether this member accepts the caller's connection. */
export function checkHello(
  hello: Hello,
  own: {
    clusterId: string;
    self: MemberId;
    isRemoved(id: MemberId): boolean;
    hasReplaced?(clusterId: string): boolean;
    versions?: VersionRange;
  },
): HandshakeStatus {
  if (commonVersion(hello.versions, own.versions ?? supportedVersions) === null) return HandshakeStatus.wrongVersion;
  if (hello.clusterId !== own.clusterId)
    return own.hasReplaced?.(hello.clusterId) ? HandshakeStatus.replaced : HandshakeStatus.wrongCluster;
  // Checked first: all members may have been replaced since, and others respond at the addresses that the caller
  // knows.
  if (own.isRemoved(hello.from)) return HandshakeStatus.removed;
  if (hello.to !== own.self) return HandshakeStatus.wrongMember;
  if (hello.from === own.self) return HandshakeStatus.sameMember;
  return HandshakeStatus.accepted;
}

/** Why a connection was rejected, in words that are correct on both sides; `caller` and `answerer` identify the two. */
export function explainRejection(
  status: number,
  caller: Omit<Hello, "urls" | "purpose" | "acceptsMessages">,
  answerer: Omit<Reply, "status" | "reason"> & { readonly reason?: string },
): string {
  switch (status) {
    case HandshakeStatus.wrongVersion:
      return `protocol version mismatch: member ${caller.from} supports ${versionsText(caller.versions)}, member ${answerer.member} ${versionsText(answerer.versions)}`;
    case HandshakeStatus.wrongCluster:
      return `cluster ID mismatch: member ${caller.from} belongs to cluster ${caller.clusterId}, member ${answerer.member} to cluster ${answerer.clusterId}`;
    case HandshakeStatus.wrongMember:
      return `wrong member: member ${caller.from} expects member ${caller.to}, but member ${answerer.member} is at this address`;
    case HandshakeStatus.removed:
      return `member ${caller.from} has been removed from the cluster`;
    case HandshakeStatus.notPermitted:
      return answerer.reason
        ? `member ${answerer.member} rejects the connection: ${answerer.reason}`
        : `member ${answerer.member} does not accept the caller's certificate as that of member ${caller.from}; see its log for the reason`;
    case HandshakeStatus.replaced:
      return `cluster ${caller.clusterId} was replaced by cluster ${answerer.clusterId}, in a restore or a recovery: member ${caller.from} is no member of it`;
    case HandshakeStatus.sameMember:
      return `two members have the id ${caller.from}: give each its own data directory, never a copy`;
    default:
      return `rejected with unknown status ${status}`;
  }
}

function badHandshake(what: string): HaplanError {
  return new HaplanError("transport/bad-handshake", what);
}

/** The first four bytes as hex, for logging unknown clients. */
export function describeFirstBytes(bytes: Uint8Array): string {
  return bytes.length < 4 ? Buffer.from(bytes).toString("hex") : getUint32(bytes, 0).toString(16).padStart(8, "0");
}
