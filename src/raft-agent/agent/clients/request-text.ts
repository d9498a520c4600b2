/** Formats requests as etcd logs them: protobuf's text format, with the sizes of values instead of the values. */
import type { Compare } from "../../api/compare.ts";
import { type DeleteRangeRequest, decodeDeleteRangeRequest } from "../../api/delete-range.ts";
import { decodePutRequest, type PutRequest } from "../../api/put.ts";
import { decodeRangeRequest, type RangeRequest } from "../../api/range.ts";
import { decodeTxnRequest, type RequestOp, type TxnRequest } from "../../api/txn.ts";

const sortOrders = ["NONE", "ASCEND", "DESCEND"];
const sortTargets = ["KEY", "VERSION", "CREATE", "MOD", "VALUE"];
const compareResults = ["EQUAL", "GREATER", "LESS", "NOT_EQUAL"];
const compareTargets = ["VERSION", "CREATE", "MOD", "VALUE", "LEASE"];

/** Empty for requests of other kinds. @throws WireError when the bytes are not such a request */
export function requestText(path: string, bytes: Uint8Array): string {
  switch (path) {
    case "/etcdserverpb.KV/Range":
      return rangeText(decodeRangeRequest(bytes));
    case "/etcdserverpb.KV/Put":
      return putText(decodePutRequest(bytes));
    case "/etcdserverpb.KV/DeleteRange":
      return deleteText(decodeDeleteRangeRequest(bytes));
    case "/etcdserverpb.KV/Txn":
      return txnText(decodeTxnRequest(bytes));
    default:
      return "";
  }
}

type Value = Uint8Array | number | bigint | boolean | string;

/** Fields with protobuf's default are omitted; each is followed by a space. */
function fields(all: readonly (readonly [name: string, value: Value])[]): string {
  return all.map(([name, value]) => field(name, value)).join("");
}

function field(name: string, value: Value): string {
  if (value instanceof Uint8Array) return value.length === 0 ? "" : `${name}:"${quoted(value)}" `;
  return value === false || value === "" || value === 0 || value === 0n ? "" : `${name}:${value} `;
}

/** The name of an enum value; the first one is the default. */
function nameIn(names: readonly string[], value: number): Value {
  return value === 0 ? 0 : (names[value] ?? value);
}

function rangeText(request: RangeRequest): string {
  return fields([
    ["key", request.key],
    ["range_end", request.rangeEnd],
    ["limit", request.limit],
    ["revision", request.revision],
    ["sort_order", nameIn(sortOrders, request.sortOrder)],
    ["sort_target", nameIn(sortTargets, request.sortTarget)],
    ["serializable", request.serializable],
    ["keys_only", request.keysOnly],
    ["count_only", request.countOnly],
    ["min_mod_revision", request.minModRevision],
    ["max_mod_revision", request.maxModRevision],
    ["min_create_revision", request.minCreateRevision],
    ["max_create_revision", request.maxCreateRevision],
  ]);
}

function putText({ key, value, lease, prevKv, ignoreValue, ignoreLease }: PutRequest): string {
  return fields([
    ["key", key],
    ["value_size", value.length],
    ["lease", lease],
    ["prev_kv", prevKv],
    ["ignore_value", ignoreValue],
    ["ignore_lease", ignoreLease],
  ]);
}

function deleteText({ key, rangeEnd, prevKv }: DeleteRangeRequest): string {
  return fields([
    ["key", key],
    ["range_end", rangeEnd],
    ["prev_kv", prevKv],
  ]);
}

function txnText({ compare, success, failure }: TxnRequest): string {
  const list = (texts: readonly string[]): string => `<${texts.join(" ")}>`;
  const [then, otherwise] = [list(success.map(opText)), list(failure.map(opText))];
  return `compare:${list(compare.map(compareText))} success:${then} failure:${otherwise}`;
}

function opText(op: RequestOp): string {
  switch (op.kind) {
    case "put":
      return `request_put:<${putText(op.request)}>`;
    case "txn":
      return `request_txn:<${txnText(op.request)}>`;
    case "range":
      return `request_range:<${rangeText(op.request)}> `;
    case "deleteRange":
      return `request_delete_range:<${deleteText(op.request)}> `;
    case "none":
      return "";
  }
}

function compareText({ result, target, key, operand, rangeEnd }: Compare): string {
  const head = fields([
    ["result", nameIn(compareResults, result)],
    ["target", nameIn(compareTargets, target)],
    ["key", key],
  ]);
  return `${head}${operandText(operand)}${fields([["range_end", rangeEnd]])}`;
}

/** A oneof is included even with its default. */
function operandText(operand: Compare["operand"]): string {
  switch (operand.kind) {
    case "version":
      return `version:${operand.number} `;
    case "createRevision":
      return `create_revision:${operand.number} `;
    case "modRevision":
      return `mod_revision:${operand.number} `;
    case "value":
      return `value_size:${operand.bytes.length} `;
    case "lease":
      return `lease:${operand.lease} `;
    case "none":
      return "";
  }
}

const escapes: Readonly<Record<number, string>> = { 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\" };

function quoted(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    if (escapes[byte] !== undefined) text += escapes[byte];
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\${byte.toString(8).padStart(3, "0")}`;
  }
  return text;
}
