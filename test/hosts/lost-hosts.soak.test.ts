/** A master's host loses its power under a writer: it comes back by itself, or a spare host takes its place. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import { ClusterOnHosts, type HostsSpec } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { powerOff, powerOn, type TestHost } from "./test-host.ts";
import { testedEngine } from "./tested-engine.ts";

const writesPerSecond = 50;
/** An election, and the load balancer's check of a member that does not refuse but says nothing. */
const gapMaxMs = 5_000;

describeHosts("lost hosts", () => {
  let set: HostSet;
  let cluster: ClusterOnHosts;
  let writer: PacedWriter;

  const host = (number: number): TestHost => set.hosts[number - 1]!;
  const spec = (numbers: readonly number[]): HostsSpec => ({
    name: "lost",
    ...testedEngine,
    masters: numbers.map((number, at) => [`m${at + 1}`, host(number)] as const),
    balancer: host(5),
    balancerType: "embedded",
  });
  const isWhole = async (): Promise<boolean> => (await cluster.run("status")).includes("3 of 3 voters healthy");

  beforeAll(async () => {
    await takeDown();
    set = await bringUp(5, "complete");
    cluster = new ClusterOnHosts(set, spec([1, 2, 3]));
    await cluster.run("apply", "-auto-approve");
    writer = new PacedWriter(cluster.client(`https://${host(5).ipv4}:2379`), "/lost/", writesPerSecond);
  }, 900_000);
  afterAll(async () => {
    await writer?.stop();
    await cluster?.teardown();
    await takeDown();
  }, 120_000);

  /** As a firewall that lets the load balancer in alone: neither haplan nor the host itself. */
  const block = (): string =>
    `nft add table inet cut; nft add chain inet cut in '{ type filter hook input priority 0; }'; nft add rule inet cut in ip saddr != ${host(5).ipv4} tcp dport 2379 drop`;
  const agents = (): Promise<readonly string[]> =>
    Promise.all(
      [1, 2, 3].map((at) => cluster.on(host(at), "systemctl show --value -p MainPID 'haplan-lost-*-agent.service'")),
    );

  it("whose members haplan alone cannot call keep their processes, and nothing is planned without an answer", async () => {
    const before = await agents();
    for (const at of [1, 2, 3]) await cluster.on(host(at), block());
    const none = await cluster.try("apply", "-auto-approve");
    expect(none).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("haplan cannot call m1, m2, m3, and no other"),
    });
    // Another change of the spec does not hide what runs.
    cluster.write({ ...spec([1, 2, 3]), controlPlane: "    clientPort: 12379\n" });
    expect(await cluster.try("apply", "-auto-approve")).toMatchObject({ code: 1, stderr: none.stderr });
    cluster.write(spec([1, 2, 3]));
    expect((await cluster.try("status")).stdout).toContain("Quorum: unknown. haplan cannot call m1, m2, m3");
    await cluster.on(host(3), "nft delete table inet cut");
    const one = await cluster.try("plan", "-detailed-exitcode");
    expect(one.code).toBe(2);
    expect(one.stdout + one.stderr).toContain("haplan cannot call the member on haplan_machine.m1");
    await cluster.run("apply", "-auto-approve");
    for (const at of [1, 2]) await cluster.on(host(at), "nft delete table inet cut");
    expect(await agents()).toEqual(before);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
  }, 300_000);

  it("that lose their power are unreachable in a plan that does nothing to them, and catch up once they are back", async () => {
    await powerOff(host(2));
    const plan = await cluster.try("plan", "-detailed-exitcode");
    expect(plan.stdout + plan.stderr).toContain("haplan_machine.m2 is unreachable");
    expect(plan.stdout).toContain("nothing to do");
    await powerOn(host(2));
    await until("m2 has caught up", isWhole, 60_000);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
  }, 300_000);

  it("that stay dead are replaced by a spare host, and what they kept is removed once they answer", async () => {
    await powerOff(host(2));
    cluster.write(spec([1, 4, 3]));
    expect((await cluster.try("apply", "-auto-approve")).code).toBe(1);
    await cluster.run("apply", "-auto-approve", "-replace=haplan_machine.m2");
    expect(await isWhole()).toBe(true);
    await powerOn(host(2));
    await cluster.run("apply", "-auto-approve");
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    expect(
      await cluster.on(host(2), "ls -d /opt/haplan /var/lib/haplan /etc/systemd/system/haplan-* 2>/dev/null"),
    ).toBe("");
  }, 300_000);

  it("have lost no write", async () => {
    await sleep(500);
    await writer.stop();
    console.log(writer.summary());
    const client = cluster.client(`https://${host(5).ipv4}:2379`);
    expect(await missingWrites(client, writer.prefix, writer.acknowledged)).toEqual([]);
    expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
  }, 60_000);
});
