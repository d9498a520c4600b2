/** Reads a spec file as text, or reports in plain words why that is not possible. */
import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Diagnostic } from "../base/diagnostic.ts";
import { errorText, systemErrorCode } from "../base/haplan-error.ts";

/** Far above any real spec, and small enough to be parsed quickly. */
export const specBytesMax: number = 1024 * 1024;

export type ReadSource =
  | {
      readonly ok: true;
      /** Without a byte order mark. */
      readonly text: string;
      readonly hasByteOrderMark: boolean;
      readonly digest: string;
    }
  | { readonly ok: false; readonly diagnostic: Diagnostic };

/** Reads `path`, called `shownAs` in diagnostics. `digest` is the SHA-256 of its bytes, in hexadecimal. */
export function readSource(path: string, shownAs: string = path): ReadSource {
  let bytes: Buffer;
  try {
    const file = openSync(path, "r");
    try {
      const facts = fstatSync(file);
      if (facts.isDirectory())
        return failure(shownAs, "spec/not-a-file", `${shownAs} is a directory`, "Name the file in it.");
      if (facts.size > specBytesMax) return tooLarge(shownAs, `it has ${facts.size} bytes`);
      bytes = readAtMost(file, specBytesMax + 1);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return unreadable(shownAs, error);
  }
  return decodeSource(bytes, shownAs);
}

/** The same for bytes in memory, such as standard input. */
export function decodeSource(bytes: Uint8Array, shownAs: string): ReadSource {
  if (bytes.length > specBytesMax) return tooLarge(shownAs, "it is longer than that");
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const hasByteOrderMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    return { ok: true, text, hasByteOrderMark, digest: createHash("sha256").update(bytes).digest("hex") };
  } catch {
    return failure(shownAs, "spec/not-utf8", `${shownAs} is not UTF-8 text`, "Save the file as UTF-8 and try again.");
  }
}

function readAtMost(file: number, bytesMax: number): Buffer {
  const buffer = Buffer.alloc(bytesMax);
  let filled = 0;
  while (filled < bytesMax) {
    const count = readSync(file, buffer, filled, bytesMax - filled, null);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}

function tooLarge(path: string, found: string): ReadSource {
  const detail = `A spec may have at most ${specBytesMax} bytes (1 MiB); ${found}. It was not parsed. Is this the right file?`;
  return failure(path, "spec/too-large", `${path} is too large for a spec`, detail);
}

function unreadable(path: string, error: unknown): ReadSource {
  if (systemErrorCode(error) === "ENOENT") {
    const detail = "Pass the path of a spec. examples/ha-3-masters.yaml is a starting point.";
    return failure(path, "spec/missing-file", `There is no file ${path}`, detail);
  }
  return failure(path, "spec/unreadable", `Cannot read ${path}`, errorText(error));
}

function failure(path: string, code: string, summary: string, detail: string): ReadSource {
  return { ok: false, diagnostic: { severity: "error", code, summary, detail, address: path } };
}
