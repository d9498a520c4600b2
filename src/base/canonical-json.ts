/**
 * JSON with one spelling per value: sorted keys, no whitespace, no `undefined` members. Everything that is digested or
 * compared goes through here (the idea of RFC 8785, for the values that haplan uses: no exponents, no lone surrogates).
 */
import { createHash } from "node:crypto";

/** @throws TypeError for values that JSON cannot represent: functions, symbols, bigints, NaN, infinities. */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "string" || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object") {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
    return `{${members.join(",")}}`;
  }
  throw new TypeError(`Not a JSON value: ${String(value)}`);
}

/** SHA-256 over the canonical form, in hexadecimal. */
export function canonicalDigest(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

/** Reports whether two JSON values are equal; an absent value equals null. */
export function sameJson(a: unknown, b: unknown): boolean {
  const [left, right] = [a ?? null, b ?? null];
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return left === right;
  return canonicalJson(left) === canonicalJson(right);
}
