import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  AuthUserAddRequestSchema,
  LeaseGrantRequestSchema,
  RangeRequest_SortOrder,
  RangeRequestSchema,
  TxnRequestSchema,
} from "../api/gen/etcdserverpb/rpc_pb.ts";
import { encodeJson } from "./json-message.ts";

function read<T extends DescMessage>(description: T, text: string): unknown {
  const encoded = encodeJson(description, text);
  return typeof encoded === "string" ? encoded : fromBinary(description, encoded);
}
const a = Uint8Array.of(0x61);

describe("a message as JSON", () => {
  it.each([
    ["a proto name", `{"range_end":"YQ=="}`, { rangeEnd: a }],
    ["a JSON name", `{"rangeEnd":"YQ=="}`, { rangeEnd: a }],
    ["an unknown field", `{"unknown":[{"a":"}"}],"key":"YQ=="}`, { key: a }],
    ["a repeated field: the last one counts", `{"key":"Yg==","key":"YQ=="}`, { key: a }],
    ["base64 without padding", `{"key":"YQ"}`, { key: a }],
    ["base64 for URLs", `{"key":"-_8="}`, { key: Uint8Array.of(0xfb, 0xff) }],
    ["base64 with line ends", `{"key":"YQ\\n==\\r\\n"}`, { key: a }],
    ["null for a field", `{"key":null,"limit":null,"sort_order":null}`, { limit: 0n }],
    ["null for the message", "null", { limit: 0n }],
    ["an enum's name", `{"sort_order":"DESCEND"}`, { sortOrder: RangeRequest_SortOrder.DESCEND }],
    ["an enum's number", `{"sort_order":2}`, { sortOrder: RangeRequest_SortOrder.DESCEND }],
    ["an enum's unknown number", `{"sort_order":77}`, { sortOrder: 77 }],
    ["a number", `{"limit":-5}`, { limit: -5n }],
    ["a number as text", `{"limit":"-5"}`, { limit: -5n }],
    ["a whole number with a point or an exponent", `{"limit":1.0,"revision":2e1}`, { limit: 1n, revision: 20n }],
    ["a number beyond double precision", `{"limit":9007199254740993}`, { limit: 9007199254740993n }],
    ["the smallest number", `{"limit":-9223372036854775808}`, { limit: -(2n ** 63n) }],
    ["long numbers inside strings", `{"key":"YQ==","x":"a\\"9007199254740993"}`, { key: a }],
  ])("takes %s", (_, text, wanted) => {
    expect(read(RangeRequestSchema, text)).toMatchObject(wanted);
  });

  it("accepts long numbers wherever numbers are expected, and nowhere else", () => {
    const id = "7587862094293712906";
    expect(read(LeaseGrantRequestSchema, `{"ID":${id},"TTL":"${id}"}`)).toMatchObject({ ID: BigInt(id) });
    const nested = `{"success":[{"request_range":{"revision":${id}}}]}`;
    expect(read(TxnRequestSchema, nested)).toMatchObject({
      success: [{ request: { case: "requestRange", value: { revision: BigInt(id) } } }],
    });
    expect(read(AuthUserAddRequestSchema, `{"name":${id}}`)).toMatch("expected string, got 7587862094293713");
    expect(read(RangeRequestSchema, `{"key":${id}}`)).toMatch("expected Uint8Array, got 7587862094293713");
    expect(read(AuthUserAddRequestSchema, `{"name":"${id}"}`)).toMatchObject({ name: id });
  });

  it.each([
    [
      "an enum's unknown name",
      `{"sort_order":"NONSENSE"}`,
      'cannot decode enum etcdserverpb.RangeRequest.SortOrder from JSON: "NONSENSE"',
    ],
    [
      "an enum's number as text",
      `{"sort_order":"1"}`,
      'cannot decode enum etcdserverpb.RangeRequest.SortOrder from JSON: "1"',
    ],
    ["text that is not base64", `{"key":"foo bar"}`, 'field key must be base64 bytes, but is "foo bar"'],
    ["too little padding", `{"key":"YQ="}`, 'field key must be base64 bytes, but is "YQ="'],
    ["padding inside", `{"key":"YQ==YQ=="}`, "field key must be base64 bytes"],
    ["two alphabets at once", `{"key":"-+8="}`, "field key must be base64 bytes"],
    ["half a byte", `{"key":"Y"}`, "field key must be base64 bytes"],
    ["an array of bytes", `{"key":[97]}`, "expected Uint8Array, got Array(1)"],
    ["a fraction", `{"limit":1.5}`, "1.5 out of range"],
    ["other spellings of numbers", `{"limit":"0x10"}`, 'field limit must be an integer, but is "0x10"'],
    ["an empty number", `{"limit":""}`, 'field limit must be an integer, but is ""'],
    ["a number beyond 64 bits", `{"limit":9223372036854775808}`, "9223372036854775808 out of range"],
    ["a flag as text", `{"serializable":"true"}`, "expected boolean"],
    ["one field in both spellings", `{"range_end":"YQ==","rangeEnd":"Yg=="}`, "set multiple times"],
    ["an incomplete character", `{"key":"\\ud800"}`, "field key must be base64 bytes"],
    ["a value other than an object", "[]", "Array(0)"],
    ["a truncated object", `{"key":`, "it is truncated: the JSON ends at line 1, column 8"],
  ])("rejects %s", (_, text, reason) => {
    const rejection = read(RangeRequestSchema, text);
    expect(rejection).toMatch(/^the request is not a valid etcdserverpb\.RangeRequest: /);
    expect(rejection).toContain(reason);
  });

  it.each([
    ["null in a list", `{"compare":[null]}`, "list item must not be null"],
    ["two operations in one", `{"success":[{"request_put":{},"request_range":{}}]}`, "oneof set multiple times"],
  ])("rejects %s", (_, text, reason) => {
    expect(read(TxnRequestSchema, text)).toContain(reason);
  });
});
