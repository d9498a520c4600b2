/**
 * Encrypted texts: states and saved plans. The key is derived from a passphrase with scrypt (RFC 7914); the text is
 * compressed and encrypted with AES-256-GCM (NIST SP 800-38D). All parameters are in the header, which is authenticated
 * with the text, so that they can be raised later without making old files unreadable.
 */
import { createCipheriv, createDecipheriv, randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { canonicalJson } from "../base/canonical-json.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { parseJson } from "../base/json-text.ts";
import { stateBytesMax } from "./state-size.ts";

const kind = "haplan.sealed";
export const passphraseLengthMin = 16;
/** 32 MiB and some 100 ms for each guess. */
const scryptCost = { N: 32_768, r: 8, p: 1 } as const;
/** A header may not ask for more than this: it is read before it is authenticated. */
const scryptMemoryMax = 512 * 1024 * 1024;

type SealedHeader = {
  readonly kind: typeof kind;
  readonly version: 1;
  readonly content: SealedContent;
  /** The environment variable that the passphrase was read from: a hint, not a secret. */
  readonly passphraseEnv: string;
  readonly kdf: {
    readonly name: "scrypt";
    readonly N: number;
    readonly r: number;
    readonly p: number;
    readonly salt: string;
  };
  readonly cipher: "aes-256-gcm";
  /** Distinguishes a wrong passphrase from a damaged file. */
  readonly keyCheck: string;
  readonly nonce: string;
};

type SealedFile = SealedHeader & { readonly tag: string; readonly data: string };

export type SealedContent = "state" | "plan";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Encrypts with one passphrase. Keys are derived once per salt, because that is slow by design. */
export class Sealer {
  readonly #passphraseEnv: string;
  readonly #passphrase: string;
  readonly #salt: Buffer = randomBytes(16);

  /** @throws HaplanError `state/no-passphrase`, `state/short-passphrase` */
  constructor(passphraseEnv: string, environment: Environment) {
    this.#passphraseEnv = passphraseEnv;
    this.#passphrase = passphraseFrom(passphraseEnv, environment);
  }

  seal(content: SealedContent, text: string): string {
    const kdf = { name: "scrypt", ...scryptCost, salt: this.#salt.toString("base64") } as const;
    const { key, check } = deriveKey(this.#passphrase, kdf);
    // Random nonces are safe for far more files than one passphrase will ever encrypt (SP 800-38D §8.3: 2^32).
    const nonce = randomBytes(12);
    const header: SealedHeader = {
      kind,
      version: 1,
      content,
      passphraseEnv: this.#passphraseEnv,
      kdf,
      cipher: "aes-256-gcm",
      keyCheck: check.toString("base64"),
      nonce: nonce.toString("base64"),
    };
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    cipher.setAAD(Buffer.from(canonicalJson(header)));
    const data = Buffer.concat([cipher.update(gzipSync(text)), cipher.final()]);
    const file: SealedFile = { ...header, tag: cipher.getAuthTag().toString("base64"), data: data.toString("base64") };
    return `${JSON.stringify(file, null, 1)}\n`;
  }
}

/**
 * The kind of content that an encrypted text declares; null for any other text. The beginning of the text is enough.
 */
export function sealedContent(text: string): SealedContent | null {
  const match =
    /^\s*\{\s*"kind"\s*:\s*"haplan\.sealed"\s*,\s*"version"\s*:\s*\d+\s*,\s*"content"\s*:\s*"(state|plan)"/.exec(text);
  return match === null ? null : (match[1] as SealedContent);
}

/** The environment variable whose passphrase a text was encrypted with; null for any other text. */
export function sealedUnder(text: string): string | null {
  return sealedContent(text) === null ? null : parseSealed(text, "the text").passphraseEnv;
}

/**
 * Decrypts a text with the passphrase that its header names. `place` is for messages.
 * @throws HaplanError `state/no-passphrase`, `state/wrong-passphrase`, `state/sealed-damaged`, `state/newer-version`
 */
export function unseal(text: string, place: string, environment: Environment): string {
  const { tag, data, ...header } = parseSealed(text, place);
  const { key, check } = deriveKey(passphraseFrom(header.passphraseEnv, environment), header.kdf);
  const expected = Buffer.from(header.keyCheck, "base64");
  if (expected.length !== check.length || !timingSafeEqual(expected, check)) {
    throw new HaplanError(
      "state/wrong-passphrase",
      `Cannot decrypt ${place}: the passphrase in ${header.passphraseEnv} is not the one it was encrypted with\nNothing was changed. Set ${header.passphraseEnv} to the right one and try again.`,
    );
  }
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(header.nonce, "base64"), { authTagLength: 16 });
    decipher.setAAD(Buffer.from(canonicalJson(header)));
    decipher.setAuthTag(Buffer.from(tag, "base64"));
    const packed = Buffer.concat([decipher.update(Buffer.from(data, "base64")), decipher.final()]);
    return gunzipSync(packed, { maxOutputLength: stateBytesMax }).toString("utf8");
  } catch (error) {
    throw damaged(place, "its content was changed after encryption", error);
  }
}

function parseSealed(text: string, place: string): SealedFile {
  let file: Record<string, unknown>;
  try {
    file = parseJson(text.replace(/^\uFEFF/, "")) as Record<string, unknown>;
  } catch (error) {
    throw damaged(place, errorText(error), error);
  }
  if (file["version"] !== 1) {
    const message = `${place} is encrypted with format version ${String(file["version"])}; this haplan supports version 1. Use the newer haplan that wrote it`;
    throw new HaplanError("state/newer-version", message);
  }
  const { kdf } = file;
  const texts = ["content", "passphraseEnv", "cipher", "keyCheck", "nonce", "tag", "data"];
  const whole = texts.every((name) => typeof file[name] === "string") && isKdf(kdf) && file["cipher"] === "aes-256-gcm";
  if (!whole) throw damaged(place, "its header is incomplete");
  return file as unknown as SealedFile;
}

function isKdf(value: unknown): value is SealedHeader["kdf"] {
  if (typeof value !== "object" || value === null) return false;
  const { name, N, r, p, salt } = value as Record<string, unknown>;
  const numbers = [N, r, p].every((number) => Number.isSafeInteger(number) && (number as number) > 0);
  if (name !== "scrypt" || typeof salt !== "string" || !numbers) return false;
  const cost = N as number;
  return cost >= 2 && (cost & (cost - 1)) === 0 && 128 * cost * (r as number) <= scryptMemoryMax && (p as number) <= 16;
}

const derived = new Map<string, { readonly key: Buffer; readonly check: Buffer }>();

/** 32 bytes of key and 8 that verify the passphrase. Cached: every write of an apply uses the same. */
function deriveKey(passphrase: string, kdf: SealedHeader["kdf"]): { readonly key: Buffer; readonly check: Buffer } {
  const name = canonicalJson([passphrase, kdf]);
  const known = derived.get(name);
  if (known !== undefined) return known;
  const { N, r, p } = kdf;
  const bytes = scryptSync(passphrase.normalize("NFKC"), Buffer.from(kdf.salt, "base64"), 40, {
    N,
    r,
    p,
    maxmem: 2 * scryptMemoryMax,
  });
  const made = { key: bytes.subarray(0, 32), check: bytes.subarray(32) };
  if (derived.size >= 16) derived.clear();
  derived.set(name, made);
  return made;
}

/** Why nothing can be encrypted with the passphrase in this environment variable; null if it can. */
export function passphraseError(name: string, environment: Environment): HaplanError | null {
  const passphrase = environment[name];
  if (passphrase === undefined || passphrase === "") {
    return new HaplanError(
      "state/no-passphrase",
      `The passphrase for the state is missing: ${name} is not set\nThe state and saved plans are encrypted with it. Set the environment variable ${name}. Nothing was changed.`,
    );
  }
  if (passphrase.length < passphraseLengthMin) {
    return new HaplanError(
      "state/short-passphrase",
      `The passphrase in ${name} is too short\nWrite at least ${passphraseLengthMin} characters: several random words, for example.`,
    );
  }
  return null;
}

function passphraseFrom(name: string, environment: Environment): string {
  const error = passphraseError(name, environment);
  if (error !== null) throw error;
  return environment[name]!;
}

function damaged(place: string, reason: string, cause?: unknown): HaplanError {
  const message = `${place} is damaged: ${reason}. It was not changed`;
  return new HaplanError("state/sealed-damaged", message, { cause });
}
