/** Two load balancers with a virtual address on real hosts: it moves when its holder cannot serve, and changes lose no write. */
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import { ClusterOnHosts, contentsOf, type HostsSpec, runOnTestHost } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bridgeName, network } from "./host-network.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { cutOff, rejoin, type TestHost } from "./test-host.ts";
import { testedEngine } from "./tested-engine.ts";

const writesPerSecond = 200;
/** Acceptance 2 of issue 12. */
const gapMaxMs = 5_000;
const vip = `10.97.${network}.100`;
const endpoint = `https://${vip}:2379`;

describeHosts("a virtual address", () => {
  let set: HostSet;
  let cluster: ClusterOnHosts;
  let before: readonly string[];

  const host = (number: number): TestHost => set.hosts[number - 1]!;
  /** The last two hosts have the load balancers; with five masters also one of those each. */
  const spec = (masters: number, more: Partial<HostsSpec["virtual"]> = {}): HostsSpec => ({
    name: "vip",
    ...testedEngine,
    masters: Array.from({ length: masters }, (_, at) => [`m${at + 1}`, host(at + 1)] as const),
    balancer: host(4),
    balancerType: "haproxy",
    virtual: {
      address: vip,
      hosts: [
        ["lb1", host(4)],
        ["lb2", host(5)],
      ],
      ...more,
    },
  });
  const hasAddress = async (which: TestHost): Promise<boolean> =>
    (await cluster.on(which, `ip -o addr show to ${vip}`)).includes(vip);
  const holder = async (): Promise<string> => {
    const [first, second] = await Promise.all([hasAddress(host(4)), hasAddress(host(5))]);
    return first && second ? "both" : first ? "lb1" : second ? "lb2" : "none";
  };

  beforeAll(async () => {
    await takeDown();
    set = await bringUp(5, "complete");
    before = await Promise.all(set.hosts.map((each) => contentsOf(set, each)));
    cluster = new ClusterOnHosts(set, spec(3));
    await cluster.run("apply", "-auto-approve");
  }, 900_000);
  afterAll(async () => {
    await cluster?.teardown();
    if (process.env["HAPLAN_TEST_KEEP_HOSTS"] === undefined) await takeDown();
  }, 120_000);

  /** Writes through the virtual address while `change` happens; every acknowledged write has to be there afterwards. */
  async function underWriter(what: string, change: () => Promise<void>): Promise<PacedWriter> {
    const client = cluster.client(endpoint);
    const writer = new PacedWriter(client, `/${what.replaceAll(" ", "-")}/`, writesPerSecond);
    try {
      await until("the writer is under way", () => writer.acknowledged.length > 100);
      await change();
      await sleep(1_000);
    } finally {
      await writer.stop();
      console.log(`${what}: ${writer.summary()}`, writer.failures.slice(0, 2).map(String));
    }
    expect(await missingWrites(cluster.client(endpoint), writer.prefix, writer.acknowledged)).toEqual([]);
    return writer;
  }

  it("is held by one of the hosts, serves etcdctl, and is found as it is by the next plan", async () => {
    const { code, stderr } = await cluster.etcdctl(["put", "/through-the-vip", "1"], { endpoints: endpoint });
    expect([code, stderr]).toEqual([0, ""]);
    expect(await holder()).toBe("lb1");
    const made = await contentsOf(set, host(4));
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    expect(await contentsOf(set, host(4))).toBe(made);
    const status = await cluster.run("status");
    expect(status).toMatch(/lb1: running, pid \d+, has the virtual address/);
    expect(status).toMatch(/lb2: running, pid \d+, can take the virtual address/);
    expect(await cluster.run("output", "-raw", "endpoint")).toContain(endpoint);
  }, 120_000);

  it("is none that another machine has: plan and apply refuse it before the first step, and check tells a second holder", async () => {
    const found = async (...words: string[]): Promise<{ readonly code: number | null; readonly text: string }> => {
      const { code, stdout, stderr } = await cluster.try(...words);
      return { code, text: (stdout + stderr).replace(/\s+(│\s+)?/g, " ") };
    };
    const free = vip.replace(/\d+$/, "101");
    const another: HostsSpec = { ...spec(3), virtual: { ...spec(3).virtual!, address: free } };
    const added: HostsSpec = {
      ...spec(3),
      virtual: { address: vip, hosts: [...spec(3).virtual!.hosts, ["lb3", host(1)]] },
    };
    const refusal = (address: string): RegExp =>
      new RegExp(`Error: The virtual address ${address} is in use by a machine with the MAC address [0-9a-f:]{17}`);
    // Both of them have been free so far.
    expect(await found("check")).toMatchObject({ code: 0, text: expect.not.stringContaining("could not be checked") });
    cluster.write(another);
    expect((await found("plan")).code).toBe(0);
    cluster.write(added);
    expect((await found("plan")).code).toBe(0);
    const made = await contentsOf(set, host(4));
    try {
      for (const each of [free, vip]) await execa("ip", ["address", "add", `${each}/32`, "dev", bridgeName]);
      for (const [address, wanted] of [
        [free, another],
        [vip, added],
      ] as const) {
        cluster.write(wanted);
        for (const words of [["plan"], ["apply", "-auto-approve"]]) {
          const { code, text } = await found(...words);
          expect(text).toMatch(refusal(address));
          expect(text).toMatch(/Plan: \d+ to add/);
          expect(code).toBe(1);
        }
      }
      cluster.write(spec(3));
      const { code, text } = await found("check");
      expect(text).toMatch(refusal(vip));
      expect(text).toContain(`lb1 (${host(4).ipv4}) has it as well`);
      expect(code).toBe(1);
    } finally {
      for (const each of [free, vip])
        await execa("ip", ["address", "del", `${each}/32`, "dev", bridgeName], { reject: false });
      cluster.write(spec(3));
    }
    expect(await contentsOf(set, host(4))).toBe(made);
    expect(await holder()).toBe("lb1");
    expect((await found("check")).code).toBe(0);
    expect((await found("plan", "-detailed-exitcode")).code).toBe(0);
  }, 240_000);

  it("is held by a unit that systemd verifies and rates OK, beside the distribution's, which is as it was", async () => {
    const unit = "haplan-vip-lb1-keepalived.service";
    expect(await cluster.on(host(4), `systemd-analyze verify /etc/systemd/system/${unit} 2>&1`)).toBe("");
    expect(await cluster.on(host(4), `systemd-analyze security --no-pager ${unit} | tail -n 1`)).toMatch(/ OK /);
    expect(await cluster.on(host(4), "systemctl is-active keepalived; systemctl is-active haproxy")).not.toMatch(
      /^active/m,
    );
  }, 60_000);

  it("moves when its holder is cut off: writes resume within 5 s, and it does not move back", async () => {
    let plan: Awaited<ReturnType<ClusterOnHosts["try"]>> | undefined;
    const writer = await underWriter("holder cut off", async () => {
      await cutOff(host(4));
      await sleep(6_000);
      plan = await cluster.try("plan", "-detailed-exitcode");
      await rejoin(host(4));
      await sleep(3_000);
    });
    expect(plan!.stdout + plan!.stderr).toContain("haplan_machine.lb1 is unreachable");
    expect(plan!.stdout).toContain("No changes.");
    expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
    await until("one host has it", async () => (await holder()) === "lb2", 10_000);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
  }, 180_000);

  it("moves when the load balancer of its holder does not run, while the host is as it was", async () => {
    const writer = await underWriter("load balancer stopped", async () => {
      await cluster.on(host(5), "systemctl stop haplan-vip-lb2-load-balancer");
      await until("the other one has it", async () => (await holder()) === "lb1", 10_000);
    });
    expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(2);
    await cluster.run("apply", "-auto-approve");
    expect(await holder()).toBe("lb1");
  }, 180_000);

  it("loses no write while masters are added on the hosts of the load balancers, and all configurations are reloaded", async () => {
    const grown = await underWriter("from 3 to 5 masters", async () => {
      cluster.write(spec(5));
      console.log((await cluster.run("apply", "-auto-approve")).trim().split("\n").slice(-3).join("\n"));
    });
    const reloaded = await underWriter("keepalived and HAProxy reloaded", async () => {
      const pids = await cluster.on(host(4), "systemctl show --property=MainPID haplan-vip-lb1-*");
      cluster.write(spec(5, { more: ", interface: host0" }));
      await cluster.run("apply", "-auto-approve");
      expect(await cluster.on(host(4), "systemctl show --property=MainPID haplan-vip-lb1-*")).toBe(pids);
      for (const [name, on] of [
        ["lb1", host(4)],
        ["lb2", host(5)],
      ] as const)
        await cluster.on(on, `systemctl reload haplan-vip-${name}-load-balancer haplan-vip-${name}-keepalived`);
    });
    expect([grown.failures, reloaded.failures]).toEqual([[], []]);
    expect(await holder()).toBe("lb1");
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
  }, 300_000);

  it("is told of a configuration that keepalived rejects before the one in force is replaced", async () => {
    cluster.write(spec(5, { more: ", interface: none0" }));
    const failed = await cluster.try("apply", "-auto-approve");
    expect(failed.code).toBe(1);
    expect(failed.stdout + failed.stderr).toMatch(/keepalived rejects its new configuration[\s\S]*none0/);
    expect(await holder()).toBe("lb1");
    cluster.write(spec(5, { more: ", interface: host0" }));
    await cluster.run("apply", "-auto-approve");
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
  }, 180_000);

  it("is held by a load balancer that was replaced, one of them and both at once, also on the hosts of masters", async () => {
    const place = async (hosts: NonNullable<HostsSpec["virtual"]>["hosts"]): Promise<string> => {
      cluster.write({ ...spec(5), virtual: { address: vip, hosts, more: ", interface: host0" } });
      await cluster.run("apply", "-auto-approve");
      expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
      const held = await Promise.all(set.hosts.map(hasAddress));
      return set.hosts
        .filter((_, at) => held[at])
        .map(({ name }) => name)
        .join(" ");
    };
    const [first, last] = [
      ["lb1", host(4)],
      ["lb2", host(5)],
    ] as const;
    expect(await place([first, ["lb3", host(1)]])).toBe("h4");
    expect(["h2", "h3"]).toContain(
      await place([
        ["lb4", host(2)],
        ["lb5", host(3)],
      ]),
    );
    // The same names on other hosts.
    expect(["h1", "h5"]).toContain(
      await place([
        ["lb4", host(1)],
        ["lb5", host(5)],
      ]),
    );
    expect(["h4", "h5"]).toContain(await place([first, last]));
  }, 600_000);

  it("is held for the embedded load balancer as well", async () => {
    cluster.write({ ...spec(5), balancerType: "embedded" });
    await cluster.run("apply", "-auto-approve");
    const writer = await underWriter("holder of the embedded one cut off", async () => {
      await cutOff((await holder()) === "lb1" ? host(4) : host(5));
      await sleep(6_000);
    });
    await Promise.all([rejoin(host(4)), rejoin(host(5))]);
    expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
  }, 240_000);

  it("is gone with the cluster, and nothing is left on any host", async () => {
    await until("hosts are back", async () => (await cluster.run("status")).includes("5 of 5 voters healthy"), 60_000);
    await cluster.run("destroy", "-auto-approve");
    expect(await holder()).toBe("none");
    expect(await Promise.all(set.hosts.map((each) => contentsOf(set, each)))).toEqual(before);
    expect(await runOnTestHost(set, host(4), "ls /run | grep haplan")).toBe("");
  }, 180_000);
});
