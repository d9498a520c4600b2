import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openAuthority } from "./authority.ts";
import type { Authority } from "./authority-port.ts";
import { certificatePath, keyPath } from "./certificate-directory.ts";

const hasOpenssl = execaSync("openssl", ["version"], { reject: false }).exitCode === 0;
const day = 86_400_000;

let parent: string;
let directory: string;
let authority: Authority;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "haplan-pki-"));
  directory = join(parent, "pki");
  authority = openAuthority({ directory });
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const member = {
  name: "m1",
  profile: "member",
  commonName: "m1",
  subjectAltNames: ["127.77.18.1", "m1.example.test", "::1"],
} as const;
const client = { name: "client", profile: "client", commonName: "haplan client", subjectAltNames: [] } as const;

describe("the authority", () => {
  it("is made once and found again afterwards", async () => {
    expect(await authority.observe()).toEqual({ authority: null, certificates: [] });
    const made = await authority.createAuthority("demo authority");
    expect(await authority.createAuthority("another name")).toEqual(made);
    expect(await openAuthority({ directory }).observe()).toEqual({ authority: made, certificates: [] });
    expect(made.fingerprint).toMatch(/^[0-9a-f]{64}$/);
  });

  it("keeps its directory private, and its keys more so", async () => {
    await authority.createAuthority("demo authority");
    await authority.issue(member);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(keyPath(directory, "ca")).mode & 0o777).toBe(0o600);
    expect(statSync(keyPath(directory, "m1")).mode & 0o777).toBe(0o600);
  });

  it("refuses to issue before it exists, and to issue under names that leave the directory or overwrite its own", async () => {
    await expect(authority.issue(member)).rejects.toMatchObject({ code: "pki/no-authority" });
    await authority.createAuthority("demo authority");
    for (const name of ["ca", "../m1", "", "a/b"]) {
      await expect(authority.issue({ ...member, name })).rejects.toMatchObject({ code: "pki/bad-name" });
    }
    for (const san of ["http://a", "10.0.0.1:2379", "a b", ""]) {
      await expect(authority.issue({ ...member, subjectAltNames: [san] })).rejects.toMatchObject({
        code: "pki/bad-name",
      });
    }
    await expect(authority.issue({ ...client, commonName: "x".repeat(65) })).rejects.toMatchObject({
      code: "pki/bad-name",
    });
  });

  it("hands out a certificate with its key and the authority's certificate, never the authority's key", async () => {
    await authority.createAuthority("demo authority");
    await authority.issue(client);
    const material = await authority.material("client");
    expect(material.caPem).toBe(readFileSync(certificatePath(directory, "ca"), "utf8"));
    const caKey = readFileSync(keyPath(directory, "ca"), "utf8");
    expect(JSON.stringify(material)).not.toContain(caKey.split("\n")[1]);
    await expect(authority.material("m9")).rejects.toMatchObject({ code: "pki/unknown-certificate" });
    await expect(authority.material("ca")).rejects.toMatchObject({ code: "pki/bad-name" });
  });

  it("forgets one certificate, then everything", async () => {
    await authority.createAuthority("demo authority");
    await authority.issue(member);
    await authority.removeCertificate("m1");
    await authority.removeCertificate("m1");
    expect((await authority.observe()).certificates).toEqual([]);
    await authority.removeAuthority();
    await authority.removeAuthority();
    expect(await authority.observe()).toEqual({ authority: null, certificates: [] });
  });
});

