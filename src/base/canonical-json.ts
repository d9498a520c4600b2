/**
 * JSON with one spelling for one value: keys sorted, no blanks, `undefined` members left out. What is digested or
 * compared goes through here (the idea of RFC 8785, for the values that we use: no exponents, no lone surrogates).
 */
import { createHash } from "node:crypto";

/** @throws TypeError for what JSON cannot say: functions, symbols, bigints, NaN, infinities. */
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

/** Whether two JSON values say the same; an absent one says null. */
export function sameJson(a: unknown, b: unknown): boolean {
  const [left, right] = [a ?? null, b ?? null];
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return left === right;
  return canonicalJson(left) === canonicalJson(right);
}
