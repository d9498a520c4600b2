/**
 * A quorum that is lost while a client writes, the recovery from the leader, and the lost majority that returns: processes that
 * were paused, and disks.
 */
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isEtcdInstalled } from "../compatibility/member-processes.ts";
import { killAndWait, until } from "./cluster-fixture.ts";
import { isAlive } from "./dir-processes.ts";
import { RecoverCluster } from "./recover-cluster.ts";
import { type FormerMember, ways } from "./returning-members.ts";

describe("a cluster of three that has lost two", () => {
  const cluster = new RecoverCluster(96, 3);
  let survivor: string;
  let former: readonly FormerMember[];
  let pids: ReadonlyMap<string, number>;

  beforeAll(async () => {
    await cluster.fixture.apply();
    survivor = (await cluster.fixture.leader()).name;
    former = await cluster.former(
      cluster.names.filter((name) => name !== survivor),
      "early",
    );
    cluster.startWriting();
    await until("some writes are acknowledged", () => cluster.acknowledged.length > 100);
    pids = await cluster.pause(former);
    await cluster.stopWriting();
  }, 60_000);
  afterAll(() => cluster.teardown(pids), 60_000);

  it("is not recovered while the others may be alive", async () => {
    const { code, stderr } = await cluster.fixture.haplan(["recover", "-auto-approve"]);
    expect(code).toBe(1);
    const names = former.map(({ name }) => name);
    expect(stderr).toContain(`${names.join(", ")} cannot be reached, which does not mean that they are lost`);
    expect(stderr).toContain(`haplan recover ${names.map((name) => `-lost=${name}`).join(" ")}`);
  });

  it("has everything that was acknowledged, as the leader had it", async () => {
    const lost = former.map(({ name }) => `-lost=${name}`);
    const shown = await cluster.fixture.mustRun("recover", ...lost, "-auto-approve");
    expect(shown).toContain(`from the data of ${survivor}`);
    const keys = await cluster.keys();
    expect(cluster.acknowledged.filter((key) => !keys.has(key))).toEqual([]);
  }, 60_000);

  it("refuses those that were paused and go on, and they say why and stop", async () => {
    const before = await cluster.facts();
    for (const { name } of former) process.kill(pids.get(name)!, "SIGCONT");
    for (const { name } of former) {
      await until(`${name} has ended`, () => !isAlive(pids.get(name)!), 20_000);
      expect(cluster.logOf(name)).toMatch(/was replaced by cluster/);
    }
    expect(await cluster.facts()).toEqual(before);
  }, 60_000);

  it.each(["with the disk that it had", "wiped, as a founder", "wiped, with another token"])(
    "refuses those that return %s",
    async (way) => cluster.expectRefused(ways[way]!, former),
    30_000,
  );
});

describe.skipIf(!isEtcdInstalled())("a cluster of three etcds that has lost two", () => {
  const cluster = new RecoverCluster(98, 3, "etcd");
  afterAll(() => cluster.teardown(), 60_000);

  it("continues with all that the survivor had, also what it did not know to be committed", async () => {
    await cluster.fixture.apply();
    cluster.startWriting();
    await until("some writes are acknowledged", () => cluster.acknowledged.length > 200);
    const leader = (await cluster.fixture.leader()).name;
    const [survivor, ...lost] = [...cluster.names].sort((a, b) => Number(a === leader) - Number(b === leader));
    const pids = await cluster.pids();
    // The leader first: whatever the survivor has by then, no member tells it any more that it is committed.
    for (const name of lost.toReversed()) process.kill(pids.get(name)!, "SIGKILL");
    for (const name of lost) {
      await killAndWait(pids.get(name)!);
      rmSync(cluster.machineDir(name), { recursive: true });
    }
    await cluster.stopWriting();
    await until("no member leads", async () => !(await cluster.fixture.status()).hasLeader, 30_000);
    const shown = await cluster.fixture.mustRun("recover", "-auto-approve");
    expect(shown).toContain(`from the data of ${survivor}`);
    const keys = await cluster.keys();
    const missing = cluster.acknowledged.filter((key) => !keys.has(key));
    // Only what the lost members acknowledged between themselves, at the moment of the loss.
    expect(missing.length).toBeLessThanOrEqual(2);
    expect(missing).toEqual(cluster.acknowledged.slice(cluster.acknowledged.length - missing.length));
    expect((await cluster.fixture.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
    expect((await cluster.fixture.status()).faultTolerance).toBe(1);
  }, 180_000);
});
