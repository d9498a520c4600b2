/** The first bytes in each direction: who is calling whom, in which cluster, in which version of the protocol. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { MemberId } from "../raft/entry.ts";
import { ByteReader, ByteWriter, getUint32 } from "../wal/byte-codec.ts";

/**
 * Versions of the protocol that a member speaks, both included. Two members use the highest that both speak, so that a
 * cluster can be upgraded one member at a time: a release that adds a version goes on speaking the one before.
 *
 * 1. Requests beside the log have lengths in front.
 * 2. They are the messages of `api/proto/haplan/peer/peer.proto`.
 */
export type VersionRange = { readonly lowest: number; readonly highest: number };
export const spokenVersions: VersionRange = { lowest: 1, highest: 2 };

/** Null when there is no version that both speak. */
export function commonVersion(one: VersionRange, other: VersionRange): number | null {
  const highest = Math.min(one.highest, other.highest);
  return highest >= Math.max(one.lowest, other.lowest) ? highest : null;
}

/** Begins with a byte that no HTTP request and no TLS record begins with. */
const magic = Buffer.from([0xf5, ...Buffer.from("haplan\n")]);
export const firstHandshakeByte: number = magic[0]!;

/** In the hello's flags. An agent that does not know it sends 0 and does not look at the flags. */
const takesMessagesFlag = 1;
/** In the flags of both: how many versions above `version` are spoken too. Members that speak one version send 0. */
const moreVersionsShift = 4;
const moreVersionsMax = 15;
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
  readonly versions: VersionRange;
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
  readonly versions: VersionRange;
  readonly status: number;
  readonly clusterId: string;
  readonly member: MemberId;
  /** Why the caller is refused, beyond what `status` says; empty from older members. */
  readonly reason: string;
};

export function encodeHello(hello: Omit<Hello, "versions">, versions: VersionRange = spokenVersions): Uint8Array {
  const writer = new ByteWriter(256);
  writer.raw(magic);
  writer.uint16(versions.lowest);
  writer.uint8(hello.purpose);
  writer.uint8((hello.takesMessages ? takesMessagesFlag : 0) | moreVersions(versions));
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
  const lowest = reader.uint16();
  const purpose = reader.uint8();
  const flags = reader.uint8();
  const versions = versionsFrom(lowest, flags);
  const takesMessages = (flags & takesMessagesFlag) !== 0;
  const [clusterId, from, to] = [reader.memberId(), reader.memberId(), reader.memberId()];
  const urlsBytes = reader.uint16();
  if (commonVersion(versions, spokenVersions) !== null && !Object.values<number>(Purpose).includes(purpose)) {
    throw badHandshake(`unknown purpose ${purpose}`);
  }
  if (urlsBytes > urlsBytesMax) throw badHandshake(`peer URLs of ${urlsBytes} bytes`);
  if (reader.remaining < urlsBytes) return null;
  const text = Buffer.from(reader.raw(urlsBytes)).toString();
  const urls = text === "" ? [] : text.split(",");
  const hello = { versions, purpose: purpose as Purpose, takesMessages, clusterId, from, to, urls };
  return { hello, length: reader.at };
}

export function encodeReply(
  reply: Omit<Reply, "versions" | "reason"> & { readonly reason?: string },
  versions: VersionRange = spokenVersions,
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

/** Null while incomplete. @throws HaplanError `transport/bad-handshake` when it is no reply of ours. */
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
  if (magic.compare(bytes, 0, length, 0, length) !== 0) throw badHandshake("other bytes than a peer's greeting");
}

/** Whether this member takes the caller's connection. */
export function judgeHello(
  hello: Hello,
  own: { clusterId: string; self: MemberId; isRemoved(id: MemberId): boolean; versions?: VersionRange },
): HandshakeStatus {
  if (commonVersion(hello.versions, own.versions ?? spokenVersions) === null) return HandshakeStatus.wrongVersion;
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
      return `protocol version mismatch: member ${caller.from} speaks ${versionsText(caller.versions)}, member ${answerer.member} ${versionsText(answerer.versions)}`;
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