describe("an issued certificate", () => {
  it("carries its names in the order asked for and is kept while it answers the request", async () => {
    await authority.createAuthority("demo authority");
    const first = await authority.issue(member);
    expect(first.subjectAltNames).toEqual(member.subjectAltNames);
    expect(await authority.issue(member)).toEqual(first);
    const wider = await authority.issue({ ...member, subjectAltNames: [...member.subjectAltNames, "10.0.0.100"] });
    expect(wider.fingerprint).not.toBe(first.fingerprint);
    const narrower = await authority.issue({ ...member, profile: "client" });
    expect(new X509Certificate((await authority.material("m1")).certificatePem).keyUsage).toEqual([
      "1.3.6.1.5.5.7.3.2",
    ]);
    expect((await authority.observe()).certificates).toEqual([narrower]);
  });

  it("T1: is replaced when its fingerprint is named, and a later one is kept when that is asked again", async () => {
    await authority.createAuthority("demo authority");
    const { fingerprint: replaces } = await authority.issue(client);
    const renewed = await authority.issue({ ...client, replaces });
    expect(renewed.fingerprint).not.toBe(replaces);
    expect(await authority.issue({ ...client, replaces })).toEqual(renewed);
  });

  it("T1: never outlives its authority, which issues nothing once it has expired", async () => {
    let now = Date.parse("2026-06-01T00:00:00Z");
    const clocked = openAuthority({ directory, now: () => now });
    const { notAfter, fingerprint } = await clocked.createAuthority("demo authority");
    now = Date.parse(notAfter) - 100 * day;
    expect((await clocked.issue(client)).notAfter).toBe(notAfter);
    now = Date.parse(notAfter) + day;
    const refused = { code: "pki/authority-expired", message: expect.stringContaining("expired on 2036-05-29") };
    await expect(clocked.issue(member)).rejects.toMatchObject(refused);
    expect((await clocked.renewAuthority(fingerprint)).notAfter).toBe("2046-05-28T00:00:00.000Z");
    expect((await clocked.issue(member)).trusted).toBe(true);
  });

  it("T1: is good from its authority's beginning on, so that hosts whose clock is behind take a renewed one", async () => {
    const ahead = openAuthority({ directory, now: () => Date.now() + 300 * day });
    const { notBefore } = await authority.createAuthority("demo authority");
    expect(await ahead.issue(client)).toMatchObject({ notBefore });
    const { fingerprint } = (await ahead.observe()).authority ?? {};
    expect(await ahead.renewAuthority(fingerprint ?? "")).toMatchObject({ notBefore });
  });

  it("T1: is good under the authority's certificate of before its renewal and of after it", async () => {
    await authority.createAuthority("demo authority");
    const [before, earlier] = [await authority.issue(client), await authority.material("client")];
    const { fingerprint } = (await authority.observe()).authority ?? {};
    const renewed = await authority.renewAuthority(fingerprint ?? "");
    expect(await authority.renewAuthority(fingerprint ?? "")).toEqual(renewed);
    expect(renewed.fingerprint).not.toBe(fingerprint);
    expect((await authority.observe()).certificates).toEqual([before]);
    await authority.issue(member);
    const later = new X509Certificate((await authority.material("m1")).certificatePem);
    for (const ca of [earlier.caPem, (await authority.material("m1")).caPem].map((pem) => new X509Certificate(pem))) {
      expect(later.checkIssued(ca) && later.verify(ca.publicKey)).toBe(true);
    }
  });

  it("counts as not issued when its key is another one's, as a crash between the two writes leaves it", async () => {
    await authority.createAuthority("demo authority");
    const first = await authority.issue(client);
    await authority.issue(member);
    writeFileSync(keyPath(directory, "client"), readFileSync(keyPath(directory, "m1")));
    expect((await authority.observe()).certificates.map((certificate) => certificate.name)).toEqual(["m1"]);
    expect((await authority.issue(client)).fingerprint).not.toBe(first.fingerprint);
  });

  it("counts as not issued when another authority signed it", async () => {
    await authority.createAuthority("demo authority");
    await authority.issue(client);
    const other = openAuthority({ directory: join(parent, "other") });
    await other.createAuthority("demo authority");
    for (const half of ["ca.crt", "ca.key"]) {
      writeFileSync(join(directory, half), readFileSync(join(parent, "other", half)));
    }
    const [found] = (await authority.observe()).certificates;
    expect(found).toMatchObject({ name: "client", trusted: false });
    expect((await authority.issue(client)).fingerprint).not.toBe(found?.fingerprint);
  });
});

