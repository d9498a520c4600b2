/** Random messages of any generated type, built from its descriptor. Only for tests. */
import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";

/** int64 fields that carry identities (any 64 bits); all others are counts within the safe integers. */
const identityFields = new Set(["lease", "ID", "cluster_id", "member_id"]);

export function messageArbitrary(desc: DescMessage, depth = 3): fc.Arbitrary<Message> {
  const parts: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of desc.fields) {
    if (field.oneof === undefined) parts[field.localName] = fieldArbitrary(field, depth);
  }
  for (const oneof of desc.oneofs) {
    const members = oneof.fields
      .filter((field) => depth > 0 || field.fieldKind !== "message")
      .map((field) => fieldArbitrary(field, depth, true).map((value) => ({ case: field.localName, value })));
    parts[oneof.localName] = fc.oneof(fc.constant({ case: undefined }), ...members);
  }
  return fc.record(parts).map((init) => create(desc, init as never));
}

function fieldArbitrary(field: DescField, depth: number, present = false): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "list": {
      if (field.listKind === "message") {
        return depth === 0 ? fc.constant([]) : fc.array(messageArbitrary(field.message, depth - 1), { maxLength: 3 });
      }
      const item =
        field.listKind === "scalar" ? scalarArbitrary(field.scalar, field.name) : fc.integer({ min: 0, max: 5 });
      return fc.array(item, { maxLength: 3 });
    }
    case "message": {
      if (depth === 0) return fc.constant(undefined);
      const message = messageArbitrary(field.message, depth - 1);
      return present ? message : fc.option(message, { nil: undefined });
    }
    case "enum":
      return fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer());
    case "scalar":
      return scalarArbitrary(field.scalar, field.name);
    default:
      throw new Error(`no arbitrary for a ${field.fieldKind} field`);
  }
}

function scalarArbitrary(type: ScalarType, name: string): fc.Arbitrary<unknown> {
  const safe = BigInt(Number.MAX_SAFE_INTEGER);
  switch (type) {
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.STRING:
      return fc.string({ unit: "grapheme", maxLength: 20 });
    case ScalarType.BYTES:
      return fc.oneof(fc.uint8Array({ maxLength: 8 }), fc.uint8Array({ minLength: 100, maxLength: 300 }));
    case ScalarType.INT32:
      return fc.integer();
    case ScalarType.UINT32:
      return fc.nat();
    case ScalarType.INT64:
      return identityFields.has(name)
        ? fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
        : fc.oneof(fc.bigInt({ min: -3n, max: 300n }), fc.bigInt({ min: -safe, max: safe }));
    case ScalarType.UINT64:
      return identityFields.has(name) ? fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) : fc.bigInt({ min: 0n, max: safe });
    default:
      throw new Error(`no arbitrary for scalar type ${type}`);
  }
}
