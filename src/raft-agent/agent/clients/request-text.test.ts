/** The texts are those logged by etcd 3.6.14 for the same requests. */
import { describe, expect, it } from "vitest";
import { CompareResult, CompareTarget } from "../../api/compare.ts";
import { encodeDeleteRangeRequest } from "../../api/delete-range.ts";
import { encodePutRequest, type PutRequest } from "../../api/put.ts";
import { encodeRangeRequest, rangeRequest, SortOrder, SortTarget } from "../../api/range.ts";
import { encodeTxnRequest } from "../../api/txn.ts";
import { requestText } from "./request-text.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const none = new Uint8Array(0);
const put = (key: string, value: string, more: Partial<PutRequest> = {}): PutRequest => ({
  key: bytes(key),
  value: bytes(value),
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
  ...more,
});

const { descend } = SortOrder;
const range = rangeRequest(bytes("a"), {
  rangeEnd: bytes("z"),
  limit: 3,
  revision: 2,
  sortOrder: descend,
  sortTarget: SortTarget.mod,
  serializable: true,
  keysOnly: true,
});
const compare = { rangeEnd: none, result: CompareResult.equal, target: CompareTarget.version };
const txn = encodeTxnRequest({
  compare: [
    { ...compare, key: bytes("a"), operand: { kind: "version", number: 0 } },
    {
      ...compare,
      result: CompareResult.greater,
      target: CompareTarget.value,
      key: bytes("b"),
      operand: { kind: "value", bytes: bytes("x") },
    },
    {
      ...compare,
      result: CompareResult.less,
      target: CompareTarget.mod,
      key: bytes("c"),
      operand: { kind: "modRevision", number: 5 },
    },
  ],
  success: [
    { kind: "put", request: put("a", "b") },
    { kind: "range", request: rangeRequest(bytes("a")) },
  ],
  failure: [
    { kind: "deleteRange", request: { key: bytes("a"), rangeEnd: none, prevKv: false } },
    { kind: "put", request: put("c", "d") },
  ],
});

describe("A15: a request in the log", () => {
  it.each<readonly [string, Uint8Array, string]>([
    [
      "Put",
      encodePutRequest(put('k"1', "va", { lease: 8958119420556750851n, prevKv: true })),
      'key:"k\\"1" value_size:2 lease:8958119420556750851 prev_kv:true ',
    ],
    ["Put", encodePutRequest(put("a\u0001ä\t", "v")), 'key:"a\\001\\303\\244\\t" value_size:1 '],
    [
      "Range",
      encodeRangeRequest(range),
      'key:"a" range_end:"z" limit:3 revision:2 sort_order:DESCEND sort_target:MOD serializable:true keys_only:true ',
    ],
    [
      "DeleteRange",
      encodeDeleteRangeRequest({ key: bytes("a"), rangeEnd: bytes("b"), prevKv: true }),
      'key:"a" range_end:"b" prev_kv:true ',
    ],
    [
      "Txn",
      txn,
      'compare:<key:"a" version:0  result:GREATER target:VALUE key:"b" value_size:1  result:LESS target:MOD key:"c" mod_revision:5 > success:<request_put:<key:"a" value_size:1 > request_range:<key:"a" > > failure:<request_delete_range:<key:"a" >  request_put:<key:"c" value_size:1 >>',
    ],
    ["Compact", none, ""],
  ])("is formatted like etcd's: %s", (method, request, text) => {
    expect(requestText(`/etcdserverpb.KV/${method}`, request)).toBe(text);
  });
});
