/**
 * A message as JSON values, as `toJson` of protobuf-es makes them, with base64 by the platform: theirs takes 200 ns for each
 * byte, in which the member would do nothing else.
 */
import { type DescField, type DescMessage, fromBinary, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";

/** Field names as in the proto, 64-bit integers as strings, zero values left out. */
export function messageJson(description: DescMessage, bytes: Uint8Array): JsonObject {
  return objectOf(reflect(description, fromBinary(description, bytes)));
}

function objectOf(message: ReflectMessage): JsonObject {
  const json: JsonObject = {};
  for (const field of message.sortedFields) if (message.isSet(field)) json[field.name] = fieldJson(message, field);
  return json;
}

function fieldJson(message: ReflectMessage, field: DescField): JsonValue {
  switch (field.fieldKind) {
    case "message":
      return objectOf(message.get(field));
    case "list":
      return Array.from(message.get(field), (item) => itemJson(field, item));
    case "map":
      throw new Error(`field ${field.name} is a map: etcd's API has none`);
    default:
      return itemJson(field, message.get(field));
  }
}

function itemJson(field: DescField, value: unknown): JsonValue {
  if (field.message !== undefined) return objectOf(value as ReflectMessage);
  if (field.enum !== undefined) return field.enum.value[value as number]?.name ?? (value as number);
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length).toString("base64");
  return typeof value === "bigint" ? String(value) : (value as JsonValue);
}
