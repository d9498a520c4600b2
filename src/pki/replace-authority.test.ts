/** An authority replaced by one with another key: which certificates verify at which step, and after a crash. */
import { X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { certificatesIn } from "../x509/pem.ts";
import { openAuthority } from "./authority.ts";
import type { Authority } from "./authority-port.ts";
import { handshake } from "./tls-handshake.fixture.ts";
import type { TlsMaterial } from "./tls-material.ts";

let directory: string;
let authority: Authority;
const file = (name: string): string => join(directory, name);
const issue = (name: string): Promise<unknown> =>
  authority.issue({ name, profile: "member", commonName: name, subjectAltNames: ["localhost", "127.0.0.1"] });

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "haplan-pki-"));
  authority = openAuthority({ directory });
  await authority.createAuthority("demo haplan CA");
  await issue("m1");
  await issue("m2");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Whether each side accepts the other's certificate. */
const meet = async (server: TlsMaterial, client: TlsMaterial): Promise<boolean> =>
  (await handshake("127.0.0.1", server, client, client.caPem)) === commonName(client);
const commonName = ({ certificatePem }: TlsMaterial): string =>
  new X509Certificate(certificatePem).subject.replace("CN=", "");

describe("replacing an authority", () => {
  it("lets both sides verify each other at every step, whichever of them was handed what", async () => {
    const sides = [await authority.material("m1")];
    await authority.addAuthority("demo haplan CA 2");
    sides.push(await authority.material("m1"));
    await authority.activateAuthority();
    await issue("m1");
    sides.push(await authority.material("m1"));
    // The first one trusts only the authority from before, and verifies the last one through its signature.
    for (const server of sides) for (const client of sides) expect(await meet(server, client)).toBe(true);
    await authority.dropAuthority();
    const dropped = await authority.material("m1");
    expect(certificatesIn(dropped.certificatePem)).toHaveLength(1);
    for (const { caPem } of sides.slice(1)) expect(await meet(dropped, { ...dropped, caPem })).toBe(true);
    expect(await meet(dropped, sides[0]!)).toBe(false);
    expect(await meet(dropped, { ...sides[0]!, caPem: dropped.caPem })).toBe(false);
  });

  it("keeps the present authority signing until the next one is activated, and deletes its key then", async () => {
    const { authority: before } = await authority.observe();
    const added = await authority.addAuthority("demo haplan CA 2");
    expect(added).toMatchObject({ fingerprint: before?.fingerprint, crossSigned: true });
    expect(added.next?.commonName).toBe("demo haplan CA 2");
    const formerKey = readFileSync(file("ca.key"), "utf8");
    const activated = await authority.activateAuthority();
    expect(activated).toMatchObject({
      ...added.next,
      signingKey: "present",
      previous: [{ fingerprint: before?.fingerprint }],
    });
    expect(readFileSync(file("ca.key"), "utf8")).not.toBe(formerKey);
    expect(existsSync(file("ca.next.key"))).toBe(false);
    const { certificates } = await authority.observe();
    expect(certificates).toMatchObject([
      { name: "m1", trusted: false, signedByPrevious: true },
      { name: "m2", trusted: false, signedByPrevious: true },
    ]);
    const dropped = await authority.dropAuthority();
    expect(dropped.previous).toBeUndefined();
    expect(certificatesIn(readFileSync(file("ca.crt"), "utf8"))).toHaveLength(1);
    expect((await authority.observe()).certificates[0]?.signedByPrevious).toBeUndefined();
  });

  it("does nothing twice", async () => {
    const once = await authority.addAuthority("demo haplan CA 2");
    expect(await authority.addAuthority("demo haplan CA 2")).toEqual(once);
    const activated = await authority.activateAuthority();
    expect(await authority.activateAuthority()).toEqual(activated);
    await expect(authority.addAuthority("demo haplan CA 3")).rejects.toThrow(/a previous one is still trusted/);
    const dropped = await authority.dropAuthority();
    expect(await authority.dropAuthority()).toEqual(dropped);
  });

  it("is complete after a crash between the files of an activation", async () => {
    const { next } = await authority.addAuthority("demo haplan CA 2");
    // ca.crt decides: it is written first, and the key is moved then.
    const [present = "", second = ""] = certificatesIn(readFileSync(file("ca.crt"), "utf8"));
    writeFileSync(file("ca.crt"), second + present);
    expect((await authority.observe()).authority).toMatchObject({
      fingerprint: next?.fingerprint,
      signingKey: "present",
    });
    await issue("m1");
    expect((await authority.observe()).certificates[0]).toMatchObject({ name: "m1", trusted: true });
    expect(await authority.activateAuthority()).toMatchObject({
      fingerprint: next?.fingerprint,
      signingKey: "present",
    });
    expect(existsSync(file("ca.next.key"))).toBe(false);
    expect(new X509Certificate(readFileSync(file("ca.crt"))).fingerprint256.replaceAll(":", "").toLowerCase()).toBe(
      next?.fingerprint,
    );
  });

  it("starts anew after a crash before the next authority was trusted", async () => {
    writeFileSync(file("ca.next.key"), readFileSync(file("m1.key")));
    expect((await authority.observe()).authority?.next).toBeUndefined();
    expect((await authority.addAuthority("demo haplan CA 2")).next?.commonName).toBe("demo haplan CA 2");
  });

  it("hands out the same text of the authorities, whichever of the two signs, so that no unit changes for it", async () => {
    await authority.addAuthority("demo haplan CA 2");
    const { caPem } = await authority.material("m2");
    await authority.activateAuthority();
    expect((await authority.material("m2")).caPem).toBe(caPem);
  });

  it("works without the key of the present authority, whose signature the next one lacks then", async () => {
    renameSync(file("ca.key"), file("kept"));
    const added = await authority.addAuthority("demo haplan CA 2");
    expect(added).toMatchObject({ signingKey: "missing" });
    expect(added.crossSigned).toBeUndefined();
    const both = await authority.material("m2");
    const alone = certificatesIn(both.caPem).find(
      (pem) => pem === certificatesIn(readFileSync(file("ca.crt"), "utf8"))[0],
    )!;
    expect(await authority.activateAuthority()).toMatchObject({ signingKey: "present" });
    await issue("m1");
    const issued = await authority.material("m1");
    expect(certificatesIn(issued.certificatePem)).toHaveLength(1);
    expect(await meet(issued, both)).toBe(true);
    expect(await meet(issued, { ...both, caPem: alone })).toBe(false);
  });

  it("gives haplan a certificate of the next authority to try it with", async () => {
    expect(await authority.trialMaterial()).toBeNull();
    await authority.addAuthority("demo haplan CA 2");
    const trial = await authority.trialMaterial();
    expect(await meet(await authority.material("m1"), trial!)).toBe(true);
    await authority.activateAuthority();
    expect(await authority.trialMaterial()).toBeNull();
  });
});
