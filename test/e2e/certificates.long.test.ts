/** Expired, lost or foreign certificates, with real processes: the errors, and the way out. */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openAuthority } from "../../src/pki/authority.ts";
import { AcknowledgingWriter } from "./acknowledged-writes.ts";
import { ClusterFixture, killAndWait, until } from "./cluster-fixture.ts";

const network = 33;
const day = 86_400_000;
let cluster: ClusterFixture;
const pki = (file: string): string => join(cluster.directory, ".haplan", cluster.name, "pki", file);
const mustPlan = async (code: number, ...more: string[]): Promise<string> => {
  const run = await cluster.haplan(["plan", "-detailed-exitcode", ...more]);
  expect(run.code, run.stdout + run.stderr).toBe(code);
  return run.stdout + run.stderr;
};

beforeAll(async () => {
  cluster = new ClusterFixture({ network, workers: 1 });
  await cluster.apply();
}, 60_000);
afterAll(() => cluster.teardown(), 60_000);

describe("haplan's clock, moved ahead", () => {
  it.each([300, 700, 3690, 7400])(
    "T1: by %i days: apply renews under writes, and nothing fails",
    async (days) => {
      const nowMs = Date.now() + days * day;
      const planned = await cluster.haplan(["plan", "-detailed-exitcode"], { nowMs });
      expect(planned.code, planned.stdout + planned.stderr).toBe(2);
      expect(planned.stdout).toMatch(days === 300 ? /it expires in 6\d days/ : /it expired \d+ days ago|is renewed/);
      const writer = new AcknowledgingWriter(cluster.client(await cluster.output("endpoint")), `/clock/${days}/`);
      await cluster.applyAt(nowMs);
      await writer.stop();
      expect(writer.failures).toEqual([]);
      expect((await cluster.haplan(["plan", "-detailed-exitcode"], { nowMs })).code).toBe(0);
    },
    120_000,
  );
});

describe("files that are gone", () => {
  it("T4: ca.crt is named by status, which does not say that the quorum is lost", async () => {
    renameSync(pki("ca.crt"), pki("kept"));
    try {
      const { code, stdout: status } = await cluster.haplan(["status"]);
      expect(code).toBe(4);
      expect(status).toMatch(/Quorum: unknown\. haplan cannot authenticate: ca\.crt is missing in/);
      expect(status).not.toContain("No quorum");
      expect(await mustPlan(1)).toMatch(/ca\.crt is missing/);
    } finally {
      renameSync(pki("kept"), pki("ca.crt"));
    }
  }, 60_000);

  it("R14: ca.key is not missed while nothing has to be signed, and named when something has", async () => {
    renameSync(pki("ca.key"), pki("kept"));
    try {
      await mustPlan(0);
      expect(await mustPlan(1, "-replace=haplan_certificate.w1")).toMatch(/ca\.key is missing in/);
    } finally {
      renameSync(pki("kept"), pki("ca.key"));
    }
  }, 60_000);

  it("R14: another authority is refused", async () => {
    const kept = ["ca.crt", "ca.key"].map((file) => [file, readFileSync(pki(file))] as const);
    const other = join(cluster.directory, "other");
    await openAuthority({ directory: other }).createAuthority("e2e haplan CA");
    for (const [file] of kept) writeFileSync(pki(file), readFileSync(join(other, file)));
    try {
      expect(await mustPlan(1)).toContain("The members do not trust this certificate authority");
    } finally {
      for (const [file, content] of kept) writeFileSync(pki(file), content);
    }
    await mustPlan(0);
  }, 60_000);

  it.each<["ca.crt" | "ca.key", RegExp]>([
    ["ca.key", /ca\.key in .* is not the key of ca\.crt/],
    ["ca.crt", /The members do not trust this certificate authority/],
  ])(
    "another authority's %s alone is named as well",
    async (file, text) => {
      const kept = readFileSync(pki(file));
      const other = join(cluster.directory, "other-half");
      await openAuthority({ directory: other }).createAuthority("e2e haplan CA");
      writeFileSync(pki(file), readFileSync(join(other, file)));
      try {
        expect(await mustPlan(1, "-replace=haplan_certificate.w1")).toMatch(text);
        expect(await cluster.mustRun("certs", "status")).toContain(
          "Its ca.key is not the key of ca.crt: nothing can be signed",
        );
      } finally {
        writeFileSync(pki(file), kept);
      }
      await mustPlan(0);
    },
    60_000,
  );

  it("T4: admin's certificate is recreated, and no member is taken for dead", async () => {
    rmSync(pki("admin.crt"));
    expect(await mustPlan(2)).toContain("Plan: 1 to add, 0 to change, 0 to destroy");
    await cluster.apply();
    await mustPlan(0);
  }, 60_000);
});

describe("a member with an expired certificate", () => {
  it("R4: that was started again with it is healthy after one apply", async () => {
    const directory = join(cluster.directory, ".haplan", cluster.name, "pki");
    const past = openAuthority({ directory, now: () => Date.now() - 366 * day });
    const { certificates } = await past.observe();
    const m2 = certificates.find(({ name }) => name === "m2");
    const { subjectAltNames, fingerprint } = m2 ?? { subjectAltNames: [], fingerprint: "" };
    await past.issue({ name: "m2", profile: "member", commonName: "m2", subjectAltNames, replaces: fingerprint });
    const unit = join(cluster.directory, ".haplan", cluster.name, "machines/m2/units/agent/files/tls");
    for (const half of ["crt", "key"]) writeFileSync(join(unit, `tls.${half}`), readFileSync(pki(`m2.${half}`)));
    await killAndWait((await cluster.status()).members.find(({ name }) => name === "m2")?.pid ?? null);
    expect(await mustPlan(2)).toContain("A certificate has expired: m2");
    const started = performance.now();
    await cluster.apply();
    expect(performance.now() - started).toBeLessThan(60_000);
    await until("all are healthy", async () => (await cluster.status()).members.every(({ healthy }) => healthy));
    await mustPlan(0);
  }, 120_000);
});
