/** A random message of any generated type, from its descriptor: small keys that collide, values at the edges. */
import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import type { Random } from "../../src/base/random.ts";
import { chance, pick, randomBytes } from "./mutate.ts";

const numbers = [0n, 1n, 2n, 3n, 7n, 100n, -1n, 2n ** 31n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)];
const largeValueBytes = 200_000;
/** Messages inside messages, as nested transactions are. */
const depthMax = 4;

export function randomMessage(random: Random, desc: DescMessage, depth = 0): Message {
  const init: Record<string, unknown> = {};
  for (const field of desc.fields) {
    if (field.oneof === undefined && !chance(random, 3)) init[field.localName] = randomField(random, field, depth);
  }
  for (const oneof of desc.oneofs) {
    const field = pick(random, oneof.fields);
    const value = randomField(random, field, depth);
    if (value !== undefined) init[oneof.localName] = { case: field.localName, value };
  }
  return create(desc, init as never);
}

function randomField(random: Random, field: DescField, depth: number): unknown {
  switch (field.fieldKind) {
    case "message":
      return depth >= depthMax ? undefined : randomMessage(random, field.message, depth + 1);
    case "enum":
      return chance(random, 8) ? random.below(300) - 100 : pick(random, field.enum.values).number;
    case "list":
      return randomList(random, field, depth);
    case "scalar":
      return randomScalar(random, field.scalar);
    default:
      return undefined;
  }
}

function randomList(random: Random, field: DescField & { fieldKind: "list" }, depth: number): unknown[] {
  const count = random.below(depth === 0 ? 5 : 3);
  return Array.from({ length: depth >= depthMax ? 0 : count }, () => {
    if (field.listKind === "message") return randomMessage(random, field.message, depth + 1);
    if (field.listKind === "enum") return pick(random, field.enum.values).number;
    return randomScalar(random, field.scalar);
  });
}

function randomScalar(random: Random, type: ScalarType): unknown {
  switch (type) {
    case ScalarType.BOOL:
      return chance(random, 2);
    case ScalarType.STRING:
      return pick(random, ["", "a", "b", "root", "http://127.0.0.1:1", "é\u0000\ud7ff", "x".repeat(random.below(300))]);
    case ScalarType.BYTES:
      if (chance(random, 60)) return Buffer.alloc(random.below(largeValueBytes), 0x78);
      return chance(random, 4)
        ? randomBytes(random, 12)
        : Buffer.from(pick(random, ["a", "b", "c/1", "c/2", "\0", ""]));
    case ScalarType.INT64:
      return pick(random, numbers);
    case ScalarType.UINT64:
      return BigInt.asUintN(64, pick(random, numbers));
    case ScalarType.INT32:
    case ScalarType.UINT32:
      return random.below(1_000);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return random.next();
    default:
      throw new Error(`no random value for scalar type ${type}`);
  }
}
