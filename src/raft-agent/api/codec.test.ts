/** Tests the hand-written codecs against the generated library, in both directions, and against malformed input. */
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { messageArbitrary } from "../../../test/support/message-arbitrary.ts";
import * as compaction from "./compaction.ts";
import { decodeCompare, encodeCompare } from "./compare.ts";
import * as deleteRange from "./delete-range.ts";
import * as rpc from "./gen/etcdserverpb/rpc_pb.ts";
import { EventSchema, KeyValueSchema } from "./gen/mvccpb/kv_pb.ts";
import { decodeEvent, decodeKeyValue, encodeEvent, encodeKeyValue } from "./key-value.ts";
import * as lease from "./lease-keep-alive.ts";
import * as put from "./put.ts";
import * as range from "./range.ts";
import { decodeResponseHeader, encodeResponseHeader } from "./response-header.ts";
import * as txn from "./txn.ts";
import * as watch from "./watch.ts";
import { WireError } from "./wire.ts";

type Codec = { desc: DescMessage; decode: (bytes: Uint8Array) => unknown; encode: (bytes: Uint8Array) => Uint8Array };

function codec<Plain>(
  desc: DescMessage,
  decode: (bytes: Uint8Array) => Plain,
  encode: (message: Plain) => Uint8Array,
): [string, Codec] {
  return [desc.name, { desc, decode, encode: (bytes) => encode(decode(bytes)) }];
}

const codecs: [string, Codec][] = [
  codec(KeyValueSchema, decodeKeyValue, encodeKeyValue),
  codec(EventSchema, decodeEvent, encodeEvent),
  codec(rpc.ResponseHeaderSchema, decodeResponseHeader, encodeResponseHeader),
  codec(rpc.RangeRequestSchema, range.decodeRangeRequest, range.encodeRangeRequest),
  codec(rpc.RangeResponseSchema, range.decodeRangeResponse, range.encodeRangeResponse),
  codec(rpc.PutRequestSchema, put.decodePutRequest, put.encodePutRequest),
  codec(rpc.PutResponseSchema, put.decodePutResponse, put.encodePutResponse),
  codec(rpc.DeleteRangeRequestSchema, deleteRange.decodeDeleteRangeRequest, deleteRange.encodeDeleteRangeRequest),
  codec(rpc.DeleteRangeResponseSchema, deleteRange.decodeDeleteRangeResponse, deleteRange.encodeDeleteRangeResponse),
  codec(rpc.CompareSchema, decodeCompare, encodeCompare),
  codec(rpc.TxnRequestSchema, txn.decodeTxnRequest, txn.encodeTxnRequest),
  codec(rpc.TxnResponseSchema, txn.decodeTxnResponse, txn.encodeTxnResponse),
  codec(rpc.CompactionRequestSchema, compaction.decodeCompactionRequest, compaction.encodeCompactionRequest),
  codec(rpc.CompactionResponseSchema, compaction.decodeCompactionResponse, compaction.encodeCompactionResponse),
  codec(rpc.WatchRequestSchema, watch.decodeWatchRequest, watch.encodeWatchRequest),
  codec(rpc.WatchResponseSchema, watch.decodeWatchResponse, watch.encodeWatchResponse),
  codec(rpc.LeaseKeepAliveRequestSchema, lease.decodeLeaseKeepAliveRequest, lease.encodeLeaseKeepAliveRequest),
  codec(rpc.LeaseKeepAliveResponseSchema, lease.decodeLeaseKeepAliveResponse, lease.encodeLeaseKeepAliveResponse),
];

