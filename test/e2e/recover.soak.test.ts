/**
 * Recoveries by hand: each way in which a lost majority can return, and each number of survivors. `-t` takes one.
 */
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { killAndWait, until } from "./cluster-fixture.ts";
import { RecoverCluster } from "./recover-cluster.ts";
import { type FormerMember, ways } from "./returning-members.ts";

describe("the lost majority of a cluster of three", () => {
  const cluster = new RecoverCluster(95, 3);
  let former: readonly FormerMember[];
  let pids: ReadonlyMap<string, number>;

  beforeAll(async () => {
    await cluster.fixture.apply();
    former = await cluster.former(["m2", "m3"], "early");
    cluster.startWriting();
    await until("some writes are acknowledged", () => cluster.acknowledged.length > 100);
    pids = await cluster.pause(former);
    await cluster.stopWriting();
    await cluster.fixture.mustRun("recover", "-lost=m2", "-lost=m3", "-auto-approve");
    for (const { name } of former) await killAndWait(pids.get(name)!);
  }, 120_000);
  afterAll(() => cluster.teardown(pids), 60_000);

  it.each(Object.keys(ways))(
    "neither joins nor serves when it returns %s",
    async (way) => cluster.expectRefused(ways[way]!, former),
    60_000,
  );
});

/** Ends the process of a member and takes its machine away, or damages its log in the middle. */
async function lose(cluster: RecoverCluster, name: string, how: "machine" | "log"): Promise<void> {
  await killAndWait((await cluster.pids()).get(name)!);
  if (how === "machine") return rmSync(cluster.machineDir(name), { recursive: true });
  const wal = join(cluster.machineDir(name), "data/member/wal");
  const path = join(wal, readdirSync(wal).find((file) => file.endsWith(".log"))!);
  const at = readFileSync(path).indexOf("/written/20");
  const file = openSync(path, "r+");
  writeSync(file, Buffer.from("XX"), 0, 2, at);
  closeSync(file);
}

describe.each<[string, number, number, Readonly<Record<string, "machine" | "log">>]>([
  ["one of three", 96, 3, { m2: "machine", m3: "machine" }],
  ["two of five", 97, 5, { m1: "machine", m2: "machine", m3: "machine" }],
  ["all disks but one damaged", 98, 3, { m1: "log", m3: "log" }],
])("%s", (_, network, masters, losses) => {
  const cluster = new RecoverCluster(network, masters);
  afterAll(() => cluster.teardown(), 60_000);

  it("continues with all that its best survivor had", async () => {
    await cluster.fixture.apply();
    cluster.startWriting();
    await until("some writes are acknowledged", () => cluster.acknowledged.length > 200);
    // With the writer at work, until there is no majority.
    const [first, ...rest] = Object.entries(losses);
    await lose(cluster, ...first!);
    await Promise.all(rest.map(([name, how]) => lose(cluster, name, how)));
    await cluster.stopWriting();
    await until("no member leads", async () => !(await cluster.fixture.status()).hasLeader, 30_000);
    const shown = await cluster.fixture.mustRun("recover", "-auto-approve");
    for (const [name, how] of Object.entries(losses))
      expect(shown).toMatch(
        new RegExp(`${name} +lost: ${how === "machine" ? "its machine is gone" : "its data is damaged"}`),
      );
    const keys = await cluster.keys();
    const missing = cluster.acknowledged.filter((key) => !keys.has(key));
    // Only what was acknowledged by lost members alone, at the moment of the loss.
    expect(missing.length).toBeLessThanOrEqual(2);
    expect(missing).toEqual(cluster.acknowledged.slice(cluster.acknowledged.length - missing.length));
    expect((await cluster.fixture.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
    expect((await cluster.fixture.status()).faultTolerance).toBe((masters - 1) / 2);
  }, 180_000);
});
