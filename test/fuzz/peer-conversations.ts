/**
 * The conversations of a peer on the peer port: greetings, frames, messages of the core, snapshots, the HTTP requests
 * between members. A greeted peer is trusted to follow the protocol, as Raft trusts its members: one that claims a
 * later term can depose the leader and overwrite logs. So the messages here have term 0, which every member has left
 * behind, and everything but the term is mutated.
 */
import { crc32c } from "../../src/base/crc32c.ts";
import type { Random } from "../../src/base/random.ts";
import type { MessageBody } from "../../src/raft-agent/raft/message.ts";
import { frameType } from "../../src/raft-agent/transport/frame.ts";
import { encodeHello, Purpose } from "../../src/raft-agent/transport/handshake.ts";
import { encodeMessage } from "../../src/raft-agent/transport/message-codec.ts";
import { ByteWriter } from "../../src/raft-agent/wal/byte-codec.ts";
import { writeSnapshotMetadata } from "../../src/raft-agent/wal/snapshot-metadata-codec.ts";
import type { Conversation } from "./client-conversations.ts";
import { chance, mutateBytes, mutatePieces, pick, randomBytes } from "./mutate.ts";

export type PeerPlace = { readonly clusterId: string; readonly memberId: string };

/** Frame header, kind and flags, then the term. */
const termAt = 7;
const termEnd = 15;
const httpPaths = ["/members", "/version", "/raft", "/raft/probing", "/leases", "/", "/members/promote/1"];

export function peerConversation(random: Random, place: PeerPlace): Conversation {
  if (chance(random, 10)) return { alpn: [], pieces: [randomBytes(random, 400)], requests: 0 };
  if (chance(random, 8)) return directoryRequest(random);
  const isSnapshot = chance(random, 8);
  const greeting = hello(random, place, isSnapshot ? Purpose.snapshot : Purpose.messages);
  let frames = isSnapshot
    ? snapshotFrames(random)
    : Array.from({ length: 1 + random.below(8) }, () => anyFrame(random));
  const requests = frames.length;
  for (let times = random.below(2); times > 0; times--) frames = mutateFrames(random, frames);
  return { alpn: [], pieces: [greeting, ...frames], requests };
}

function directoryRequest(random: Random): Conversation {
  const text = `${pick(random, ["GET", "POST", "PUT"])} ${pick(random, httpPaths)} HTTP/1.1\r\nHost: m\r\n\r\n`;
  const bytes = Buffer.from(text);
  return { alpn: [], pieces: [chance(random, 2) ? bytes : mutateBytes(random, bytes)], requests: 1 };
}

function hello(random: Random, { clusterId, memberId }: PeerPlace, purpose: Purpose): Buffer {
  const from = randomBytes(random, 2).toString("hex").padStart(16, "f");
  const urls = pick(random, [[], ["http://127.0.0.1:1"], ["nonsense"], ["https://[::1]:1", "unix://x"]]);
  const bytes = Buffer.from(
    encodeHello({ purpose, acceptsMessages: chance(random, 2), clusterId, from, to: memberId, urls }),
  );
  return chance(random, 6) ? mutateBytes(random, bytes) : bytes;
}

/** Drops, duplicates and swaps whole frames; inside of them everything but the term of a message is mutated. */
function mutateFrames(random: Random, frames: readonly Buffer[]): Buffer[] {
  if (chance(random, 2)) {
    const at = random.below(frames.length);
    const frame = frames[at]!;
    if (frame[4] !== frameType.message) return frames.with(at, mutateBytes(random, frame, 4));
    const changed = mutateBytes(random, frame, Math.min(termEnd, frame.length - 1));
    frame.copy(changed, termAt, termAt, termEnd);
    return frames.with(at, chance(random, 2) ? withLength(changed) : changed);
  }
  return mutatePieces(random, frames).filter((frame) => frames.includes(frame));
}

function withLength(frame: Buffer): Buffer {
  frame.writeUInt32LE(frame.length - 4);
  return frame;
}

function frame(type: number, write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter(64);
  writer.uint32(0);
  writer.uint8(type);
  write(writer);
  return withLength(Buffer.from(writer.written()));
}

function anyFrame(random: Random): Buffer {
  switch (random.below(6)) {
    case 0:
      return frame(frameType.ping, (writer) => writer.raw(randomBytes(random, 8)));
    case 1:
      return frame(frameType.request, (writer) => {
        writer.uint32(random.below(2 ** 32));
        writer.uint16(random.below(3));
        writer.raw(randomBytes(random, 40));
      });
    case 2:
      return frame(1 + random.below(11), (writer) =>
        writer.raw(Buffer.concat([Buffer.alloc(10), randomBytes(random, 40)])),
      );
    default:
      return frame(frameType.message, (writer) =>
        encodeMessage(writer, { from: "", to: "", term: 0, ...messageBody(random) }),
      );
  }
}

function messageBody(random: Random): MessageBody {
  const number = (): number => pick(random, [0, 1, 2, 10, 1_000, 2 ** 32, Number.MAX_SAFE_INTEGER]);
  const flag = chance(random, 2);
  const bytes = (): Buffer => randomBytes(random, 30);
  switch (random.below(10)) {
    case 0:
      return {
        kind: "voteRequest",
        preVote: flag,
        leadershipTransfer: chance(random, 2),
        lastLogIndex: number(),
        lastLogTerm: number(),
      };
    case 1:
      return { kind: "voteResponse", preVote: flag, granted: chance(random, 2) };
    case 2:
      return {
        kind: "appendRequest",
        previousIndex: number(),
        previousTerm: number(),
        commitIndex: number(),
        needsAck: flag,
        entries: Array.from({ length: random.below(3) }, () => ({ index: 0, term: 0, kind: 0, data: bytes() })),
      };
    case 3:
      return { kind: "appendResponse", accepted: flag, index: number(), hintIndex: number(), hintTerm: number() };
    case 4:
      return { kind: "heartbeatRequest", commitIndex: number(), readRound: number() };
    case 5:
      return { kind: "heartbeatResponse", readRound: number() };
    case 6:
      return { kind: "timeoutNowRequest" };
    case 7:
      return { kind: "forwardedProposals", proposals: [bytes(), bytes()] };
    case 8:
      return { kind: "readIndexRequest", context: number() };
    default:
      return { kind: "readIndexResponse", context: number(), index: number() };
  }
}

function snapshotFrames(random: Random): Buffer[] {
  const member = "00000000000000aa";
  const configuration = { voters: [member], votersOutgoing: [], learners: [] };
  const metadata = { index: random.below(1_000), term: 0, configuration };
  // The leader's term comes first; it is long outdated.
  const contents = Array.from({ length: random.below(4) }, () =>
    Buffer.concat([Buffer.alloc(8), randomBytes(random, 200)]),
  );
  const whole = Buffer.concat(contents);
  const chunks = contents.map((content) => frame(frameType.snapshotChunk, (writer) => writer.raw(content)));
  const end = frame(frameType.snapshotEnd, (writer) => {
    writer.uint64(whole.length);
    writer.uint32(chance(random, 2) ? crc32c(whole, 0, whole.length) : random.below(2 ** 32));
  });
  return [frame(frameType.snapshotStart, (writer) => writeSnapshotMetadata(writer, metadata)), ...chunks, end];
}
