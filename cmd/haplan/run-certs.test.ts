/** `haplan certs`: whole command lines. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(async () => {
  cli = createCliFixture();
  expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
});
afterEach(() => cli.remove());

const haplan = (line: string, answers: readonly string[] | null = null): Promise<CliRun> => cli.haplan(line, answers);
const fingerprints = (): ReadonlyMap<string, string> =>
  new Map([...cli.world.facts.certificates.values()].map(({ name, fingerprint }) => [name, fingerprint]));

describe("certs status", () => {
  it("lists every certificate with its signer, its dates and its names", async () => {
    const { out, code } = await haplan("certs status three.yaml");
    expect(code).toBe(0);
    const row = (name: string): readonly string[] =>
      out
        .split("\n")
        .find((line) => line.startsWith(`${name} `))!
        .split(/ {2,}/);
    expect(row("NAME")).toEqual([
      "NAME",
      "USE",
      "SIGNED BY",
      "EXPIRES",
      "DAYS LEFT",
      "RENEWED FROM",
      "STATUS",
      "NAMES",
    ]);
    expect(row("ca").slice(0, 4)).toEqual(["ca", "authority", "ca", "2030-01-01"]);
    expect(row("m1").slice(0, 4)).toEqual(["m1", "server and client", "ca", "2030-01-01"]);
    expect(row("m1").at(-1)).toContain("localhost");
    expect(row("admin").slice(1, 3)).toEqual(["client", "ca"]);
  });

  it("prints the same as JSON", async () => {
    const list = JSON.parse((await haplan("certs status three.yaml -json")).out);
    expect(list).toMatchObject({ format_version: "1.0", cluster: "demo", signing_key: "present" });
    const m1 = list.certificates.find(({ name }: { name: string }) => name === "m1");
    expect(m1).toMatchObject({
      use: "server and client",
      fingerprint: fingerprints().get("m1"),
      not_after: "2030-01-01T00:00:00Z",
      renewed_from: "2029-10-03T00:00:00.000Z",
      signed_by: "ca",
      status: "valid",
    });
  });
});

describe("certs rotate", () => {
  it("issues the named certificate again, and no other", async () => {
    const before = fingerprints();
    const { code, out } = await haplan("certs rotate m1 -spec=three.yaml -auto-approve");
    expect(code).toBe(0);
    expect(out).toContain("issue certificate m1");
    const changed = [...fingerprints()].filter(([name, fingerprint]) => before.get(name) !== fingerprint);
    expect(changed.map(([name]) => name)).toEqual(["m1"]);
    expect((await haplan("plan three.yaml -detailed-exitcode")).code).toBe(0);
    expect(cli.world.violations).toEqual([]);
  });

  it("issues all of them again without a name, one master at a time", async () => {
    const before = fingerprints();
    expect((await haplan("certs rotate -spec=three.yaml -auto-approve")).code).toBe(0);
    for (const [name, fingerprint] of fingerprints()) expect([name, fingerprint]).not.toEqual([name, before.get(name)]);
    expect(cli.world.violations).toEqual([]);
  });

  it("saves a plan that apply takes, and asks before it acts otherwise", async () => {
    const { out } = await haplan("certs rotate m2 -spec=three.yaml -out=m2.plan");
    expect(out).toContain("haplan apply m2.plan");
    const before = fingerprints();
    expect((await haplan("apply m2.plan")).code).toBe(0);
    expect(fingerprints().get("m2")).not.toBe(before.get("m2"));
    const unasked = await haplan("certs rotate m2 -spec=three.yaml");
    expect(unasked).toMatchObject({ code: 1, err: expect.stringContaining("haplan certs rotate asks for approval") });
  });

  it.each([
    ["m9", /There is no certificate "m9".*certificates are/s],
    ["admni", /Did you mean "admin"/],
    ["ca", /ca is the authority/],
  ])("refuses %s", async (name, text) => {
    const { code, err } = await haplan(`certs rotate ${name} -spec=three.yaml -auto-approve`);
    expect(code).toBe(1);
    expect(err).toMatch(text);
  });
});

describe("controlPlane.tls.extraNames", () => {
  const write = (names: string): void => {
    const file = join(cli.cwd, "three.yaml");
    const text = readFileSync(file, "utf8").replace(
      /^ {4}tls:$/m,
      `    tls:
      extraNames: [${names}]`,
    );
    writeFileSync(file, text);
  };

  it("are in the masters' certificates, in the spelling of certificates", async () => {
    write('ETCD.example.com, "*.etcd.internal", 10.0.0.99, "FD00:0::1"');
    expect((await haplan("apply three.yaml -auto-approve")).code).toBe(0);
    const names = cli.world.facts.certificates.get("m1")?.subjectAltNames;
    expect(names).toEqual(expect.arrayContaining(["etcd.example.com", "*.etcd.internal", "10.0.0.99", "fd00::1"]));
    expect(cli.world.facts.certificates.get("w1")?.subjectAltNames).toEqual(["w1"]);
    expect((await haplan("plan three.yaml -detailed-exitcode")).code).toBe(0);
  });

  it("are refused where no certificate can have them", async () => {
    write('"https://etcd:2379"');
    const { code, err } = await haplan("validate three.yaml");
    expect(code).toBe(1);
    expect(err).toContain('"https://etcd:2379" cannot be a name in a certificate');
  });
});
