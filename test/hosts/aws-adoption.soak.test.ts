/** Two members that run on instances of others become three behind a network load balancer: the third is haplan's, on an instance that it makes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildArtifact } from "../../src/artifact/build-artifact.ts";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import { counts, emptyAccount, listAccount } from "../providers/aws/emulated-account.ts";
import { findEmulator } from "../providers/aws/emulator.ts";
import { root as packageDirectory } from "../structure/imports.ts";
import { AwsOnHosts } from "./aws-on-hosts.ts";
import { ClusterOnHosts, runOnTestHost } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bridgeAddress } from "./host-network.ts";
import type { TestHost } from "./test-host.ts";

const emulator = await findEmulator(process.env["HAPLAN_TEST_SOAK"] !== undefined);
const missing = "missing" in emulator ? emulator.missing : null;
const balancer = `http://${bridgeAddress}:2379`;

describeHosts("two agents on instances of others", whole, {
  missing,
  programs: { etcdctl: "version", haproxy: "-v" },
});

function whole(): void {
  let onHosts: AwsOnHosts;
  let cluster: ClusterOnHosts;
  let members: readonly TestHost[];

  const urlOf = ({ ipv4 }: TestHost, port: number): string => `http://${ipv4}:${port}`;

  /** As an operator runs it: the programs, and a unit of systemd. */
  const startByHand = async (host: TestHost, artifact: string): Promise<void> => {
    const { keyFile, knownHostsFile } = onHosts.set;
    const options = ["-o", "BatchMode=yes", "-o", `UserKnownHostsFile=${knownHostsFile}`, "-i", keyFile];
    const unpack = "mkdir -p /srv/agent && tar -xz -C /srv/agent --strip-components=1";
    await execa("ssh", [...options, `root@${host.ipv4}`, unpack], { inputFile: artifact });
    const flags = [
      `--name=${host.name}`,
      "--data-dir=/srv/agent-data",
      `--listen-client-urls=${urlOf(host, 2379)}`,
      `--advertise-client-urls=${urlOf(host, 2379)}`,
      `--listen-peer-urls=${urlOf(host, 2380)}`,
      `--initial-advertise-peer-urls=${urlOf(host, 2380)}`,
      `--initial-cluster=${members.map((each) => `${each.name}=${urlOf(each, 2380)}`).join(",")}`,
      `--listen-health-urls=${urlOf(host, 2381)}`,
    ];
    const unit = "--unit=agent-by-hand --property=Restart=always";
    await runOnTestHost(onHosts.set, host, `systemd-run ${unit} /srv/agent/bin/haplan-agent ${flags.join(" ")}`);
  };
  const started = (host: TestHost): Promise<string> =>
    runOnTestHost(onHosts.set, host, "systemctl show --value -p MainPID agent-by-hand");

  beforeAll(async () => {
    onHosts = await AwsOnHosts.open(emulator, 5);
    const { hosts } = onHosts.set;
    members = hosts.slice(0, 2);
    const directory = mkdtempSync(join(tmpdir(), "haplan-aws-adoption-"));
    const { path } = await buildArtifact({
      packageDirectory,
      version: "0.1.0",
      architecture: process.arch === "arm64" ? "arm64" : "x64",
      out: join(directory, "artifact.tar.gz"),
      signal: new AbortController().signal,
    });
    await Promise.all(members.map((host) => startByHand(host, path)));
    rmSync(directory, { recursive: true });
    const endpoints = members.map((host) => urlOf(host, 2379)).join(", ");
    const spec = onHosts.specText({
      masters: hosts.slice(0, 3),
      workers: hosts.slice(3),
      controlPlane: `    tls: { enabled: false }\n    adopt: { endpoints: [${endpoints}] }\n`,
    });
    cluster = new ClusterOnHosts(onHosts.set, spec);
  }, 900_000);
  afterAll(async () => {
    await cluster?.teardown();
    await onHosts?.close();
  }, 120_000);

  it("A1: become three without a failed write, and serve through the load balancer", async () => {
    const { set, aws, proxy } = onHosts;
    const client = cluster.client(urlOf(members[0]!, 2379));
    await until("the two take writes", async () => (await client.put("/before", "")) !== undefined, 60_000);
    const running = await Promise.all(members.map(started));
    // What user-data does on an instance: until then no member may start.
    await runOnTestHost(set, set.hosts[2]!, "mkdir -p /var/lib/haplan; mount --bind /var/lib/haplan /var/lib/haplan");
    const writer = new PacedWriter(client, "/adoption/", 20);
    try {
      expect(await cluster.run("apply", "-auto-approve")).toContain("Apply complete!");
    } finally {
      await writer.stop();
      console.log(`from 2 to 3: ${writer.summary()}`);
    }
    expect(writer.failures).toEqual([]);
    const through = cluster.client(balancer);
    expect(await missingWrites(through, writer.prefix, writer.acknowledged)).toEqual([]);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    expect(await Promise.all(members.map(started))).toEqual(running);
    expect(counts(await listAccount(aws))).toMatchObject({ instances: 3, balancers: 1, targetGroups: 1 });
    for (const { ipv4 } of set.hosts.slice(0, 3)) expect(proxy.seen).toContain(`${ipv4}:2379 healthy`);
    expect((await cluster.etcdctl(["put", "key", "value"], { endpoints: balancer })).stdout.trim()).toBe("OK");
    // Any one of the three may fail now.
    await runOnTestHost(set, members[0]!, "systemctl kill -s STOP agent-by-hand");
    await until("a write without the first", async () => (await through.put("/without", "m1")) !== undefined, 60_000);
    await runOnTestHost(set, members[0]!, "systemctl kill -s CONT agent-by-hand");
    await until("the first is back", async () => (await cluster.status()).members.every(({ healthy }) => healthy));
  }, 600_000);

  it("A1: lets its masters and members that it has not made reach each other", async () => {
    const { groups } = await listAccount(onHosts.aws);
    const masters = groups.find(({ GroupName }) => GroupName === "haplan-cloud-masters");
    const ranges = (port: number): readonly (string | undefined)[] =>
      (masters?.IpPermissions ?? [])
        .filter(({ FromPort }) => FromPort === port)
        .flatMap(({ IpRanges = [] }) => IpRanges.map(({ CidrIp }) => CidrIp));
    for (const { ipv4 } of members) {
      expect(ranges(2380)).toContain(`${ipv4}/32`);
      expect(ranges(2379)).toContain(`${ipv4}/32`);
    }
  });

  it("A1: are two again with destroy, which leaves nothing of haplan's", async () => {
    await cluster.run("destroy", "-auto-approve");
    expect(counts(await listAccount(onHosts.aws))).toEqual(emptyAccount);
    for (const host of members) {
      const { header } = await cluster.client(urlOf(host, 2379)).put("/after", "");
      expect(header).toBeDefined();
    }
  }, 300_000);
}
