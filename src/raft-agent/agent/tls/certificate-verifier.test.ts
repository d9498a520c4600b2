import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openAuthority } from "../../../pki/authority.ts";
import { certificatePath, keyPath } from "../../../pki/certificate-directory.ts";
import type { TlsFiles } from "../../config/tls-settings.ts";
import { createCertificateVerifier } from "./certificate-verifier.ts";
import { createPeerTls } from "./peer-tls.ts";
import { createSelfSigned } from "./self-signed.ts";
import { readTlsMaterial } from "./tls-material.ts";

const host = "127.77.35.2";
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "haplan-verifier-"));
  const authority = openAuthority({ directory });
  await authority.createAuthority("ca");
  for (const [name, names] of [
    ["m1", [host, "m1.example"]],
    ["m2", ["m2.example"]],
    ["gone", ["m1.example"]],
  ] as const) {
    await authority.issue({ name, profile: "member", commonName: name, subjectAltNames: names });
  }
  const { serialNumber } = new X509Certificate(readFileSync(certificatePath(directory, "gone")));
  writeFileSync(join(directory, "index.txt"), `R\t491231235959Z\t260101000000Z\t${serialNumber}\tunknown\t/CN=gone\n`);
  const own = ["database=index.txt", "default_md=sha256", "certificate=ca.crt", "private_key=ca.key"];
  writeFileSync(join(directory, "ca.conf"), `[ca]\ndefault_ca=own\n[own]\n${own.join("\n")}\n`);
  const words = ["ca", "-gencrl", "-config", "ca.conf", "-crldays", "30", "-out", "list.pem"];
  execFileSync("openssl", words, { cwd: directory, stdio: "pipe" });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function files(name: string, wanted: Partial<TlsFiles> = {}): TlsFiles {
  const [certFile, keyFile] = [certificatePath(directory, name), keyPath(directory, name)];
  return {
    certFile,
    keyFile,
    clientCertFile: certFile,
    clientKeyFile: keyFile,
    trustedCaFile: certificatePath(directory, "ca"),
    requireClientCertificate: true,
    loginByCertificate: false,
    crlFile: null,
    allowedCommonNames: [],
    allowedHostnames: [],
    checkCallerAddress: false,
    ciphers: null,
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.3",
    selfSigned: null,
    ...wanted,
  };
}

/** The result of a listener with these settings for the caller's certificate. */
async function verify(
  caller: string,
  wanted: Partial<TlsFiles>,
  maxVersion: "TLSv1.2" | "TLSv1.3",
): Promise<string | null> {
  const listening = files("m1", wanted);
  const verify = createCertificateVerifier(listening);
  const { cert, key, ca } = readTlsMaterial(listening);
  const server = createServer({ cert, key, ca: ca!, requestCert: true });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as { port: number };
  const accepted = new Promise<TLSSocket>((resolve) => server.once("secureConnection", resolve));
  const shown = readTlsMaterial(files(caller));
  const client = connect({ host, port, cert: shown.cert, key: shown.key, ca: shown.ca!, maxVersion });
  client.on("error", () => {});
  const expected = verify(await accepted);
  client.destroy();
  server.close();
  return expected;
}

it.each([
  ["m2", {}, null],
  ["m2", { allowedCommonNames: ["m1", "m2"] }, null],
  ["m2", { allowedCommonNames: ["m1", "m3"] }, 'its certificate is for "m2", but m1 or m3 is required'],
  ["m1", { allowedHostnames: ["other.example", "m1.example"] }, null],
  ["m2", { allowedHostnames: ["m1.example"] }, "its certificate is not for m1.example"],
])("a caller with the certificate of %s, where %j is required, gets %s", async (caller, wanted, expected) => {
  expect(await verify(caller, wanted, "TLSv1.3")).toBe(expected);
});

it("a revoked certificate is rejected, another one of the same authority is not", async () => {
  const crlFile = join(directory, "list.pem");
  expect(await verify("m2", { crlFile }, "TLSv1.2")).toBeNull();
  expect(await verify("gone", { crlFile }, "TLSv1.2")).toMatch(/^its certificate [0-9A-F]+ is revoked$/);
  expect(() => createCertificateVerifier(files("m1", { crlFile: join(directory, "none") }))).toThrow("/none");
});

it("a self-signed certificate is created once, private to the member", () => {
  const [certFile, keyFile] = [join(directory, "own/cert.pem"), join(directory, "own/key.pem")];
  const own = files("m1", {
    certFile,
    keyFile,
    clientCertFile: certFile,
    clientKeyFile: keyFile,
    trustedCaFile: null,
  });
  const selfSigned = { ...own, selfSigned: { hosts: [host, "localhost"], validYears: 2 } };
  createSelfSigned(selfSigned);
  const made = new X509Certificate(readFileSync(certFile));
  expect(made.subjectAltName).toBe(`IP Address:${host}, DNS:localhost`);
  expect(new Date(made.validTo).getUTCFullYear() - new Date(made.validFrom).getUTCFullYear()).toBe(2);
  createSelfSigned(selfSigned);
  expect(new X509Certificate(readFileSync(certFile)).serialNumber).toBe(made.serialNumber);
  // Such a certificate cannot be verified: callers do not try.
  expect(createPeerTls(selfSigned, () => []).clientMaterial!().rejectUnauthorized).toBe(false);
  expect(createPeerTls(files("m1"), () => []).clientMaterial!().rejectUnauthorized).toBe(true);
});

it("rules for members' certificates follow the member's own, which is replaced at run time", async () => {
  const authority = openAuthority({ directory });
  const own = { name: "own", subjectAltNames: [host] } as const;
  const { fingerprint } = await authority.issue({ ...own, profile: "member", commonName: "own" });
  const tls = createPeerTls(files("own", { checkCallerAddress: true }), () => [`https://${host}:2380`]);
  expect(tls.memberRules()).toEqual({ serves: true, isForPeerUrls: true });
  expect(tls.memberRules()).toEqual({ serves: true, isForPeerUrls: true });
  const elsewhere = { name: "own", subjectAltNames: ["m3.example"] } as const;
  await authority.issue({ ...elsewhere, profile: "client", commonName: "own", replaces: fingerprint });
  expect(tls.memberRules()).toEqual({ serves: false, isForPeerUrls: false });
});
