/** Backups that members take by themselves, on hosts: below the sandbox of their units, into a directory that outlives them. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ClusterOnHosts, type HostsSpec } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";

const directory = "/var/backups/haplan-test";

describeHosts("scheduled backups on hosts", () => {
  let set: HostSet;
  let cluster: ClusterOnHosts;

  beforeAll(async () => {
    set = await bringUp(4, "complete");
  }, 900_000);
  afterAll(async () => {
    await cluster?.teardown();
    if (process.env["HAPLAN_TEST_KEEP_HOSTS"] === undefined) await takeDown();
  }, 180_000);

  const specWith = (backup: string): HostsSpec => ({
    name: "kept",
    engine: "agent",
    masters: [1, 2, 3].map((number) => [`m${number}`, set.hosts[number - 1]!] as const),
    balancer: set.hosts[3]!,
    balancerType: "embedded",
    backup,
  });

  it("begin with the schedule, go on after a restart of all agents, and outlive destroy", {
    timeout: 600_000,
  }, async () => {
    cluster = new ClusterOnHosts(set, specWith(""));
    await cluster.run("apply", "-auto-approve");
    cluster.write(specWith(`schedule: { everyMinutes: 1, directory: ${directory} }, retention: { count: 2 }`));

    // A directory of someone else stays theirs, and no member is stopped.
    const first = set.hosts[0]!;
    await cluster.on(first, `install -d -o root ${directory}`);
    const refused = await cluster.try("apply", "-auto-approve");
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining("belongs to root, and members could not write to it"),
    ]);
    expect(await cluster.run("status")).toContain("3 of 3 voters healthy");
    await cluster.on(first, `rmdir ${directory}`);

    await cluster.run("apply", "-auto-approve");
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    const taken = async (): Promise<number> => {
      const lists = await Promise.all(set.hosts.slice(0, 3).map((host) => cluster.on(host, `ls ${directory}`)));
      return lists.join("\n").match(/\.db$/gm)?.length ?? 0;
    };
    for (let waited = 0; (await taken()) < 2 && waited < 180; waited += 5) await sleep(5_000);
    expect(await taken()).toBeGreaterThanOrEqual(2);
    const script = `stat -c '%U %a' ${directory}; cd ${directory} && for f in *.sha256; do sha256sum -c $f; done 2>/dev/null`;
    const found = await Promise.all(set.hosts.slice(0, 3).map((host) => cluster.on(host, script)));
    expect(found.map((text) => text.split("\n")[0])).toEqual(Array(3).fill("haplan 700"));
    expect(found.join("\n").match(/\.db: OK$/gm)?.length).toBeGreaterThanOrEqual(2);

    expect((await cluster.teardown()).destroy.code).toBe(0);
    expect(await taken()).toBeGreaterThanOrEqual(2);
  });
});
