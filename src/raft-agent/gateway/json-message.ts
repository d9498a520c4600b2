/**
 * Parses messages as JSON like etcd's gateways: names in both spellings, 64-bit integers as numbers or strings, bytes
 * as base64 of either alphabet, unknown fields ignored, and nothing else guessed.
 */
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { errorText } from "../../base/haplan-error.ts";
import { parseJson } from "../../base/json-text.ts";

/** The message's bytes, or the reason why the text is not such a message. `null` is the empty message. */
export function encodeJson(description: DescMessage, text: string): Uint8Array | string {
  try {
    const json = parseExactly(text) ?? {};
    return toBinary(description, fromJson(description, knownFields(description, json)));
  } catch (error) {
    return `the request is not a valid ${description.typeName}: ${errorText(error)}`;
  }
}

/** An integer that a double may not hold, in the form that `parseExactly` returns; no real text looks like it. */
const long = /^\0-?\d{16,}$/;

function parseExactly(text: string): JsonValue {
  const value = parseJson(text) as JsonValue;
  if (!/\d{16}/.test(text)) return value;
  const tokens = /"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g;
  return JSON.parse(text.replace(tokens, (token) => (token.startsWith('"') ? token : `"\\u0000${token}"`)));
}

/** The part to be decoded strictly: a mistyped enum name must not be read as its default, as unknown fields are. */
function knownFields(description: DescMessage, json: JsonValue): JsonValue {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return json;
  const known: JsonObject = {};
  for (const field of description.fields) {
    for (const name of new Set([field.name, field.jsonName])) {
      const value = json[name];
      if (value !== undefined && Object.hasOwn(json, name)) known[name] = knownValue(field, value);
    }
  }
  return known;
}

function knownValue(field: DescField, value: JsonValue): JsonValue {
  if (field.fieldKind === "list" && Array.isArray(value)) return value.map((item) => knownItem(field, item));
  return knownItem(field, value);
}

function knownItem(field: DescField, value: JsonValue): JsonValue {
  if (field.message !== undefined) return knownFields(field.message, value);
  if (typeof value !== "string") return value;
  if (long.test(value)) return isLong(field.scalar) ? value.slice(1) : Number(value.slice(1));
  if (field.scalar === ScalarType.BYTES && !isBase64(value)) throw new Error(wrongText(field, "base64 bytes", value));
  if (isLong(field.scalar) && !/^-?\d+$/.test(value)) throw new Error(wrongText(field, "an integer", value));
  return value;
}

function wrongText({ name }: DescField, wanted: string, given: string): string {
  return `field ${name} must be ${wanted}, but is ${JSON.stringify(given)}`;
}

function isLong(scalar: ScalarType | undefined): boolean {
  return scalar === ScalarType.INT64 || scalar === ScalarType.UINT64;
}

/** Padded or not padded at all, in one of the alphabets (RFC 4648 §4 and §5); line ends are ignored. */
function isBase64(text: string): boolean {
  const [, digits = "", padding = ""] = /^([^=]*)(=*)$/.exec(text.replace(/[\r\n]/g, "")) ?? [text, "="];
  if (!/^(?:[A-Za-z0-9+/]*|[\w-]*)$/.test(digits) || digits.length % 4 === 1) return false;
  return padding === "" || padding.length === (4 - (digits.length % 4)) % 4;
}
