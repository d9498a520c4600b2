/** Turns the text of one flag into its value, or into a sentence that says what was expected. */

import { isSocketUrl, listenPlace } from "../../base/listen-place.ts";
import type { FlagKind } from "./flags.ts";

export type FlagValue = string | boolean | number | readonly string[] | readonly URL[];
export type ParsedFlag = { readonly value: FlagValue } | { readonly expected: string };

/** What the address of a Unix socket can hold. */
const socketPathBytesMax = 107;

const millisecondsPerUnit: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Go's duration syntax (`1h30m`, `100ms`, `0`) in milliseconds; null when it is not one. */
export function parseDurationMs(text: string): number | null {
  if (text === "0") return 0;
  const pieces = /^(-?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.exec(text);
  if (pieces === null) return null;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    totalMs += Number(amount) * (millisecondsPerUnit[unit ?? ""] ?? 0);
  }
  return pieces[1] === "-" ? -totalMs : totalMs;
}

function parseUrls(text: string): ParsedFlag {
  const urls: URL[] = [];
  for (const piece of splitList(text)) {
    const expected = `a comma-separated list of URLs such as "https://10.0.0.1:2379"; "${piece}" is not one`;
    const url = URL.canParse(piece) ? new URL(piece) : null;
    if (url === null || !["http:", "https:", "unix:", "unixs:"].includes(url.protocol)) return { expected };
    const fault = isSocketUrl(url) ? socketFault(url) : addressFault(url, piece);
    if (fault !== null) return { expected: `${expected}: ${fault}` };
    urls.push(url);
  }
  return { value: urls };
}

/** As members tell each other their URLs. */
export function urlText(url: URL): string {
  return url.href.replace(/\/$/, "");
}

/** Null, or why a URL is not one of a host and a port. `text` is the URL as it was given. */
export function addressFault(url: URL, text: string): string | null {
  if (url.pathname !== "/" && url.pathname !== "") return "it must not have a path";
  return /:\d+\/?$/.test(text) ? null : "it has no port";
}

function socketFault(url: URL): string | null {
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

function parseInteger(text: string): ParsedFlag {
  const value = Number(text);
  return /^-?\d+$/.test(text) && Number.isSafeInteger(value) ? { value } : { expected: "a whole number" };
}

function parseCount(text: string): ParsedFlag {
  return /^\d+$/.test(text) ? parseInteger(text) : { expected: "a whole number from 0 on" };
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
      return parseCount(text);
    case "integer":
      return parseInteger(text);
    case "duration":
      return parseDuration(text);
    case "urls":
      return parseUrls(text);
    case "list":
      return { value: splitList(text) };
  }
}
