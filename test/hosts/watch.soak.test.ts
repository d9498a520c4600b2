/** A master's host loses its power under a writer while `haplan watch` runs: a spare host takes its place, once. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import type { RunningProgram } from "../e2e/run-program.ts";
import { auditOf } from "../e2e/watch-audit.ts";
import { ClusterOnHosts, type HostsSpec, hostsSpecText } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { powerOff, powerOn, type TestHost } from "./test-host.ts";
import { testedEngine } from "./tested-engine.ts";

const writesPerSecond = 50;
/** An election, and the load balancer's check of a member that does not refuse but says nothing. */
const gapMaxMs = 5_000;
const afterMs = 20_000;

describeHosts("haplan watch on hosts", () => {
  let set: HostSet;
  let cluster: ClusterOnHosts;
  let writer: PacedWriter;
  let watcher: RunningProgram;

  const host = (number: number): TestHost => set.hosts[number - 1]!;
  const spec = (numbers: readonly number[]): HostsSpec => ({
    name: "watched",
    ...testedEngine,
    masters: numbers.map((number, at) => [`m${at + 1}`, host(number)] as const),
    balancer: host(5),
    balancerType: "embedded",
  });
  const specText = (numbers: readonly number[], spares: readonly number[]): string => {
    const listed = spares.map((number) => {
      const { ipv4, hostKey } = host(number);
      return `{ name: h${number}, address: ${ipv4}, ssh: { hostKey: ${hostKey} } }`;
    });
    return `${hostsSpecText(set, spec(numbers))}  repair: { restart: true, waitMs: 2000, replace: { afterMs: ${afterMs}, spares: [${listed.join(", ")}] } }\n`;
  };
  const isWhole = async (): Promise<boolean> => (await cluster.run("status")).includes("3 of 3 voters healthy");
  const leftOn = (number: number): Promise<string> =>
    cluster.on(host(number), "ls -d /opt/haplan /var/lib/haplan /etc/systemd/system/haplan-* 2>/dev/null");
  const replacements = (): number => auditOf(cluster, "repair").filter(({ repair }) => repair === "replace").length;

  beforeAll(async () => {
    await takeDown();
    set = await bringUp(5, "complete");
    cluster = new ClusterOnHosts(set, specText([1, 2, 3], [4]));
    await cluster.run("apply", "-auto-approve");
    watcher = cluster.start(["watch", "-interval=1s"], { timeoutMs: 900_000 });
    writer = new PacedWriter(cluster.client(`https://${host(5).ipv4}:2379`), "/watched/", writesPerSecond);
  }, 900_000);
  afterAll(async () => {
    await writer?.stop();
    watcher?.signal("SIGINT");
    await watcher?.end;
    await cluster?.teardown();
    await takeDown();
  }, 120_000);

  it("leaves a host alone that is back in time", async () => {
    await powerOff(host(2));
    await until("it is found dead", () => auditOf(cluster, "finding").length > 0, 60_000);
    await powerOn(host(2));
    await until("it is found alive", () => auditOf(cluster, "resolved").length > 0, 60_000);
    await until("m2 has caught up", isWhole, 60_000);
    expect(replacements()).toBe(0);
  }, 300_000);

  it("replaces a master whose host stays dead by the spare host", async () => {
    await powerOff(host(2));
    const isReplaced = (): boolean => auditOf(cluster, "repaired").some(({ repair }) => repair === "replace");
    await until("m2 is replaced", isReplaced, 240_000);
    expect(replacements()).toBe(1);
    expect(auditOf(cluster, "repaired").at(-1)).toMatchObject({ address: "haplan_raft_member.m2", spare: "h4" });
    expect(await isWhole()).toBe(true);
    const plan = await cluster.try("plan", "-detailed-exitcode");
    expect(plan.code).toBe(0);
    expect(plan.stdout + plan.stderr).toContain("haplan_machine.m2 is on the spare host h4");
  }, 300_000);

  it("removes what the host has kept once it is back, and replaces nothing when it goes again", async () => {
    await powerOn(host(2));
    await until("it is clean", () => auditOf(cluster, "repaired").some(({ repair }) => repair === "clean"), 120_000);
    expect(await leftOn(2)).toBe("");
    await powerOff(host(2));
    await sleep(2 * afterMs);
    expect(replacements()).toBe(1);
    expect(await isWhole()).toBe(true);
    await powerOn(host(2));
  }, 300_000);

  it("has nothing to do once the spec says where the master is", async () => {
    cluster.writeSpec(specText([1, 4, 3], []));
    const plan = await cluster.try("plan", "-detailed-exitcode");
    expect(plan.code).toBe(0);
    expect(plan.stdout + plan.stderr).not.toContain("spare host");
  }, 120_000);

  it("has lost no write", async () => {
    await sleep(500);
    await writer.stop();
    console.log(writer.summary());
    const client = cluster.client(`https://${host(5).ipv4}:2379`);
    expect(await missingWrites(client, writer.prefix, writer.acknowledged)).toEqual([]);
    expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
  }, 60_000);
});
