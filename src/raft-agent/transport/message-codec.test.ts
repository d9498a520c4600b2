import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HaplanError } from "../../base/haplan-error.ts";
import type { Message, MessageBody, MessageKind } from "../raft/message.ts";
import { ByteWriter } from "../wal/byte-codec.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";

const from = "00000000000000aa";
const to = "fedcba9876543210";
const number = fc.maxSafeNat();
const bytes = fc.uint8Array({ maxLength: 40 });
const memberIds = fc.array(
  fc.bigInt(0n, 0xffff_ffff_ffff_ffffn).map((id) => id.toString(16).padStart(16, "0")),
  { maxLength: 4 },
);
const configuration = fc.record({ voters: memberIds, votersOutgoing: memberIds, learners: memberIds });
const index = fc.nat(2 ** 40);

const bodies: { readonly [kind in MessageKind]: fc.Arbitrary<MessageBody> } = {
  voteRequest: fc.record({
    kind: fc.constant("voteRequest" as const),
    preVote: fc.boolean(),
    lastLogIndex: number,
    lastLogTerm: number,
    leadershipTransfer: fc.boolean(),
  }),
  voteResponse: fc.record({ kind: fc.constant("voteResponse" as const), preVote: fc.boolean(), granted: fc.boolean() }),
  appendRequest: fc
    .tuple(
      index,
      number,
      number,
      fc.boolean(),
      fc.array(fc.record({ term: number, kind: fc.constantFrom(0 as const, 1 as const), data: bytes }), {
        maxLength: 5,
      }),
    )
    .map(([previousIndex, previousTerm, commitIndex, needsAck, entries]) => ({
      kind: "appendRequest" as const,
      previousIndex,
      previousTerm,
      commitIndex,
      needsAck,
      entries: entries.map((entry, at) => ({ ...entry, index: previousIndex + 1 + at })),
    })),
  appendResponse: fc.record({
    kind: fc.constant("appendResponse" as const),
    accepted: fc.boolean(),
    index: number,
    hintIndex: number,
    hintTerm: number,
  }),
  heartbeatRequest: fc.record({
    kind: fc.constant("heartbeatRequest" as const),
    commitIndex: number,
    readRound: number,
  }),
  heartbeatResponse: fc.record({ kind: fc.constant("heartbeatResponse" as const), readRound: number }),
  snapshotRequest: fc.record({
    kind: fc.constant("snapshotRequest" as const),
    snapshot: fc.record({ index: number, term: number, configuration }),
  }),
  timeoutNowRequest: fc.record({ kind: fc.constant("timeoutNowRequest" as const) }),
  forwardedProposals: fc.record({
    kind: fc.constant("forwardedProposals" as const),
    proposals: fc.array(bytes, { maxLength: 5 }),
  }),
  readIndexRequest: fc.record({ kind: fc.constant("readIndexRequest" as const), context: number }),
  readIndexResponse: fc.record({ kind: fc.constant("readIndexResponse" as const), context: number, index: number }),
};

function encoded(message: Message): Uint8Array {
  const writer = new ByteWriter(16);
  encodeMessage(writer, message);
  return writer.written().slice();
}

/** With bytes as text, whatever kind of view they are. */
function plain(message: Message): unknown {
  return JSON.parse(
    JSON.stringify(message, (_, value) => {
      // The result of stringify for a Buffer, and for another Uint8Array.
      if (value?.type === "Buffer") return Buffer.from(value.data).toString("hex");
      return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
    }),
  );
}

describe("the message codec", () => {
  it.each(Object.entries(bodies))("%s round-trips, from owned and from borrowed bytes", (_, body) => {
    fc.assert(
      fc.property(body, number, fc.boolean(), (content, term, owned) => {
        const message: Message = { from, to, term, ...content };
        const framed = Buffer.concat([Buffer.from("??"), encoded(message), Buffer.from("!")]);
        expect(plain(decodeMessage(framed, 2, framed.length - 1, owned, { from, to }))).toEqual(plain(message));
      }),
      { numRuns: 60 },
    );
  });

  it("a decoded append keeps its entries when its source bytes are reused", () => {
    const message: Message = {
      from,
      to,
      term: 3,
      kind: "appendRequest",
      previousIndex: 1,
      previousTerm: 2,
      commitIndex: 1,
      needsAck: true,
      entries: [{ index: 2, term: 3, kind: 0, data: Buffer.from("kept") }],
    };
    const framed = encoded(message);
    const decoded = decodeMessage(framed, 0, framed.length, false, { from, to });
    framed.fill(0xff);
    expect(plain(decoded)).toEqual(plain(message));
  });

  it("a truncated, padded or corrupted message is either decoded or rejected", () => {
    const anyBody = fc.oneof(...Object.values(bodies));
    fc.assert(
      fc.property(anyBody, fc.nat(), fc.nat(255), fc.nat(), (body, at, xor, cut) => {
        const framed = encoded({ from, to, term: 1, ...body });
        framed[at % framed.length]! ^= xor;
        try {
          decodeMessage(framed, 0, cut % (framed.length + 1), true, { from, to });
        } catch (error) {
          expect(error).toBeInstanceOf(HaplanError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
