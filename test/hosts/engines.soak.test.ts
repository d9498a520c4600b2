/** Real etcd and HAProxy on hosts, through every kind of change, while clients write. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import { ClusterOnHosts, contentsOf, type HostsSpec } from "./cluster-on-hosts.ts";
import { bringUp, type HostSet, missingHostSupport, takeDown } from "./host-set.ts";
import type { TestHost } from "./test-host.ts";

const missing = missingHostSupport();
const reason = missing === null ? "" : ` (skipped: ${missing})`;
const writesPerSecond = 200;
const gapMaxMs = 1_000;

describe.skipIf(missing !== null)(`engines on hosts${reason}`, () => {
  let set: HostSet;
  let hosts: Record<`h${1 | 2 | 3 | 4 | 5 | 6 | 7}`, TestHost>;
  let cluster: ClusterOnHosts | undefined;

  beforeAll(async () => {
    set = await bringUp(7, "complete");
    hosts = Object.fromEntries(set.hosts.map((host) => [host.name, host])) as typeof hosts;
  }, 900_000);
  afterEach(async () => {
    await cluster?.teardown();
    cluster = undefined;
  }, 120_000);
  afterAll(async () => {
    if (process.env["HAPLAN_TEST_KEEP_HOSTS"] === undefined) await takeDown();
  }, 60_000);

  const etcd = (more: Partial<HostsSpec> = {}): HostsSpec => ({
    name: "engines",
    engine: "etcd",
    masters: [
      ["m1", hosts.h1],
      ["m2", hosts.h2],
      ["m3", hosts.h3],
    ],
    balancer: hosts.h7,
    balancerType: "haproxy",
    policy: "{ allowEvenSteps: true }",
    ...more,
  });

  /** Applies while a client writes through the load balancer. */
  async function applyUnderWriter(what: string, ...flags: string[]): Promise<PacedWriter> {
    const client = cluster!.client(`https://${hosts.h7.ipv4}:2379`);
    const writer = new PacedWriter(client, `/${what.replaceAll(" ", "-")}/`, writesPerSecond);
    try {
      const output = await cluster!.run("apply", "-auto-approve", ...flags);
      console.log(output.trim().split("\n").slice(-2).join("\n"));
    } finally {
      await writer.stop();
      console.log(`${what}: ${writer.summary()}`);
    }
    expect(await missingWrites(client, writer.prefix, writer.acknowledged)).toEqual([]);
    expect((await cluster!.try("plan", "-detailed-exitcode")).code).toBe(0);
    return writer;
  }

  it("makes, changes and removes a cluster of etcd behind HAProxy", async () => {
    const before = await Promise.all(set.hosts.map((host) => contentsOf(set, host)));
    cluster = new ClusterOnHosts(set, etcd());
    await cluster.run("apply", "-auto-approve");
    const made = await contentsOf(set, hosts.h1);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    expect(await contentsOf(set, hosts.h1)).toBe(made);

    const slower = "    heartbeatIntervalMs: 110\n";
    cluster.write(etcd({ controlPlane: slower }));
    const changes: [string, PacedWriter][] = [];
    changes.push(["settings", await applyUnderWriter("settings")]);

    const five = [...etcd().masters, ["m4", hosts.h4], ["m5", hosts.h5]] as const;
    cluster.write(etcd({ controlPlane: slower, masters: five }));
    changes.push(["grown", await applyUnderWriter("grown")]);

    changes.push(["replaced", await applyUnderWriter("replaced", "-replace=haplan_machine.m2")]);

    const moved = five.map(([name, host]) => [name, name === "m1" ? hosts.h6 : host] as const);
    cluster.write(etcd({ controlPlane: slower, masters: moved }));
    changes.push(["moved", await applyUnderWriter("moved")]);

    await cluster.on(
      hosts.h3,
      "systemctl kill -s KILL haplan-engines-m3-agent; systemctl stop haplan-engines-m3-agent",
    );
    const drifted = await cluster.try("plan", "-detailed-exitcode");
    expect(drifted.code).toBe(2);
    console.log(drifted.stdout);
    changes.push(["drift", await applyUnderWriter("drift")]);

    cluster.write(etcd({ controlPlane: slower, masters: moved.slice(0, 3) }));
    changes.push(["shrunk", await applyUnderWriter("shrunk")]);

    for (const [what, writer] of changes) {
      console.log(what, writer.summary(), writer.failures.slice(0, 2).map(String));
    }
    expect(changes.filter(([, writer]) => writer.longestGapMs() > gapMaxMs).map(([what]) => what)).toEqual([]);
    expect((await cluster.teardown()).destroy.code).toBe(0);
    expect(await Promise.all(set.hosts.map((host) => contentsOf(set, host)))).toEqual(before);
  }, 900_000);
});
