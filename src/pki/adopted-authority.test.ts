import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AdoptedTls, ReadyCertificate } from "../spec/cluster-spec.ts";
import { openAdoptedAuthority } from "./adopted-authority.ts";
import { openAuthority } from "./authority.ts";

/**
 * Authorities as others make them: openssl's, with RSA and several names in the subject, with and without identifier.
 */
let cwd: string;
const path = (name: string): string => join(cwd, name);
const openssl = (...args: string[]): void => void execFileSync("openssl", args, { stdio: "pipe" });

function makeAuthority(name: string, key: readonly string[], more: readonly string[] = []): void {
  const subject = `/C=CH/O=Example, Inc./CN=${name}`;
  const files = ["-keyout", path(`${name}.key`), "-out", path(`${name}.crt`)];
  openssl("req", "-x509", "-newkey", ...key, "-nodes", "-days", "30", "-subj", subject, ...files, ...more);
}

const base: AdoptedTls = {
  caFile: "rsa.crt",
  certFile: "pki/admin.crt",
  keyFile: "pki/admin.key",
  caKeyFile: "rsa.key",
  peerCaFile: "plain.crt",
  peerCaKeyFile: "plain.key",
  certificates: [],
};
const ready: ReadyCertificate = {
  name: "m3",
  address: "127.0.1.3",
  certFile: "pki/m3.crt",
  keyFile: "pki/m3.key",
  peerCertFile: null,
  peerKeyFile: null,
};
const opened = (more: Partial<AdoptedTls> = {}, directory = "issued") =>
  openAdoptedAuthority({ directory: path(directory), files: { ...base, ...more }, cwd });
const request = { profile: "member", commonName: "m3", subjectAltNames: ["127.0.1.3", "m3"] } as const;

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), "haplan-adopted-authority-"));
  makeAuthority("rsa", ["rsa:2048"]);
  makeAuthority("plain", ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], ["-addext", "subjectKeyIdentifier=none"]);
  makeAuthority("edwards", ["ed25519"]);
  const own = openAuthority({ directory: path("pki") });
  await own.createAuthority("another");
  await own.issue({ ...request, name: "m3" });
  await own.issue({ name: "admin", profile: "client", commonName: "admin", subjectAltNames: [] });
  openssl("rsa", "-in", path("rsa.key"), "-aes256", "-passout", "pass:secret", "-out", path("sealed.key"));
  writeFileSync(path("empty.crt"), "");
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

describe("the authority of a cluster that was adopted", () => {
  it("issues certificates that others' tools accept, each by the authority that it is for", async () => {
    const authority = opened();
    for (const name of ["m3", "m3.peer"]) await authority.issue({ ...request, name });
    for (const [name, from] of [
      ["m3", "rsa"],
      ["m3.peer", "plain"],
    ] as const) {
      openssl("verify", "-CAfile", path(`${from}.crt`), path(`issued/${name}.crt`));
      const certificate = new X509Certificate(readFileSync(path(`issued/${name}.crt`)));
      const issuer = new X509Certificate(readFileSync(path(`${from}.crt`)));
      expect(certificate.issuer).toBe(issuer.subject);
      expect(certificate.checkIssued(issuer)).toBe(true);
    }
    expect((await authority.observe()).certificates.map(({ name }) => name)).toEqual(["m3", "m3.peer"]);
    const text = (name: string): string => readFileSync(path(name), "utf8");
    expect(await authority.material("m3")).toEqual({
      caPem: text("rsa.crt"),
      certificatePem: text("issued/m3.crt"),
      keyPem: text("issued/m3.key"),
      peer: {
        caPem: text("plain.crt"),
        certificatePem: text("issued/m3.peer.crt"),
        keyPem: text("issued/m3.peer.key"),
      },
    });
    expect(await authority.material("admin")).toMatchObject({ keyPem: text("pki/admin.key") });
  });

  it("keeps what it has issued as long as it does what is asked, and removes only that", async () => {
    const authority = opened({}, "kept");
    const first = await authority.issue({ ...request, name: "m3" });
    expect(await authority.issue({ ...request, name: "m3" })).toEqual(first);
    expect((await authority.issue({ ...request, name: "m3", subjectAltNames: ["127.0.1.4"] })).fingerprint).not.toBe(
      first.fingerprint,
    );
    await authority.removeAuthority();
    expect(readdirSync(cwd)).toEqual(expect.arrayContaining(["rsa.crt", "rsa.key", "pki"]));
    expect(readdirSync(cwd)).not.toContain("kept");
  });

  const own = { caFile: "pki/ca.crt", caKeyFile: null, peerCaFile: null, peerCaKeyFile: null } as const;
  it("gives certificates that are ready to those they are for, and the client's to all who only connect", async () => {
    const authority = opened({ ...own, certificates: [ready] });
    expect((await authority.observe()).certificates).toEqual([]);
    expect(await authority.material("m3")).toMatchObject({ keyPem: readFileSync(path("pki/m3.key"), "utf8") });
    expect(await authority.material("load-balancer")).toEqual(await authority.material("admin"));
  });

  it.each<[string, Partial<AdoptedTls>, RegExp]>([
    ["a file that is not there", { caFile: "none.crt" }, /Cannot read none.crt \(adopt.tls: caFile\)/],
    ["a file that is something else", { caFile: "empty.crt" }, /empty.crt contains no certificate/],
    ["a certificate of no authority", { caFile: "pki/m3.crt" }, /not the certificate of an authority/],
    ["another's key", { caKeyFile: "plain.key" }, /plain.key is not the key of rsa.crt/],
    ["a key that is encrypted", { caKeyFile: "sealed.key" }, /sealed.key is encrypted/],
    ["a key that cannot sign here", { caFile: "edwards.crt", caKeyFile: "edwards.key" }, /RSA and EC/],
    ["a client's key that is another's", { keyFile: "pki/m3.key" }, /not the key of pki\/admin.crt/],
    [
      "a certificate for another address",
      { ...own, certificates: [{ ...ready, address: "127.0.1.9" }] },
      /not valid for 127.0.1.9/,
    ],
    ["a certificate from elsewhere", { certificates: [ready] }, /pki\/m3.crt was not issued by rsa.crt/],
    [
      "a certificate from elsewhere for peers",
      { ...own, peerCaFile: "plain.crt", certificates: [ready] },
      /not issued by plain.crt/,
    ],
  ])("refuses %s when it is looked at", async (_, more, said) => {
    await expect(opened(more).observe()).rejects.toMatchObject({
      code: "pki/adopt-files",
      message: expect.stringMatching(said),
    });
  });

  it("refuses what has expired", async () => {
    const later = openAdoptedAuthority({
      directory: path("issued"),
      files: base,
      cwd,
      now: () => Date.now() + 40 * 86_400_000,
    });
    await expect(later.observe()).rejects.toThrow(/rsa.crt expired on/);
  });
});
