/** Tests requests between members: the hand-written codec against the generated one, and the previous release. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PeerAnswerSchema, PeerRequestSchema } from "../api/gen/haplan/peer/peer_pb.ts";
import type { StatusCode } from "../api/status-code.ts";
import { WireError } from "../api/wire.ts";
import { ConsensusClient } from "./consensus-client.ts";
import {
  decodePeerRequest,
  decodePeerResponse,
  encodePeerRequest,
  encodePeerResponse,
  type PeerRequest,
  PeerRequestKind,
  type PeerResponse,
} from "./peer-request.ts";

const { framed, protobuf } = PeerRequestKind;
const kinds = Object.entries(PeerRequestKind);
const bytes = fc.uint8Array({ maxLength: 40 }).map((value): Uint8Array => Buffer.from(value));
const request: fc.Arbitrary<PeerRequest> = fc.record({
  path: fc.stringMatching(/^\/[a-zA-Z.]{1,30}\/[a-zA-Z]{1,20}$/),
  caller: fc.option(fc.record({ user: fc.string({ minLength: 1 }), authRevision: fc.nat() })),
  changeId: fc.option(fc.stringMatching(/^[0-9a-f]{32}$/)),
  message: bytes,
});
const answer: fc.Arbitrary<PeerResponse> = fc.oneof(
  bytes.map((message) => ({ code: 0 as StatusCode, text: "", message })),
  fc
    .tuple(fc.integer({ min: 1, max: 16 }), fc.string({ minLength: 1 }))
    .map(([code, text]) => ({ code: code as StatusCode, text, message: Buffer.alloc(0) })),
);
const plain = <Message extends { readonly message: Uint8Array }>(value: Message): object => ({
  ...value,
  message: Buffer.from(value.message).toString("hex"),
});

describe.each(kinds)("a %s request", (_name, kind) => {
  it("round-trips, and so does its response", () => {
    fc.assert(
      fc.property(request, answer, (asked, answered) => {
        expect(plain(decodePeerRequest(kind, encodePeerRequest(kind, asked))!)).toEqual(plain(asked));
        expect(plain(decodePeerResponse(kind, encodePeerResponse(kind, answered)))).toEqual(plain(answered));
      }),
    );
  });

  it("that is damaged is rejected", () => {
    fc.assert(
      fc.property(bytes, request, fc.nat(), (noise, asked, at) => {
        const whole = encodePeerRequest(kind, asked);
        for (const damaged of [noise, whole.subarray(0, at % whole.length)]) {
          try {
            decodePeerRequest(kind, damaged);
            decodePeerResponse(kind, damaged);
          } catch (error) {
            expect(error).toBeInstanceOf(WireError);
          }
        }
      }),
    );
  });
});

describe("peer.proto", () => {
  it("matches the generated library", () => {
    fc.assert(
      fc.property(request, answer, (asked, answered) => {
        const { path, caller, changeId, message } = asked;
        const libraryRequest = toBinary(
          PeerRequestSchema,
          create(PeerRequestSchema, {
            path,
            message,
            ...(caller === null ? {} : { caller: { user: caller.user, authRevision: BigInt(caller.authRevision) } }),
            ...(changeId === null ? {} : { changeId: Buffer.from(changeId, "hex") }),
          }),
        );
        expect(Buffer.from(encodePeerRequest(protobuf, asked))).toEqual(Buffer.from(libraryRequest));
        const read = fromBinary(PeerAnswerSchema, encodePeerResponse(protobuf, answered));
        expect({ code: read.code, text: read.text }).toEqual({ code: answered.code, text: answered.text });
        expect(Buffer.from(read.message)).toEqual(Buffer.from(answered.message));
      }),
    );
  });

  it("skips fields unknown to this version", () => {
    const asked: PeerRequest = { path: "/a/B", caller: null, changeId: null, message: Buffer.from("m") };
    const later = Buffer.concat([encodePeerRequest(protobuf, asked), Buffer.from([0x7a, 1, 65])]);
    expect(plain(decodePeerRequest(protobuf, later)!)).toEqual(plain(asked));
  });
});

describe("the previous release", () => {
  it("encodes a change like this", () => {
    const hex = Buffer.concat([
      Buffer.from([0, 19]),
      Buffer.from("/haplan.Peer/Change"),
      Buffer.from([0, 3]),
      Buffer.from("ann"),
      Buffer.from("0000000000000009", "hex"),
      Buffer.alloc(16, 0xab),
      Buffer.from([0, 4]),
      Buffer.from("/a/B"),
      Buffer.from("message"),
    ]);
    const asked = { path: "/a/B", caller: { user: "ann", authRevision: 9 }, changeId: "ab".repeat(16) };
    expect(decodePeerRequest(framed, hex)).toMatchObject(asked);
    expect(Buffer.from(encodePeerRequest(framed, { ...asked, message: Buffer.from("message") }))).toEqual(hex);
  });

  it.each([
    [1, framed],
    [2, protobuf],
    [null, framed],
  ])("at common version %s, a request of kind %i is sent", (version, kind) => {
    const sent: number[] = [];
    const client = new ConsensusClient({
      memberId: "00000000000000aa",
      electionTimeoutMs: 1_000,
      appliedIndex: () => 0,
      clock: { monotonicMs: () => 0 },
      driver: { status: () => ({ role: "follower", leader: null, term: 0 }) } as never,
      transport: {
        versionWith: () => version,
        supportedVersion: () => version,
        request: (_peer, sentKind) => {
          sent.push(sentKind);
          return new Promise(() => {});
        },
      },
      servePeer: () => {},
    });
    client.callPeer("00000000000000bb", { path: "/a/B", caller: null, changeId: null, message: bytes0 }, () => {});
    expect(sent).toEqual([kind]);
  });
});

const bytes0 = new Uint8Array(0);
