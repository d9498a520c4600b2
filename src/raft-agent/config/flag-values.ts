/** Parses the text of one flag into its value, or into a description of what was expected. */

import { isSocketUrl, listenAddress, listenPlace } from "../../base/listen-place.ts";
import type { FlagKind } from "./flags.ts";

export type FlagValue = string | boolean | number | readonly string[] | readonly URL[];
export type ParsedFlag = { readonly value: FlagValue } | { readonly expected: string };

/** The maximum length of a Unix socket's address. */
const socketPathBytesMax = 107;

const nanosecondsPerUnit: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  // The micro sign and the Greek letter.
  "\u00b5s": 1e3,
  "\u03bcs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3_600e9,
};
const nanosecondsMax = 2 ** 63;

/** Go's duration syntax (`1h30m`, `100ms`, `0`) in milliseconds; null when it is not one. */
export function parseDurationMs(text: string): number | null {
  const pieces = /^([+-]?)(0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$/.exec(text);
  if (pieces === null) return null;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g)) {
    total += Number(amount) * (nanosecondsPerUnit[unit ?? ""] ?? 0);
  }
  // Numbers are doubles: Go's longest duration is not distinguished from the next longer one.
  if (total > nanosecondsMax) return null;
  return total === 0 ? 0 : (pieces[1] === "-" ? -total : total) / 1e6;
}

function parseUrls(text: string): ParsedFlag {
  const urls: URL[] = [];
  for (const piece of splitList(text)) {
    const expected = `a comma-separated list of URLs such as "https://10.0.0.1:2379"; "${piece}" is not one`;
    const url = parseUrl(piece);
    if (url === null) return { expected };
    const error = isSocketUrl(url) ? socketError(url) : addressError(url, piece);
    if (error !== null) return { expected: `${expected}: ${error}` };
    urls.push(url);
  }
  return { value: urls };
}

/**
 * Null when the text is not a valid URL of a member. The URL parser is a browser's: it repairs `http:/HOST` and
 * backslashes, and drops tabs and line ends, where etcd rejects the URL.
 */
export function parseUrl(text: string): URL | null {
  const isWhole = /^(https?|unixs?):\/\/[^\s\\]*$/i.test(text);
  return isWhole && URL.canParse(text) ? new URL(text) : null;
}

/**
 * The form in which members exchange their URLs: with the port, even the default one of the scheme, since clients of
 * etcd do not infer it.
 */
export function urlText(url: URL): string {
  const text = url.href.replace(/\/$/, "");
  return isSocketUrl(url) || url.port !== "" ? text : `${text}:${listenAddress(url).port}`;
}

/** Null, or why a URL is not one of a host and a port. `text` is the URL as given. */
export function addressError(url: URL, text: string): string | null {
  if (url.pathname !== "/" && url.pathname !== "") return "it must not have a path";
  if (/[?#]/.test(text)) return "it must not have a query or a fragment";
  const host = hostInText(text);
  // A browser accepts 127.1 and 0x7f000001 as 127.0.0.1, and decodes %61; no other reader of the URL does.
  const isRewritten = /^[\d.]+$/.test(url.hostname) && url.hostname !== host;
  if (isRewritten) return `write the address as ${url.hostname}`;
  if (host.includes("%")) return "its host must not have escapes";
  return /:\d+\/?$/.test(text) ? null : "it has no port";
}

/** The host as it was written. */
function hostInText(text: string): string {
  const authority = /^[a-z]+:\/\/([^/?#]*)/i.exec(text)?.[1] ?? "";
  return authority.slice(authority.lastIndexOf("@") + 1).replace(/:\d*$/, "");
}

function socketError(url: URL): string | null {
  const place = listenPlace(url);
  const bytes = "path" in place ? Buffer.byteLength(place.path) : 0;
  if (bytes === 0) return "it has no path";
  return bytes > socketPathBytesMax ? `its path is longer than ${socketPathBytesMax} bytes` : null;
}

export function splitList(text: string): string[] {
  return text
    .split(",")
    .map((piece) => piece.trim())
    .filter((piece) => piece !== "");
}

function parseBoolean(text: string): ParsedFlag {
  if (["true", "t", "1", "TRUE", "T", "True"].includes(text)) return { value: true };
  if (["false", "f", "0", "FALSE", "F", "False"].includes(text)) return { value: false };
  return { expected: "true or false" };
}

const int64Max = 2n ** 63n - 1n;
const uint64Max = 2n ** 64n - 1n;

/**
 * Go's integers: `0x`, `0o`, `0b`, a leading zero for octal, and single underscores between digits. Values beyond the
 * safe integers are clamped to the largest: all of these mean "without a limit".
 */
function parseInteger(text: string, min: bigint, max: bigint, expected: string): ParsedFlag {
  const [, sign = "", digits = ""] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  const isInteger = /^(0x(_?[\da-f])+|0b(_?[01])+|0o?(_?[0-7])+|0|[1-9](_?\d)*)$/i.test(digits);
  if (!isInteger || (sign !== "" && min === 0n)) return { expected };
  const plain = digits.replaceAll("_", "");
  const magnitude = BigInt(/^0\d/.test(plain) ? `0o${plain.slice(1)}` : plain.toLowerCase());
  const value = sign === "-" ? -magnitude : magnitude;
  if (value < min || value > max) return { expected };
  const safe = BigInt(Number.MAX_SAFE_INTEGER);
  return { value: Number(value > safe ? safe : value < -safe ? -safe : value) };
}

function parseDuration(text: string): ParsedFlag {
  const value = parseDurationMs(text);
  return value === null || value < 0 ? { expected: 'a duration such as "100ms", "5s" or "1h30m"' } : { value };
}

export function parseFlagValue(kind: FlagKind, text: string): ParsedFlag {
  switch (kind) {
    case "string":
      return { value: text };
    case "boolean":
      return parseBoolean(text);
    case "count":
      return parseInteger(text, 0n, uint64Max, "an integer from 0");
    case "integer":
      return parseInteger(text, -int64Max - 1n, int64Max, "an integer");
    case "duration":
      return parseDuration(text);
    case "urls":
      return parseUrls(text);
    case "list":
      return { value: splitList(text) };
  }
}
