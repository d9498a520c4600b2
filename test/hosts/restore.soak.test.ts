/** Backup and restore over ssh: in place, killed on its way and completed, with nothing left on the hosts. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { ClusterOnHosts } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import type { TestHost } from "./test-host.ts";

describeHosts("backup and restore on hosts", () => {
  let set: HostSet;
  let masters: readonly TestHost[];
  let cluster: ClusterOnHosts;
  let endpoint: string;

  beforeAll(async () => {
    set = await bringUp(4, "complete");
    masters = set.hosts.slice(0, 3);
    const balancer = set.hosts[3]!;
    cluster = new ClusterOnHosts(set, {
      name: "restored",
      engine: "agent",
      masters: masters.map((host, at) => [`m${at + 1}`, host] as const),
      balancer,
      balancerType: "embedded",
    });
    endpoint = `https://${balancer.ipv4}:2379`;
    await cluster.run("apply", "-auto-approve");
    for (let i = 0; i < 20; i++) await cluster.client(endpoint).put(`/data/${i}`, "before");
    await cluster.run("backup", "-out=base.db");
  }, 900_000);
  afterAll(async () => {
    await cluster?.teardown();
    if (process.env["HAPLAN_TEST_KEEP_HOSTS"] === undefined) await takeDown();
  }, 120_000);

  const client = (): ReturnType<ClusterOnHosts["client"]> => cluster.client(endpoint);

  async function expectRestored(): Promise<void> {
    const { kvs } = await until("the data is read", () => client().range("/data/0"));
    expect(Buffer.from(decodeKeyValue(kvs[0]!).value).toString()).toBe("before");
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    for (const [at, host] of masters.entries()) {
      const machine = `/var/lib/haplan/restored/machines/m${at + 1}`;
      const left = await cluster.on(
        host,
        `ls -d /var/lib/haplan/.restore ${machine}/data.re*; stat -c %U ${machine}/data`,
      );
      expect(left.split("\n").map((line) => line.replace(/-[0-9a-f]{12}$/, ""))).toEqual([
        `${machine}/data.replaced`,
        "haplan",
      ]);
    }
  }

  it("brings the data back in place", async () => {
    await client().put("/data/0", "after");
    expect(await cluster.run("restore", "base.db", "-auto-approve")).toContain("lost:");
    await expectRestored();
  }, 120_000);

  it.each([/restore the data of m\d \.\.\./, /restore the data of m\d: done/, /start agent m\d \.\.\./])(
    "is completed by the same command after a kill at %s",
    async (moment) => {
      await client().put("/data/0", "after");
      const run = cluster.start(["restore", "base.db", "-auto-approve"], { timeoutMs: 120_000 });
      await until(`restore says ${moment}`, () => moment.test(run.printed()), 60_000);
      run.signal("SIGKILL");
      await run.end;
      expect((await cluster.try("apply", "-auto-approve")).stderr).toContain("is not complete");
      await cluster.run("restore", "base.db", "-auto-approve");
      await expectRestored();
    },
    180_000,
  );
});
