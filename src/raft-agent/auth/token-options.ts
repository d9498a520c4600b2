/** The value of `--auth-token`: `simple`, or `jwt,pub-key=FILE,priv-key=FILE,sign-method=METHOD,ttl=DURATION`. */
import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import { type SignMethod, signMethods, type TokenKeys } from "./json-web-token.ts";

/** Key files are named here and read by `readTokenKeys`. */
export type TokenOptions =
  | { readonly kind: "simple" }
  | {
      readonly kind: "jwt";
      readonly method: SignMethod;
      readonly publicKeyFile: string | null;
      readonly privateKeyFile: string | null;
      readonly ttlMs: number;
    };

const defaultTtlMs = 300_000;

/** Returns the options, or what is wrong and what to write instead. `parseDurationMs` parses Go's durations. */
export function parseTokenOptions(
  text: string,
  parseDurationMs: (duration: string) => number | null,
): TokenOptions | { readonly problem: string } {
  const [kind, ...parts] = text.split(",").map((part) => part.trim());
  if (kind !== "simple" && kind !== "jwt") return { problem: 'expected "simple" or "jwt,sign-method=..."' };
  if (kind === "simple") return parts.length === 0 ? { kind } : { problem: '"simple" has no options' };
  const given = new Map<string, string>();
  for (const part of parts) {
    const equals = part.indexOf("=");
    const name = part.slice(0, equals);
    if (!["pub-key", "priv-key", "sign-method", "ttl"].includes(name) || given.has(name)) {
      return { problem: `"${part}" is not one of pub-key=FILE, priv-key=FILE, sign-method=METHOD, ttl=DURATION` };
    }
    given.set(name, part.slice(equals + 1));
  }
  const method = signMethods.find((one) => one === given.get("sign-method"));
  if (method === undefined) return { problem: `sign-method must be one of ${signMethods.join(", ")}` };
  const ttl = given.get("ttl");
  const ttlMs = ttl === undefined ? defaultTtlMs : parseDurationMs(ttl);
  if (ttlMs === null || ttlMs <= 0) return { problem: `ttl="${ttl}" is not a duration such as 5m` };
  const publicKeyFile = given.get("pub-key") || null;
  const privateKeyFile = given.get("priv-key") || null;
  if (method.startsWith("HS")) {
    if (privateKeyFile === null) return { problem: `${method} needs priv-key, the file with the secret` };
  } else if (publicKeyFile === null && privateKeyFile === null)
    return { problem: `${method} needs pub-key or priv-key` };
  return { kind: "jwt", method, publicKeyFile, privateKeyFile, ttlMs };
}

/**
 * Without a private key the member can only verify; without a public one it is derived. @throws HaplanError
 * `agent/auth-token` naming the file that is not such a key.
 */
export function readTokenKeys(
  options: Extract<TokenOptions, { kind: "jwt" }>,
  readFile: (path: string) => Buffer,
): TokenKeys {
  const { method, publicKeyFile, privateKeyFile } = options;
  const read = (file: string, parse: (content: Buffer) => KeyObject): KeyObject => {
    try {
      const key = parse(readFile(file));
      if (!isKeyFor(method, key)) throw new Error(`a key of type ${key.asymmetricKeyType} cannot sign ${method}`);
      return key;
    } catch (cause) {
      throw new HaplanError("agent/auth-token", `Cannot use the key file "${file}": ${errorText(cause)}`, { cause });
    }
  };
  const parsePrivate = (content: Buffer): KeyObject =>
    method.startsWith("HS") ? createSecretKey(content) : createPrivateKey(content);
  const signKey = privateKeyFile === null ? null : read(privateKeyFile, parsePrivate);
  if (signKey !== null && method.startsWith("HS")) return { method, signKey, verifyKey: signKey };
  const verifyKey =
    publicKeyFile === null ? createPublicKey(signKey!) : read(publicKeyFile, (content) => createPublicKey(content));
  return { method, signKey, verifyKey };
}

function isKeyFor(method: SignMethod, key: KeyObject): boolean {
  switch (method.slice(0, 2)) {
    case "HS":
      return key.type === "secret";
    case "RS":
    case "PS":
      return key.asymmetricKeyType === "rsa" || key.asymmetricKeyType === "rsa-pss";
    case "ES":
      return key.asymmetricKeyType === "ec";
    default:
      return key.asymmetricKeyType === "ed25519";
  }
}
