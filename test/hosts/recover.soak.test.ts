/** A quorum that is lost on hosts: recovery over ssh from the leader, and the lost members that return. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { prefixEnd } from "../../src/etcd-client/etcd-client.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { ClusterOnHosts } from "./cluster-on-hosts.ts";
import { bringUp, type HostSet, missingHostSupport, takeDown } from "./host-set.ts";
import type { TestHost } from "./test-host.ts";
import { testedEngine } from "./tested-engine.ts";

const missing = missingHostSupport();
const reason = missing === null ? "" : ` (skipped: ${missing})`;

describe.skipIf(missing !== null)(`recovery on hosts${reason}`, () => {
  let set: HostSet;
  let hosts: ReadonlyMap<string, TestHost>;
  let cluster: ClusterOnHosts;
  let endpoint: string;
  const acknowledged: string[] = [];

  beforeAll(async () => {
    set = await bringUp(4, "complete");
    const masters = set.hosts.slice(0, 3).map((host, at) => [`m${at + 1}`, host] as const);
    hosts = new Map(masters);
    const balancer = set.hosts[3]!;
    const shape = { name: "recovered", ...testedEngine, masters, balancer, balancerType: "embedded" } as const;
    cluster = new ClusterOnHosts(set, shape);
    endpoint = `https://${balancer.ipv4}:2379`;
    await cluster.run("apply", "-auto-approve");
  }, 900_000);
  afterAll(async () => {
    await cluster?.teardown();
    if (process.env["HAPLAN_TEST_KEEP_HOSTS"] === undefined) await takeDown();
  }, 120_000);

  const unit = (name: string): string => `haplan-recovered-${name}-agent.service`;

  let lost: readonly (readonly [string, TestHost])[] = [];
  // Their disks fail: the former ones come back later.
  const dirOf = (name: string): string => `/var/lib/haplan/recovered/machines/${name}`;

  it("continues with what was acknowledged", async () => {
    const client = cluster.client(endpoint);
    const status = JSON.parse(await cluster.run("status", "-json")) as { members: { name: string; role: string }[] };
    const survivor = status.members.find(({ role }) => role === "leader")!.name;
    lost = [...hosts].filter(([name]) => name !== survivor);
    for (let i = 0; i < 100; i++) {
      await client.put(`/written/${i}`, "x");
      acknowledged.push(`/written/${i}`);
    }
    for (const [name, host] of lost)
      await cluster.on(
        host,
        `systemctl kill -s KILL ${unit(name)}; sleep 1; mv ${dirOf(name)}/data /root/lost; mkdir ${dirOf(name)}/data; chown --reference=/root/lost ${dirOf(name)}/data; systemctl stop ${unit(name)}; true`,
      );
    await until(
      "no member leads",
      async () => !JSON.parse((await cluster.try("status", "-json")).stdout).has_leader,
      60_000,
    );
    const shown = await cluster.run("recover", "-auto-approve");
    expect(shown).toContain(`from the data of ${survivor}`);
    for (const [name] of lost) expect(shown).toMatch(new RegExp(`${name} +lost: it has no data`));
    const keys = async (): Promise<ReadonlySet<string>> => {
      const { kvs } = await client.range("/written/", { rangeEnd: prefixEnd("/written/") });
      return new Set(kvs.map((kv) => Buffer.from(decodeKeyValue(kv).key).toString()));
    };
    const found = await until("the data is read", keys);
    expect(acknowledged.filter((key) => !found.has(key))).toEqual([]);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
  }, 400_000);

  // Former members that are etcd learn nothing of the new cluster.
  it.skipIf(testedEngine.engine === "etcd")(
    "refuses a former majority that returns with its disks",
    async () => {
      const client = cluster.client(endpoint);
      const before = await client.cluster.memberList();
      // Both at once: a majority of the former cluster, in the place of the rebuilt members.
      for (const [name, host] of lost)
        await cluster.on(
          host,
          `systemctl stop ${unit(name)}; mv ${dirOf(name)}/data /root/rebuilt; mv /root/lost ${dirOf(name)}/data; systemctl start ${unit(name)}; true`,
        );
      for (const [name, host] of lost) {
        const says = (): Promise<string> =>
          cluster.on(host, `journalctl -u ${unit(name)} --no-pager | grep -c "was replaced by" || true`);
        await until(`${name} says why`, async () => Number(await says()) > 0, 60_000);
      }
      for (const [name, host] of lost)
        await cluster.on(
          host,
          `systemctl stop ${unit(name)}; rm -rf ${dirOf(name)}/data; mv /root/rebuilt ${dirOf(name)}/data; systemctl reset-failed ${unit(name)}; systemctl start ${unit(name)}; true`,
        );
      await until("a write succeeds", () => client.put("/after", "x"), 60_000);
      expect((await client.cluster.memberList()).clusterId).toBe(before.clusterId);
      expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    },
    400_000,
  );
});
