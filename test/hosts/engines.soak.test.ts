/** Real etcd and HAProxy on hosts, through every kind of change, while clients write. */
import { existsSync } from "node:fs";
import { copyFile, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { fileDigest } from "../../src/artifact/given-artifact.ts";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import { ClusterOnHosts, contentsOf, type HostsSpec, runOnTestHost } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { powerOff, powerOn, type TestHost } from "./test-host.ts";

const writesPerSecond = 200;
const gapMaxMs = 1_000;

/** Versions of etcd that this machine may have, for hosts. */
const newer: readonly string[] = ["3.6.14", "3.7.1"];
const etcdAt = (version: string): string => `/opt/etcd/${version}/etcd`;

describeHosts("engines on hosts", () => {
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

  it.runIf(newer.every((version) => existsSync(etcdAt(version))))(
    "puts the etcd of an archive on masters, upgrades it, and removes it with the cluster",
    async () => {
      const archives = await mkdtemp(join(tmpdir(), "haplan-etcd-archives-"));
      const before = await Promise.all(set.hosts.slice(0, 3).map((host) => contentsOf(set, host)));
      const runningEtcd = (host: TestHost): Promise<string> =>
        cluster!.on(
          host,
          '$(readlink /proc/$(systemctl show --value -p MainPID "haplan-engines-*-agent.service")/exe) --version',
        );
      const written = async (version: string): Promise<HostsSpec> => {
        const { file, sha256 } = await releaseOf(version, archives);
        return etcd({
          controlPlane: `    etcd: { archive: { file: ${file}, sha256: ${sha256} }, version: ${version} }\n`,
        });
      };
      cluster = new ClusterOnHosts(set, await written("3.6.14"));
      await cluster.run("apply", "-auto-approve");
      expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
      for (const host of [hosts.h1, hosts.h2, hosts.h3])
        expect(await runningEtcd(host)).toContain("etcd Version: 3.6.14");
      cluster.write(await written("3.7.1"));
      await applyUnderWriter("archive");
      for (const host of [hosts.h1, hosts.h2, hosts.h3])
        expect(await runningEtcd(host)).toContain("etcd Version: 3.7.1");
      expect((await cluster.teardown()).destroy.code).toBe(0);
      expect(await Promise.all(set.hosts.slice(0, 3).map((host) => contentsOf(set, host)))).toEqual(before);
      await rm(archives, { recursive: true });
    },
    600_000,
  );

  it("replaces certificates and their authority of etcd while a client writes, without a failed write", async () => {
    cluster = new ClusterOnHosts(set, etcd());
    await cluster.run("apply", "-auto-approve");
    for (const [what, words] of [
      ["leaves", ["certs", "rotate", "-auto-approve"]],
      ["authority", ["certs", "rotate", "-ca", "-auto-approve"]],
    ] as const) {
      const writer = new PacedWriter(cluster.client(`https://${hosts.h7.ipv4}:2379`), `/${what}/`, writesPerSecond);
      try {
        await cluster.run(...words);
      } finally {
        await writer.stop();
        console.log(`${what}: ${writer.summary()}`);
      }
      expect(writer.failures).toEqual([]);
      expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
    }
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    expect(await cluster.run("status")).toContain("3 of 3 voters healthy");
  }, 400_000);

  it("writes to etcd while a master is off, and replaces the one that stays off by a spare host", async () => {
    cluster = new ClusterOnHosts(set, etcd());
    await cluster.run("apply", "-auto-approve");
    const client = cluster.client(`https://${hosts.h7.ipv4}:2379`);
    await client.put("/before", "");
    await powerOff(hosts.h2);
    const without = new PacedWriter(client, "/without/", writesPerSecond);
    const told = await cluster.try("plan", "-detailed-exitcode");
    expect(told.stderr).toContain("haplan_machine.m2 is unreachable");
    expect(told.stdout).not.toContain("create machine");
    const masters = etcd().masters.map(([name, host]) => [name, name === "m2" ? hosts.h4 : host] as const);
    cluster.write(etcd({ masters }));
    const replaced = await cluster.try("apply", "-auto-approve", "-replace=haplan_machine.m2");
    await without.stop();
    console.log(`without a master: ${without.summary()}`);
    expect([replaced.code, replaced.stderr]).toEqual([0, expect.stringContaining("haplan_machine.m2@1")]);
    // Calls that the dead host had are lost; nothing that was acknowledged is.
    expect(await missingWrites(client, without.prefix, without.acknowledged)).toEqual([]);
    expect(await cluster.run("status")).toContain("3 of 3 voters healthy");
    const later = await cluster.try("plan", "-detailed-exitcode");
    expect([later.code, later.stderr]).toEqual([0, expect.stringContaining("haplan_machine.m2@1 was replaced")]);

    // It comes back with its disk: the next apply removes what is on it.
    await powerOn(hosts.h2);
    expect(await cluster.run("apply", "-auto-approve")).toContain("destroy machine m2 (generation 1)");
    expect(await cluster.on(hosts.h2, "ls /etc/systemd/system /opt /var/lib")).not.toContain("haplan");
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
  }, 400_000);

  describe.skipIf(newer.some((version) => !existsSync(etcdAt(version))))("another version of etcd", () => {
    it("is rolled out while a client writes, one minor version at a time", async () => {
      const masters = [hosts.h1, hosts.h2, hosts.h3];
      const [older, later] = newer as [string, string];
      for (const host of masters) {
        for (const version of newer) {
          const place = `${host.directory}/root${etcdAt(version)}`;
          await mkdir(dirname(place), { recursive: true });
          await copyFile(etcdAt(version), place);
        }
      }
      const at = (version: string, binary = etcdAt(version)): HostsSpec =>
        etcd({ controlPlane: `    etcd: { binary: ${binary}, version: ${version} }\n` });
      cluster = new ClusterOnHosts(set, at(older));
      await cluster.run("apply", "-auto-approve");

      // The wrong version, and no etcd there: nothing is changed.
      cluster.write(at(later, etcdAt(older)));
      const wrong = await cluster.try("apply", "-auto-approve");
      expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining(`is not version ${later}, but ${older}`)]);

      cluster.write(at(later));
      const writer = await applyUnderWriter("upgrade");
      expect(writer.failures).toEqual([]);
      expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
      const status = await cluster.run("status");
      expect(status.match(new RegExp(` ${later.replaceAll(".", "[.]")}$`, "gm"))).toHaveLength(3);

      cluster.write(at(older));
      const back = await cluster.try("plan");
      expect([back.code, back.stderr]).toEqual([1, expect.stringContaining("etcd cannot be downgraded")]);
      cluster.write(at(later));
      expect((await cluster.teardown()).destroy.code).toBe(0);
      for (const host of masters) await rm(`${host.directory}/root/opt/etcd`, { recursive: true, force: true });
    }, 300_000);

    it("is refused from 3.4 to 3.6", async () => {
      cluster = new ClusterOnHosts(set, etcd());
      await cluster.run("apply", "-auto-approve");
      const version = newer[0]!;
      cluster.write(etcd({ controlPlane: `    etcd: { binary: ${etcdAt(version)}, version: ${version} }\n` }));
      const skipped = await cluster.try("plan");
      expect([skipped.code, skipped.stderr]).toEqual([
        1,
        expect.stringMatching(/cannot be upgraded from 3.4 to 3.6.14 in one step[\s\S]*version of a 3.5 first/),
      ]);
      cluster.write(etcd());
    }, 300_000);
  });

  describe("two masters with a balancer and two workers, none of which haplan has made", () => {
    /** As the package's own unit is configured: the environment of /etc/default/etcd. */
    const byHand = (name: string, { ipv4 }: TestHost, all: string): string => `
      cat > /etc/default/etcd <<END
ETCD_NAME=${name}
ETCD_LISTEN_CLIENT_URLS=http://${ipv4}:2379
ETCD_ADVERTISE_CLIENT_URLS=http://${ipv4}:2379
ETCD_LISTEN_PEER_URLS=http://${ipv4}:2380
ETCD_INITIAL_ADVERTISE_PEER_URLS=http://${ipv4}:2380
ETCD_INITIAL_CLUSTER=${all}
END
      systemctl enable --now --no-block etcd`;
    const proxyByHand = (servers: readonly TestHost[]): string => `
      cat > /etc/haproxy/haproxy.cfg <<END
defaults
  mode tcp
  timeout connect 1s
  timeout client 1h
  timeout server 1h
frontend etcd
  bind :2379
  default_backend etcd
backend etcd
${servers.map(({ name, ipv4 }) => `  server ${name} ${ipv4}:2379 check\n`).join("")}END
      systemctl enable haproxy; systemctl restart haproxy`;

    it("become three masters without a failed write, and are left as they were found", async () => {
      const [first, second, third, proxy] = [hosts.h1, hosts.h2, hosts.h3, hosts.h4];
      const found = [first, second, proxy];
      const all = `node1=http://${first.ipv4}:2380,node2=http://${second.ipv4}:2380`;
      cluster = new ClusterOnHosts(set, {
        name: "migrated",
        engine: "etcd",
        masters: [
          ["m1", first],
          ["m2", second],
          ["m3", third],
        ],
        workers: [
          ["w1", hosts.h5],
          ["w2", hosts.h6],
        ],
        adopt: [first, second].map(({ ipv4 }) => `http://${ipv4}:2379`),
        balancer: proxy,
        balancerType: "haproxy",
        balancerPort: 2479,
      });
      try {
        await Promise.all([
          cluster.on(first, byHand("node1", first, all)),
          cluster.on(second, byHand("node2", second, all)),
          cluster.on(proxy, proxyByHand([first, second])),
        ]);
        const before = await Promise.all(found.map((host) => contentsOf(set, host)));
        const started = (host: TestHost): Promise<string> =>
          cluster!.on(host, "systemctl show -p MainPID,ExecMainStartTimestamp etcd haproxy");
        const running = await Promise.all(found.map(started));
        const client = cluster.client(`http://${proxy.ipv4}:2379`);
        await until("the two lead", async () => (await client.put("/ready", "")) !== undefined);

        const writer = new PacedWriter(client, "/migrated/", writesPerSecond);
        try {
          console.log((await cluster.run("plan")).split("Quorum timeline")[1]);
          console.log((await cluster.run("apply", "-auto-approve")).split("\n").slice(-4).join("\n"));
          expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
        } finally {
          await writer.stop();
          console.log(`migration: ${writer.summary()}`);
        }
        expect(writer.failures).toEqual([]);
        expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
        const through = cluster.client(`http://${proxy.ipv4}:2479`);
        expect(await missingWrites(through, writer.prefix, writer.acknowledged)).toEqual([]);
        expect(await Promise.all(found.map(started))).toEqual(running);

        // Any one of the three may fail now.
        await cluster.on(first, "systemctl stop etcd");
        await until("a write without the first", async () => (await through.put("/without", "m1")) !== undefined);
        await cluster.on(first, "systemctl start etcd");
        await until("the first is back", async () => (await cluster!.status()).members.every(({ healthy }) => healthy));

        expect((await cluster.teardown()).destroy).toMatchObject({ code: 0 });
        expect(await Promise.all(found.map((host) => contentsOf(set, host)))).toEqual(before);
        expect(await cluster.on(second, "systemctl is-active etcd")).toBe("active");
      } finally {
        const undo = "systemctl disable --now etcd haproxy; rm -rf /var/lib/etcd/default";
        await Promise.all(found.map((host) => runOnTestHost(set, host, undo)));
      }
    }, 300_000);
  });
});

/** An archive as etcd's project publishes it, from what this machine has. */
async function releaseOf(version: string, directory: string): Promise<{ file: string; sha256: string }> {
  const name = `etcd-v${version}-linux-amd64`;
  await cp(dirname(etcdAt(version)), join(directory, name), { recursive: true });
  const file = join(directory, `${name}.tar.gz`);
  await execa("tar", ["-czf", file, "-C", directory, name]);
  return { file, sha256: await fileDigest(file) };
}
