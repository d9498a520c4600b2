/**
 * Encodes the core's messages, field by field as drawn in README.md. Sender and receiver are not included: a
 * connection has one of each. Entries are numbered by position, since they are consecutive.
 */
import { assertNever } from "../../base/assert.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { type Entry, EntryKind, type LogIndex, type MemberId } from "../raft/entry.ts";
import type { AppendRequest, Message, MessageBody, MessageKind } from "../raft/message.ts";
import { ByteReader, type ByteWriter, copyBytes } from "../wal/byte-codec.ts";
import { readSnapshotMetadata, writeSnapshotMetadata } from "../wal/snapshot-metadata-codec.ts";

const codeOf: { readonly [kind in MessageKind]: number } = {
  voteRequest: 1,
  voteResponse: 2,
  appendRequest: 3,
  appendResponse: 4,
  heartbeatRequest: 5,
  heartbeatResponse: 6,
  snapshotRequest: 7,
  timeoutNowRequest: 8,
  forwardedProposals: 9,
  readIndexRequest: 10,
  readIndexResponse: 11,
};
const kindOf: readonly (MessageKind | undefined)[] = Object.entries(codeOf).reduce<(MessageKind | undefined)[]>(
  (kinds, [kind, code]) => {
    kinds[code] = kind as MessageKind;
    return kinds;
  },
  [],
);

/** Appends the message to `writer`; all bytes are copied. */
export function encodeMessage(writer: ByteWriter, message: Message): void {
  writer.uint8(codeOf[message.kind]);
  writer.uint8(flagsOf(message));
  writer.uint64(message.term);
  switch (message.kind) {
    case "voteRequest":
      writer.uint64(message.lastLogIndex);
      writer.uint64(message.lastLogTerm);
      break;
    case "appendRequest":
      encodeAppendRequest(writer, message);
      break;
    case "appendResponse":
      writer.uint64(message.index);
      writer.uint64(message.hintIndex);
      writer.uint64(message.hintTerm);
      break;
    case "heartbeatRequest":
      writer.uint64(message.commitIndex);
      writer.uint64(message.readRound);
      break;
    case "heartbeatResponse":
      writer.uint64(message.readRound);
      break;
    case "snapshotRequest":
      writeSnapshotMetadata(writer, message.snapshot);
      break;
    case "forwardedProposals":
      encodeProposals(writer, message.proposals);
      break;
    case "readIndexRequest":
      writer.uint64(message.context);
      break;
    case "readIndexResponse":
      writer.uint64(message.context);
      writer.uint64(message.index);
      break;
    case "voteResponse":
    case "timeoutNowRequest":
      break;
    default:
      assertNever(message);
  }
}

function flagsOf(message: Message): number {
  switch (message.kind) {
    case "voteRequest":
      return (message.preVote ? 1 : 0) | (message.leadershipTransfer ? 2 : 0);
    case "voteResponse":
      return (message.preVote ? 1 : 0) | (message.granted ? 2 : 0);
    case "appendRequest":
      return message.needsAck ? 1 : 0;
    case "appendResponse":
      return message.accepted ? 1 : 0;
    default:
      return 0;
  }
}

function encodeAppendRequest(writer: ByteWriter, message: AppendRequest): void {
  writer.uint64(message.previousIndex);
  writer.uint64(message.previousTerm);
  writer.uint64(message.commitIndex);
  writer.uint32(message.entries.length);
  for (const { kind, term, data } of message.entries) {
    writer.reserve(13 + data.length);
    writer.uint32(data.length);
    writer.uint8(kind);
    writer.uint64(term);
    writer.raw(data);
  }
}

function encodeProposals(writer: ByteWriter, proposals: readonly Uint8Array[]): void {
  writer.uint32(proposals.length);
  for (const proposal of proposals) {
    writer.uint32(proposal.length);
    writer.raw(proposal);
  }
}

