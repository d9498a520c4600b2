import { createSecretKey, generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { parseDurationMs } from "../config/flag-values.ts";
import { type SignMethod, signMethods, signToken, type TokenKeys, verifyToken } from "./json-web-token.ts";
import { parseTokenOptions, readTokenKeys } from "./token-options.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const curves: Record<string, string> = { ES256: "P-256", ES384: "P-384", ES512: "P-521" };

function keysFor(method: SignMethod): TokenKeys {
  if (method.startsWith("HS")) {
    const secret = createSecretKey(Buffer.from("a secret of some length"));
    return { method, signKey: secret, verifyKey: secret };
  }
  const curve = curves[method];
  const pair =
    curve !== undefined
      ? generateKeyPairSync("ec", { namedCurve: curve })
      : method === "EdDSA"
        ? generateKeyPairSync("ed25519")
        : rsa;
  return { method, signKey: pair.privateKey, verifyKey: pair.publicKey };
}

const claims = { username: "ann", revision: 7, exp: 1_000 };
const flip = (part: string): string => (part.startsWith("A") ? `B${part.slice(1)}` : `A${part.slice(1)}`);

describe("JSON web tokens", () => {
  it.each(signMethods)("of %s are verified, and rejected when anything is changed", (method) => {
    const keys = keysFor(method);
    const token = signToken(keys, claims);
    expect(verifyToken(keys, token, 999_000)).toEqual(claims);
    expect(verifyToken(keys, token, 1_000_000)).toBeNull();
    const [header, body, signature] = token.split(".") as [string, string, string];
    const forged = Buffer.from(JSON.stringify({ ...claims, username: "root" })).toString("base64url");
    for (const bad of [
      `${header}.${forged}.${signature}`,
      `${header}.${body}.${flip(signature)}`,
      `${header}.${body}.`,
      `${header}.${body}`,
      "",
      "a.b.c",
      `${token}.x`,
    ]) {
      expect(verifyToken(keys, bad, 0), bad).toBeNull();
    }
  });

  it.each(["!", " ", "=", "+", "\n"])("A low: with %j in their signature are rejected", (junk) => {
    const keys = keysFor("HS256");
    const token = signToken(keys, claims);
    expect(verifyToken(keys, token, 0)).toEqual(claims);
    const at = token.length - 8;
    expect(verifyToken(keys, `${token.slice(0, at)}${junk}${token.slice(at)}`, 0)).toBeNull();
  });

  it("are rejected with an algorithm other than the configured one", () => {
    const keys = keysFor("RS256");
    const publicPem = rsa.publicKey.export({ type: "spki", format: "pem" });
    const asSecret = createSecretKey(Buffer.from(publicPem));
    const forged = signToken({ method: "HS256", signKey: asSecret, verifyKey: asSecret }, claims);
    expect(verifyToken(keys, forged, 0)).toBeNull();
    const none = Buffer.from(JSON.stringify({ alg: "none", typ: "JWT" })).toString("base64url");
    expect(verifyToken(keys, `${none}.${forged.split(".")[1]}.`, 0)).toBeNull();
  });

  it("match the example of RFC 7515, appendix A.1", () => {
    const secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    const key = createSecretKey(Buffer.from(secret, "base64url"));
    const token =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const keys: TokenKeys = { method: "HS256", signKey: key, verifyKey: key };
    expect(verifyToken(keys, token, 1_300_819_379_000)).toMatchObject({ iss: "joe" });
    expect(verifyToken(keys, token, 1_300_819_380_000)).toBeNull();
  });
});

describe("--auth-token", () => {
  const parse = (text: string): unknown => parseTokenOptions(text, parseDurationMs);

  it("is parsed like in etcd", () => {
    expect(parse("simple")).toEqual({ kind: "simple" });
    expect(parse("jwt,pub-key=a.pub,priv-key=a,sign-method=RS512,ttl=10m")).toEqual({
      kind: "jwt",
      method: "RS512",
      publicKeyFile: "a.pub",
      privateKeyFile: "a",
      ttlMs: 600_000,
    });
    expect(parse("jwt,priv-key=secret,sign-method=HS256")).toMatchObject({ publicKeyFile: null, ttlMs: 300_000 });
  });

  it.each([
    ["", 'expected "simple"'],
    ["simple,ttl=5m", "has no options"],
    ["jwt", "sign-method must be one of RS256"],
    ["jwt,sign-method=none", "sign-method must be one of RS256"],
    ["jwt,sign-method=RS256", "needs pub-key or priv-key"],
    ["jwt,sign-method=HS256,pub-key=x", "needs priv-key"],
    ["jwt,sign-method=RS256,priv-key=x,ttl=soon", 'ttl="soon" is not a duration'],
    ["jwt,sign-method=RS256,key=x", '"key=x" is not one of'],
    ["jwt,sign-method=RS256,sign-method=RS256", "is not one of"],
  ])("is rejected as %j", (text, problem) => {
    expect((parse(text) as { problem: string }).problem).toContain(problem);
  });

  it("names invalid key files", () => {
    const options = { kind: "jwt", method: "ES256", publicKeyFile: "p", privateKeyFile: "k", ttlMs: 1 } as const;
    const pem = Buffer.from(rsa.privateKey.export({ type: "pkcs8", format: "pem" }));
    expect(() => readTokenKeys(options, () => pem)).toThrow(
      'Cannot use the key file "k": a key of type rsa cannot sign ES256',
    );
    expect(() => readTokenKeys(options, () => Buffer.from("no key"))).toThrow('Cannot use the key file "k"');
    const signing = readTokenKeys({ ...options, method: "PS256", publicKeyFile: null }, () => pem);
    expect(verifyToken(signing, signToken(signing, claims), 0)).toEqual(claims);
    const publicPem = Buffer.from(rsa.publicKey.export({ type: "spki", format: "pem" }));
    const verifying = readTokenKeys({ ...options, method: "PS256", privateKeyFile: null }, () => publicPem);
    expect(verifyToken(verifying, signToken(signing, claims), 0)).toEqual(claims);
    expect(() => signToken(verifying, claims)).toThrow("no private key");
  });
});
