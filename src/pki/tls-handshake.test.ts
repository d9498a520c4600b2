import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openAuthority } from "./authority.ts";
import type { Authority } from "./authority-port.ts";
import { handshake } from "./tls-handshake.fixture.ts";

let parent: string;
let authority: Authority;
beforeAll(async () => {
  parent = mkdtempSync(join(tmpdir(), "haplan-pki-"));
  authority = openAuthority({ directory: join(parent, "pki") });
  await authority.createAuthority("demo authority");
  const commonName = "m1";
  await authority.issue({ name: "m1", profile: "member", commonName, subjectAltNames: ["127.77.18.1"] });
  await authority.issue({ name: "w1", profile: "client", commonName: "w1", subjectAltNames: [] });
});
afterAll(() => rmSync(parent, { recursive: true, force: true }));

it("a member and a client with certificates of the authority shake hands", async () => {
  expect(await handshake("127.77.18.1", await authority.material("m1"), await authority.material("w1"))).toBe("w1");
});

it("a client without a certificate is turned away", async () => {
  expect(await handshake("127.77.18.1", await authority.material("m1"), null)).toMatch(
    /DID_NOT_RETURN_A_CERTIFICATE|CERTIFICATE_REQUIRED/,
  );
});

it("a client with a certificate of another authority is turned away", async () => {
  const other = openAuthority({ directory: join(parent, "other") });
  await other.createAuthority("demo authority");
  await other.issue({ name: "w1", profile: "client", commonName: "w1", subjectAltNames: [] });
  const answer = await handshake("127.77.18.1", await authority.material("m1"), await other.material("w1"));
  expect(answer).toMatch(/SIGNATURE|UNABLE_TO_VERIFY|SELF_SIGNED|ECONNRESET/);
});

it("a member's certificate is refused on an address it was not issued for", async () => {
  const answer = await handshake("127.77.18.2", await authority.material("m1"), await authority.material("w1"));
  expect(answer).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
});

it("a client's certificate is refused when it serves", async () => {
  const answer = await handshake("127.77.18.1", await authority.material("w1"), await authority.material("m1"));
  expect(answer).toBe("INVALID_PURPOSE");
});
