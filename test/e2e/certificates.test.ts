/**
 * Certificates at the end of their life, with real processes. The cluster is made by a haplan whose clock is behind, so
 * that what it issues is as old as the test wants, and is planned for by one whose clock is right.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AcknowledgingWriter } from "./acknowledged-writes.ts";
import { ClusterFixture, until } from "./cluster-fixture.ts";
import { shownUntil } from "./shown-certificate.ts";

const network = 31;
const day = 86_400_000;
let cluster: ClusterFixture;

describe("a cluster of 300 days", () => {
  beforeAll(async () => {
    cluster = new ClusterFixture({ network, workers: 1 });
    await cluster.applyAt(Date.now() - 300 * day);
  }, 60_000);
  afterAll(() => cluster.teardown(), 60_000);

  it("T1: is renewed under writes, none of which fails, and no process is restarted", async () => {
    expect(await cluster.mustRun("status")).toMatch(/Certificate m1: expires in 6\d days/);
    const before = await cluster.status();
    const writer = new AcknowledgingWriter(cluster.client(await cluster.output("endpoint")), "/renewal/");
    const applied = await cluster.apply();
    await writer.stop();
    expect(applied).toContain("hand agent m1 its new certificate");
    expect(writer.failures).toEqual([]);
    expect(writer.acknowledged.length).toBeGreaterThan(10);
    const after = await cluster.status();
    expect(after.members.map(({ pid }) => pid)).toEqual(before.members.map(({ pid }) => pid));
    for (const { clientUrl, peerUrl } of after.members) {
      for (const url of [clientUrl, peerUrl]) {
        expect((await shownUntil(new URL(url))) - Date.now()).toBeGreaterThan(364 * day);
      }
    }
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
  }, 60_000);
});

// It waits for real certificates to expire.
const expiring = process.env["HAPLAN_TEST_EVERYTHING"] === undefined ? [] : ["a cluster"];
describe.each(expiring)("%s whose certificates have expired while it ran", () => {
  beforeAll(async () => {
    cluster = new ClusterFixture({ network: network + 1, workers: 1 });
    await cluster.applyAt(Date.now() - 365 * day + 12_000);
  }, 60_000);
  afterAll(() => cluster.teardown(), 60_000);

  it("R4: is named by status and plan, and put right by apply", async () => {
    const pids = (await cluster.status()).members.map(({ pid }) => pid);
    await until(
      "the certificates have expired",
      async () => (await cluster.mustRun("status")).includes("Certificate m1: expired"),
      30_000,
    );
    expect(await cluster.mustRun("plan")).toContain("it expired less than a day ago");
    await cluster.apply();
    const after = await cluster.status();
    expect(after.members.map(({ healthy }) => healthy)).toEqual([true, true, true]);
    expect(after.members.map(({ pid }) => pid)).toEqual(pids);
    expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
  }, 90_000);
});