describe.each(codecs)("%s", (_name, { desc, decode, encode }) => {
  it("decodes and encodes like the library", () => {
    fc.assert(
      fc.property(messageArbitrary(desc), (message) => {
        const bytes = toBinary(desc, message);
        expectSame(desc, message, decode(bytes));
        const written = encode(bytes);
        expect(Buffer.from(written).toString("hex")).toBe(Buffer.from(bytes).toString("hex"));
        expect(fromBinary(desc, written)).toEqual(message);
      }),
      { numRuns: 60 },
    );
  });

  it("rejects damaged bytes only with a WireError", () => {
    const damaged = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.tuple(messageArbitrary(desc), fc.nat(), fc.nat(255)).map(([message, at, value]) => {
        const bytes = toBinary(desc, message);
        if (bytes.length > 0) bytes[at % bytes.length] = value;
        return bytes;
      }),
      fc.tuple(messageArbitrary(desc), fc.nat()).map(([message, at]) => {
        const bytes = toBinary(desc, message);
        return bytes.subarray(0, bytes.length === 0 ? 0 : at % bytes.length);
      }),
    );
    fc.assert(
      fc.property(damaged, (bytes) => {
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("skips unknown fields", () => {
    const unknown = Buffer.from("c83e05d23e0161dd3e01020304d93e0102030405060708db3e0801dc3e", "hex");
    expect(encode(unknown).length).toBe(0);
  });
});

/** Compares field by field, by name without regard to case; both oneof styles are supported. */
function expectSame(desc: DescMessage, message: Message, plain: unknown): void {
  const generated = message as unknown as Record<string, unknown>;
  if (plain instanceof Uint8Array) {
    // A key-value that is passed on encoded.
    expect(Buffer.from(toBinary(desc, message)).equals(plain)).toBe(true);
    return;
  }
  const fields = new Map(Object.entries(plain as object).map(([name, value]) => [name.toLowerCase(), value]));
  for (const field of desc.fields) {
    if (field.oneof !== undefined) continue;
    const expected = generated[field.localName];
    const actual = fields.get(field.localName.toLowerCase());
    if (field.fieldKind === "message" && expected !== undefined) expectSame(field.message, expected as Message, actual);
    else if (field.fieldKind === "list" && field.listKind === "message") {
      const items = expected as Message[];
      expect((actual as unknown[]).length).toBe(items.length);
      items.forEach((item, i) => {
        expectSame(field.message, item, (actual as unknown[])[i]);
      });
    } else expect(comparable(actual)).toEqual(comparable(expected));
  }
  for (const oneof of desc.oneofs) {
    const chosen = generated[oneof.localName] as { case: string | undefined; value: unknown };
    expectSameChoice(chosen, plain as Record<string, unknown>, desc);
  }
}

const kinds: Record<string, string> = {
  requestRange: "range",
  requestPut: "put",
  requestDeleteRange: "deleteRange",
  requestTxn: "txn",
  responseRange: "range",
  responsePut: "put",
  responseDeleteRange: "deleteRange",
  responseTxn: "txn",
  createRequest: "create",
  cancelRequest: "cancel",
  progressRequest: "progress",
};

function expectSameChoice(
  chosen: { case: string | undefined; value: unknown },
  plain: Record<string, unknown>,
  desc: DescMessage,
): void {
  const union = (plain["operand"] ?? plain) as Record<string, unknown>;
  expect(union["kind"]).toBe(chosen.case === undefined ? "none" : (kinds[chosen.case] ?? chosen.case));
  if (chosen.case === undefined || chosen.case === "progressRequest") return;
  const field = desc.fields.find((one) => one.localName === chosen.case)!;
  const payload = union["request"] ?? union["response"] ?? union["number"] ?? union["bytes"] ?? union["lease"] ?? union;
  if (field.fieldKind === "message") expectSame(field.message, chosen.value as Message, payload);
  else expect(comparable(payload)).toEqual(comparable(chosen.value));
}

function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return typeof value === "number" ? BigInt(value) : Array.isArray(value) ? value.map(comparable) : value;
}

describe("the wire reader", () => {
  it("clamps integers beyond 2^53 to the far future and the far past", () => {
    const of = (revision: bigint): number => {
      const message = { $typeName: rpc.CompactionRequestSchema.typeName, revision, physical: false } as const;
      return compaction.decodeCompactionRequest(toBinary(rpc.CompactionRequestSchema, message)).revision;
    };
    expect(of(2n ** 63n - 1n)).toBe(Number.MAX_SAFE_INTEGER);
    expect(of(-(2n ** 63n))).toBe(Number.MIN_SAFE_INTEGER);
  });

  it("rejects transactions nested deeper than its limit", () => {
    let request: txn.TxnRequest = { compare: [], success: [], failure: [] };
    for (let i = 0; i < 150; i++) request = { compare: [], success: [{ kind: "txn", request }], failure: [] };
    expect(() => txn.decodeTxnRequest(txn.encodeTxnRequest(request))).toThrow(WireError);
  });

  it.each([
    ["a varint of eleven bytes", "08ffffffffffffffffffff01"],
    ["a known field with the wrong wire type", "0a0161"],
    ["field number zero", "0001"],
    ["an unterminated group", "fb3e08"],
  ])("rejects %s", (_what, hex) => {
    expect(() => compaction.decodeCompactionRequest(Buffer.from(hex, "hex"))).toThrow(WireError);
  });
});