describe("what haplan shows the members", () => {
  const admin = { name: "admin", profile: "client", commonName: "admin", subjectAltNames: ["admin"] } as const;
  const lost = async (file: string): Promise<Awaited<ReturnType<Authority["observe"]>>> => {
    rmSync(join(directory, file));
    return authority.observe();
  };

  it("is its own certificate while that is good, and one for the occasion afterwards, which is written nowhere", async () => {
    let now = Date.now();
    const clocked = openAuthority({ directory, now: () => now });
    await clocked.createAuthority("demo authority");
    const { fingerprint } = await clocked.issue(admin);
    const shown = async (): Promise<X509Certificate> =>
      new X509Certificate((await clocked.clientMaterial()).certificatePem);
    expect((await shown()).fingerprint256.replaceAll(":", "").toLowerCase()).toBe(fingerprint);
    now += 366 * day;
    const occasional = await shown();
    expect(occasional.subject).toBe("CN=admin");
    expect(Date.parse(occasional.validTo)).toBeGreaterThan(now);
    expect((await clocked.observe()).certificates.map((each) => each.fingerprint)).toEqual([fingerprint]);
  });

  it("T4: names the file without which it cannot authenticate", async () => {
    await authority.createAuthority("demo authority");
    await authority.issue(admin);
    expect((await lost("ca.key")).authority?.signingKey).toBe("missing");
    await expect(authority.clientMaterial()).resolves.toHaveProperty("keyPem");
    const sign = authority.issue(member);
    await expect(sign).rejects.toMatchObject({ code: "pki/authority-key-missing", message: /ca\.key is missing in / });
    await lost("admin.crt");
    await expect(authority.clientMaterial()).rejects.toThrow(
      /^cannot authenticate: admin\.crt or its key is missing, and ca\.key is missing in /,
    );
    expect((await lost("ca.crt")).authority).toBeNull();
    await expect(authority.clientMaterial()).rejects.toThrow(/^cannot authenticate: ca\.crt is missing in "/);
  });

  it("R14: tells a key that is not the authority's", async () => {
    await authority.createAuthority("demo authority");
    await authority.issue(client);
    writeFileSync(keyPath(directory, "ca"), readFileSync(keyPath(directory, "client")));
    expect((await authority.observe()).authority?.signingKey).toBe("mismatched");
    await expect(authority.issue(member)).rejects.toThrow(/ca\.key in ".*" is not the key of ca\.crt/);
  });

  it("T1: accepts servers' certificates of this cluster though they have expired, those just replaced included", async () => {
    await authority.createAuthority("demo authority");
    await authority.issue(admin);
    const { fingerprint: replaces } = await authority.issue(member);
    const { fingerprint } = await authority.issue({ ...member, replaces });
    const { acceptedExpired } = await authority.clientMaterial();
    expect(acceptedExpired).toEqual(expect.arrayContaining([replaces, fingerprint]));
    expect((await authority.observe()).certificates.map(({ name }) => name)).toEqual(["admin", "m1"]);
    await authority.removeCertificate("m1");
    expect((await authority.clientMaterial()).acceptedExpired).toHaveLength(1);
  });
});

describe.skipIf(!hasOpenssl)("openssl", () => {
  const verify = (purpose: string, name: string, ...extra: string[]): string => {
    const result = execaSync(
      "openssl",
      [
        "verify",
        "-x509_strict",
        "-purpose",
        purpose,
        "-CAfile",
        certificatePath(directory, "ca"),
        ...extra,
        certificatePath(directory, name),
      ],
      { reject: false, all: true },
    );
    return result.exitCode === 0 ? "ok" : result.all;
  };

  it("accepts members as servers and clients under their names, and clients as clients only", async () => {
    await authority.createAuthority("demo authority");
    await authority.issue(member);
    await authority.issue(client);
    expect(verify("sslserver", "m1", "-verify_ip", "127.77.18.1")).toBe("ok");
    expect(verify("sslserver", "m1", "-verify_ip", "::1")).toBe("ok");
    expect(verify("sslserver", "m1", "-verify_hostname", "m1.example.test")).toBe("ok");
    expect(verify("sslclient", "m1")).toBe("ok");
    expect(verify("sslclient", "client")).toBe("ok");
    expect(verify("any", "ca")).toBe("ok");
    expect(verify("sslserver", "m1", "-verify_ip", "127.77.18.2")).toContain("IP address mismatch");
    expect(verify("sslserver", "client")).toMatch(/unsuitable|unsupported/);
  });

  it("accepts an authority that lives past the year 2049", async () => {
    const far = openAuthority({ directory, now: () => Date.parse("2045-06-01T00:00:00Z") });
    await far.createAuthority("demo authority");
    await far.issue(client);
    const at = String(Date.parse("2045-07-01T00:00:00Z") / 1000);
    expect(verify("sslclient", "client", "-attime", at)).toBe("ok");
    expect(new X509Certificate(readFileSync(certificatePath(directory, "ca"))).validTo).toContain("2055");
  });
});