/**
 * Decodes the message in `bytes[start, end)`. Entries and proposals are views: of `bytes` when it is `owned`, else of
 * one copy. @throws HaplanError `transport/bad-message` or `codec/...` for anything that `encodeMessage` would not
 * write.
 */
export function decodeMessage(
  bytes: Uint8Array,
  start: number,
  end: number,
  owned: boolean,
  route: { readonly from: MemberId; readonly to: MemberId },
): Message {
  const kind = kindOf[bytes[start] ?? 0];
  const keepsBytes = (kind === "appendRequest" || kind === "forwardedProposals") && !owned;
  const reader = keepsBytes ? new ByteReader(copyBytes(bytes, start, end)) : new ByteReader(bytes, start, end);
  reader.uint8();
  const flags = reader.uint8();
  const term = reader.uint64();
  const body = decodeBody(reader, kind, flags);
  if (reader.remaining > 0) throw badMessage(`${reader.remaining} bytes after a message of kind ${kind}`);
  return { from: route.from, to: route.to, term, ...body };
}

function decodeBody(reader: ByteReader, kind: MessageKind | undefined, flags: number): MessageBody {
  switch (kind) {
    case "voteRequest": {
      const [preVote, leadershipTransfer] = [(flags & 1) !== 0, (flags & 2) !== 0];
      return { kind, preVote, leadershipTransfer, lastLogIndex: reader.uint64(), lastLogTerm: reader.uint64() };
    }
    case "voteResponse":
      return { kind, preVote: (flags & 1) !== 0, granted: (flags & 2) !== 0 };
    case "appendRequest":
      return decodeAppendRequest(reader, (flags & 1) !== 0);
    case "appendResponse": {
      const [index, hintIndex, hintTerm] = [reader.uint64(), reader.uint64(), reader.uint64()];
      return { kind, accepted: (flags & 1) !== 0, index, hintIndex, hintTerm };
    }
    case "heartbeatRequest":
      return { kind, commitIndex: reader.uint64(), readRound: reader.uint64() };
    case "heartbeatResponse":
      return { kind, readRound: reader.uint64() };
    case "snapshotRequest":
      return { kind, snapshot: readSnapshotMetadata(reader) };
    case "timeoutNowRequest":
      return { kind };
    case "forwardedProposals": {
      const count = checkedCount(reader, 4);
      return { kind, proposals: Array.from({ length: count }, () => reader.raw(reader.uint32())) };
    }
    case "readIndexRequest":
      return { kind, context: reader.uint64() };
    case "readIndexResponse":
      return { kind, context: reader.uint64(), index: reader.uint64() };
    case undefined:
      throw badMessage("a message of an unknown kind");
    default:
      return assertNever(kind);
  }
}

function decodeAppendRequest(reader: ByteReader, needsAck: boolean): AppendRequest {
  const [previousIndex, previousTerm, commitIndex] = [reader.uint64(), reader.uint64(), reader.uint64()];
  const count = checkedCount(reader, 13);
  const entries: Entry[] = [];
  for (let at = 1; at <= count; at++) entries.push(decodeEntry(reader, previousIndex + at));
  return { kind: "appendRequest", previousIndex, previousTerm, commitIndex, needsAck, entries };
}

function decodeEntry(reader: ByteReader, index: LogIndex): Entry {
  const length = reader.uint32();
  const kind = reader.uint8();
  if (kind !== EntryKind.normal && kind !== EntryKind.configuration)
    throw badMessage(`an entry of unknown kind ${kind}`);
  const term = reader.uint64();
  return { index, term, kind, data: reader.raw(length) };
}

/** A count that fits the remaining bytes: a wrong one must not cause an allocation. */
function checkedCount(reader: ByteReader, bytesMin: number): number {
  const count = reader.uint32();
  if (count * bytesMin > reader.remaining)
    throw badMessage(`a count of ${count} followed by ${reader.remaining} bytes`);
  return count;
}

function badMessage(what: string): HaplanError {
  return new HaplanError("transport/bad-message", what);
}
