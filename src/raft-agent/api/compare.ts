/** etcdserverpb.Compare: one condition of a transaction. */
import { decodeMessage, emptyBytes, encodeMessage, type WireReader, type WireWriter } from "./wire.ts";

export const CompareResult = { equal: 0, greater: 1, less: 2, notEqual: 3 } as const;
export const CompareTarget = { version: 0, create: 1, mod: 2, value: 3, lease: 4 } as const;

/**
 * The operand of the comparison. It may disagree with `target` or be absent on the wire: etcd then compares with the
 * target's zero value.
 */
export type CompareOperand =
  | { readonly kind: "version" | "createRevision" | "modRevision"; readonly number: number }
  | { readonly kind: "value"; readonly bytes: Uint8Array }
  | { readonly kind: "lease"; readonly lease: bigint }
  | { readonly kind: "none" };

export type Compare = {
  /** One of `CompareResult`. */
  readonly result: number;
  /** One of `CompareTarget`. */
  readonly target: number;
  readonly key: Uint8Array;
  readonly operand: CompareOperand;
  /** As in a RangeRequest: the condition must hold for every key in the range. */
  readonly rangeEnd: Uint8Array;
};

const noOperand: CompareOperand = { kind: "none" };

export function readCompare(reader: WireReader, end: number): Compare {
  let result = 0;
  let target = 0;
  let key = emptyBytes;
  let operand: CompareOperand = noOperand;
  let rangeEnd = emptyBytes;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 0x08) result = reader.int32();
    else if (tag === 0x10) target = reader.int32();
    else if (tag === 0x1a) key = reader.view();
    else if (tag === 0x20) operand = { kind: "version", number: reader.int64() };
    else if (tag === 0x28) operand = { kind: "createRevision", number: reader.int64() };
    else if (tag === 0x30) operand = { kind: "modRevision", number: reader.int64() };
    else if (tag === 0x3a) operand = { kind: "value", bytes: reader.view() };
    else if (tag === 0x40) operand = { kind: "lease", lease: reader.bigInt64() };
    else if (tag === 0x202) rangeEnd = reader.view();
    else reader.skip(tag, tag >>> 3 === 64 ? 64 : 8);
  }
  reader.finish(end);
  return { result, target, key, operand, rangeEnd };
}

export function writeCompare(writer: WireWriter, compare: Compare): void {
  writer.intUnlessZero(0x08, compare.result);
  writer.intUnlessZero(0x10, compare.target);
  writer.bytesUnlessEmpty(0x1a, compare.key);
  writeOperand(writer, compare.operand);
  writer.bytesUnlessEmpty(0x202, compare.rangeEnd);
}

/** Members of a oneof are written even when they are zero: that is how their presence is encoded. */
function writeOperand(writer: WireWriter, operand: CompareOperand): void {
  switch (operand.kind) {
    case "version":
      writer.intField(0x20, operand.number);
      break;
    case "createRevision":
      writer.intField(0x28, operand.number);
      break;
    case "modRevision":
      writer.intField(0x30, operand.number);
      break;
    case "value":
      writer.bytesField(0x3a, operand.bytes);
      break;
    case "lease":
      writer.bigIntField(0x40, operand.lease);
      break;
    case "none":
  }
}

export function encodeCompare(compare: Compare): Uint8Array {
  return encodeMessage(writeCompare, compare);
}

export function decodeCompare(bytes: Uint8Array): Compare {
  return decodeMessage(readCompare, bytes);
}
