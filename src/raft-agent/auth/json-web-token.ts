/**
 * JSON web tokens (RFC 7519, compact JWS of RFC 7515) with the algorithms of RFC 7518 and RFC 8037 that etcd supports,
 * on `node:crypto`. A token is verified with one fixed algorithm, never with the one that it names itself.
 */
import { constants, createHmac, type KeyObject, sign, timingSafeEqual, verify } from "node:crypto";

export const signMethods = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "HS256",
  "HS384",
  "HS512",
  "EdDSA",
] as const;
export type SignMethod = (typeof signMethods)[number];

export type TokenKeys = {
  readonly method: SignMethod;
  /** Null: this side can only verify. For `HS…` both are the secret. */
  readonly signKey: KeyObject | null;
  readonly verifyKey: KeyObject;
};

export type TokenClaims = Readonly<Record<string, unknown>>;

/** @throws Error when there is no key to sign with. */
export function signToken(keys: TokenKeys, claims: TokenClaims): string {
  if (keys.signKey === null) throw new Error("there is no private key to sign tokens");
  const content = `${encodePart({ alg: keys.method, typ: "JWT" })}.${encodePart(claims)}`;
  return `${content}.${signatureOf(keys.method, Buffer.from(content), keys.signKey).toString("base64url")}`;
}

/** The claims of a token whose signature, algorithm and times are valid, else null. */
export function verifyToken(keys: TokenKeys, token: string, nowMs: number): TokenClaims | null {
  const [header, claims, signature, more] = token.split(".");
  if (header === undefined || claims === undefined || signature === undefined || more !== undefined) return null;
  // Node's decoder skips invalid base64url: one token could have many spellings.
  if (![header, claims, signature].every((part) => /^[\w-]*$/.test(part))) return null;
  if (decodePart(header)?.["alg"] !== keys.method) return null;
  const content = Buffer.from(`${header}.${claims}`);
  if (!isSignedBy(keys.method, content, Buffer.from(signature, "base64url"), keys.verifyKey)) return null;
  const said = decodePart(claims);
  if (said === null) return null;
  const nowSeconds = nowMs / 1_000;
  const { exp, nbf } = said as { exp?: unknown; nbf?: unknown };
  if (exp !== undefined && (typeof exp !== "number" || nowSeconds >= exp)) return null;
  if (nbf !== undefined && (typeof nbf !== "number" || nowSeconds < nbf)) return null;
  return said;
}

function encodePart(part: TokenClaims): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}

function decodePart(part: string): TokenClaims | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as TokenClaims) : null;
  } catch {
    return null;
  }
}

/** `node:crypto` expects `null` for Ed25519, which has a built-in digest. */
function digestOf(method: SignMethod): string | null {
  return method === "EdDSA" ? null : `sha${method.slice(2)}`;
}

function signatureOf(method: SignMethod, content: Buffer, key: KeyObject): Buffer {
  if (method.startsWith("HS")) return createHmac(digestOf(method)!, key).update(content).digest();
  return sign(digestOf(method), content, { key, ...paddingOf(method, constants.RSA_PSS_SALTLEN_DIGEST) });
}

function isSignedBy(method: SignMethod, content: Buffer, signature: Buffer, key: KeyObject): boolean {
  if (method.startsWith("HS")) {
    const expected = signatureOf(method, content, key);
    return expected.length === signature.length && timingSafeEqual(expected, signature);
  }
  return verify(digestOf(method), content, { key, ...paddingOf(method, constants.RSA_PSS_SALTLEN_AUTO) }, signature);
}

type Padding = {
  readonly padding?: number;
  readonly saltLength?: number;
  readonly dsaEncoding?: "ieee-p1363";
};

function paddingOf(method: SignMethod, saltLength: number): Padding {
  if (method.startsWith("PS")) return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
  return method.startsWith("ES") ? { dsaEncoding: "ieee-p1363" } : {};
}
