/** Real etcd and HAProxy on hosts, through every kind of change, while clients write. */
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { fileDigest } from "../../src/artifact/given-artifact.ts";
import { type EtcdVersion, findEtcdProgram } from "../compatibility/etcd-programs.ts";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import { itByHand } from "./by-hand.ts";
import { ClusterOnHosts, contentsOf, type HostsSpec, runOnTestHost } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { powerOff, powerOn, type TestHost } from "./test-host.ts";

const writesPerSecond = 200;
const gapMaxMs = 1_000;

/** Where each host has an etcd of these versions, apart from the distribution's. */
const newer: readonly EtcdVersion[] = ["3.6", "3.7"];
const etcdAt = (minor: EtcdVersion): string => `/opt/etcd-${minor}/etcd`;

type BuiltEtcd = { readonly path: string; readonly version: string };

describeHosts("engines on hosts", () => {
  let set: HostSet;
  let hosts: Record<`h${1 | 2 | 3 | 4 | 5 | 6 | 7}`, TestHost>;
  let cluster: ClusterOnHosts | undefined;
  let built: Partial<Record<EtcdVersion, BuiltEtcd>>;

  beforeAll(async () => {
    built = await builtEtcds();
    set = await bringUp(7, "complete");
    hosts = Object.fromEntries(set.hosts.map((host) => [host.name, host])) as typeof hosts;
    await Promise.all(set.hosts.map((host) => placeEtcds(host, built)));
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

  /** `controlPlane.etcd`: gRPC alone at the port for clients, so that an etcd that stops cuts no call. */
  const etcdOf = (minor: EtcdVersion, skip: (reason: string) => never): string => {
    const { version } = built[minor] ?? skip(`etcd ${minor} is not built (npm run build:clients)`);
    return `    etcd: { binary: ${etcdAt(minor)}, version: ${version}, httpPort: 2383 }\n`;
  };

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

  itByHand("makes, changes and removes a cluster of etcd behind HAProxy", { timeout: 900_000 }, async ({ skip }) => {
    const program = etcdOf("3.6", skip);
    const before = await Promise.all(set.hosts.map((host) => contentsOf(set, host)));
    cluster = new ClusterOnHosts(set, etcd({ controlPlane: program }));
    await cluster.run("apply", "-auto-approve");
    const made = await contentsOf(set, hosts.h1);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    expect(await contentsOf(set, hosts.h1)).toBe(made);

    const slower = `${program}    heartbeatIntervalMs: 110\n`;
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
    expect(changes.flatMap(([what, writer]) => lostBy(writer).map((each) => `${what}: ${each}`))).toEqual([]);
    expect((await cluster.teardown()).destroy.code).toBe(0);
    expect(await Promise.all(set.hosts.map((host) => contentsOf(set, host)))).toEqual(before);
  });

  itByHand(
    "puts the etcd of an archive on masters, upgrades it, and removes it",
    { timeout: 600_000 },
    async ({ skip }) => {
      const archives = await mkdtemp(join(tmpdir(), "haplan-etcd-archives-"));
      const before = await Promise.all(set.hosts.slice(0, 3).map((host) => contentsOf(set, host)));
      const runningEtcd = (host: TestHost): Promise<string> =>
        cluster!.on(
          host,
          '$(readlink /proc/$(systemctl show --value -p MainPID "haplan-engines-*-agent.service")/exe) --version',
        );
      const releases = await Promise.all(
        newer.map((minor) => releaseOf(built[minor] ?? skip(`etcd ${minor} is not built`), archives)),
      );
      const written = ({ file, sha256, version }: Release): HostsSpec => {
        const archive = `archive: { file: ${file}, sha256: ${sha256} }`;
        return etcd({ controlPlane: `    etcd: { ${archive}, version: ${version}, httpPort: 2383 }\n` });
      };
      const [older, later] = releases as [Release, Release];
      cluster = new ClusterOnHosts(set, written(older));
      await cluster.run("apply", "-auto-approve");
      expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
      for (const host of [hosts.h1, hosts.h2, hosts.h3])
        expect(await runningEtcd(host)).toContain(`etcd Version: ${older.version}`);
      cluster.write(written(later));
      const writer = await applyUnderWriter("archive");
      expect(lostBy(writer)).toEqual([]);
      for (const host of [hosts.h1, hosts.h2, hosts.h3])
        expect(await runningEtcd(host)).toContain(`etcd Version: ${later.version}`);
      expect((await cluster.teardown()).destroy.code).toBe(0);
      expect(await Promise.all(set.hosts.slice(0, 3).map((host) => contentsOf(set, host)))).toEqual(before);
      await rm(archives, { recursive: true });
    },
  );

  it("replaces certificates and their authority without a failed write", { timeout: 400_000 }, async ({ skip }) => {
    cluster = new ClusterOnHosts(set, etcd({ controlPlane: etcdOf("3.6", skip) }));
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
      expect(lostBy(writer)).toEqual([]);
      expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
    }
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    expect(await cluster.run("status")).toContain("3 of 3 voters healthy");
  });

  itByHand(
    "writes to etcd while a master is off, and replaces the one that stays off by a spare host",
    { timeout: 400_000 },
    async () => {
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
    },
  );

  itByHand(
    "rolls out another version of etcd while a client writes, one minor version at a time",
    { timeout: 300_000 },
    async ({ skip }) => {
      const [older, later] = newer.map((minor) => etcdOf(minor, skip)) as [string, string];
      cluster = new ClusterOnHosts(set, etcd({ controlPlane: older }));
      await cluster.run("apply", "-auto-approve");

      // The wrong version, and no etcd there: nothing is changed.
      cluster.write(etcd({ controlPlane: later.replace(etcdAt("3.7"), etcdAt("3.6")) }));
      const wrong = await cluster.try("apply", "-auto-approve");
      const [was, wanted] = newer.map((minor) => built[minor]!.version);
      expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining(`is not version ${wanted}, but ${was}`)]);

      cluster.write(etcd({ controlPlane: later }));
      const writer = await applyUnderWriter("upgrade");
      expect(lostBy(writer)).toEqual([]);
      expect(writer.longestGapMs()).toBeLessThan(gapMaxMs);
      const status = await cluster.run("status");
      expect(status.match(new RegExp(` ${wanted!.replaceAll(".", "[.]")}$`, "gm"))).toHaveLength(3);

      cluster.write(etcd({ controlPlane: older }));
      const back = await cluster.try("plan");
      expect([back.code, back.stderr]).toEqual([1, expect.stringContaining("etcd cannot be downgraded")]);
      cluster.write(etcd({ controlPlane: later }));
    },
  );

  itByHand("refuses to go from etcd 3.4 to 3.6", { timeout: 300_000 }, async () => {
    cluster = new ClusterOnHosts(set, etcd());
    await cluster.run("apply", "-auto-approve");
    cluster.write(etcd({ controlPlane: "    etcd: { binary: /opt/etcd-3.6/etcd, version: 3.6.14 }\n" }));
    const skipped = await cluster.try("plan");
    expect([skipped.code, skipped.stderr]).toEqual([
      1,
      expect.stringMatching(/cannot be upgraded from 3.4 to 3.6.14 in one step[\s\S]*version of a 3.5 first/),
    ]);
    cluster.write(etcd());
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
        const client = cluster.client(`http://${proxy.ipv4}:2379`);
        // Both have their WAL on disk from here on.
        await until("the two lead", async () => (await client.put("/ready", "")) !== undefined);
        const before = await Promise.all(found.map((host) => contentsOf(set, host)));
        const started = (host: TestHost): Promise<string> =>
          cluster!.on(host, "systemctl show -p MainPID,ExecMainStartTimestamp etcd haproxy");
        const running = await Promise.all(found.map(started));

        const writer = new PacedWriter(client, "/migrated/", writesPerSecond);
        try {
          console.log((await cluster.run("plan")).split("Quorum timeline")[1]);
          console.log((await cluster.run("apply", "-auto-approve")).split("\n").slice(-4).join("\n"));
          expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
        } finally {
          await writer.stop();
          console.log(`migration: ${writer.summary()}`);
        }
        expect(lostBy(writer)).toEqual([]);
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

/** An etcd that leads drops what it is given while it hands over its leadership: no load balancer can prevent that. */
function lostBy({ failures }: PacedWriter): readonly string[] {
  return failures.map(String).filter((failure) => !failure.includes("raft proposal dropped"));
}

async function builtEtcds(): Promise<Partial<Record<EtcdVersion, BuiltEtcd>>> {
  const found = await Promise.all(
    newer.map(async (minor): Promise<readonly [EtcdVersion, BuiltEtcd][]> => {
      const program = await findEtcdProgram(minor, "etcd");
      if ("missing" in program) return [];
      const { stdout } = await execa(program.path, ["--version"]);
      return [[minor, { path: program.path, version: /^etcd Version: (\S+)/.exec(stdout)![1]! }]];
    }),
  );
  return Object.fromEntries(found.flat());
}

async function placeEtcds({ directory }: TestHost, built: Partial<Record<EtcdVersion, BuiltEtcd>>): Promise<void> {
  for (const minor of newer) {
    const place = `${directory}/root${etcdAt(minor)}`;
    await mkdir(dirname(place), { recursive: true });
    if (built[minor] !== undefined) await copyFile(built[minor].path, place);
  }
}

type Release = { readonly file: string; readonly sha256: string; readonly version: string };

/** An archive as etcd's project publishes it. */
async function releaseOf({ path, version }: BuiltEtcd, directory: string): Promise<Release> {
  const name = `etcd-v${version}-linux-amd64`;
  await mkdir(join(directory, name));
  await copyFile(path, join(directory, name, "etcd"));
  const file = join(directory, `${name}.tar.gz`);
  await execa("tar", ["-czf", file, "-C", directory, name]);
  return { file, sha256: await fileDigest(file), version };
}
