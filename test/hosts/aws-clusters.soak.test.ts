/**
 * A cluster of provider `aws` from nothing to etcdctl through its load balancer: moto emulates AWS, each instance that it makes is,
 * at the same address, a test host, and HAProxy does what the network load balancer would do.
 */
import { execFileSync } from "node:child_process";
import { TerminateInstancesCommand } from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, expect, it } from "vitest";
import { prefixEnd } from "../../src/etcd-client/etcd-client.ts";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { until } from "../e2e/cluster-fixture.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import { counts, emptyAccount, listAccount, tagOf } from "../providers/aws/emulated-account.ts";
import { findEmulator } from "../providers/aws/emulator.ts";
import { AwsOnHosts } from "./aws-on-hosts.ts";
import { ClusterOnHosts, runOnTestHost } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bridgeAddress } from "./host-network.ts";

const emulator = await findEmulator(process.env["HAPLAN_TEST_SOAK"] !== undefined);
const missing = "missing" in emulator ? emulator.missing : null;
const balancer = `https://${bridgeAddress}:2379`;

describeHosts("aws on hosts", whole, { missing, programs: { etcdctl: "version", haproxy: "-v" } });

function whole(): void {
  let onHosts: AwsOnHosts;
  let cluster: ClusterOnHosts;

  /** The hosts of the masters come first, those of the two workers last. */
  const specOf = (members: number): string =>
    onHosts.specText({ masters: onHosts.set.hosts.slice(0, members), workers: onHosts.set.hosts.slice(5) });
  const targetStates = (place: number): readonly string[] => {
    const target = `${onHosts.set.hosts[place]!.ipv4}:2379 `;
    return onHosts.proxy.seen.filter((line) => line.startsWith(target)).map((line) => line.slice(target.length));
  };

  beforeAll(async () => {
    onHosts = await AwsOnHosts.open(emulator, 7);
    cluster = new ClusterOnHosts(onHosts.set, specOf(3));
  }, 900_000);
  afterAll(async () => {
    await cluster?.teardown();
    await onHosts?.close();
  }, 120_000);

  const applyUnderWriter = async (what: string): Promise<string> => {
    const client = cluster.client(balancer);
    const writer = new PacedWriter(client, `/${what.replaceAll(" ", "-")}/`, 20);
    let applied: string;
    try {
      applied = await cluster.run("apply", "-auto-approve");
    } finally {
      await writer.stop();
      console.log(`${what}: ${writer.summary()}`);
    }
    expect(writer.failures).toEqual([]);
    expect(await missingWrites(client, writer.prefix, writer.acknowledged)).toEqual([]);
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    return applied;
  };

  /** `haplan status` cannot tell here: this machine cannot resolve the load balancer's name. */
  const untilWorkersReport = (): Promise<true> =>
    until(
      "the workers report through the load balancer",
      async () => {
        const prefix = "/haplan/workers/";
        const { kvs } = await cluster.client(balancer).range(prefix, { rangeEnd: prefixEnd(prefix) });
        return kvs.length === 2;
      },
      60_000,
    );

  /** Its instance is terminated, and its successor at the same address has a root volume of its own: only the data is there. */
  const loseInstance = async (place: number): Promise<void> => {
    const { set, aws } = onHosts;
    const host = set.hosts[place]!;
    const name = `m${place + 1}`;
    const members = async (): Promise<readonly string[]> =>
      (await cluster.status()).members.map((member) => `${member.name} ${member.id}`).toSorted();
    const before = await members();
    const { instances } = await listAccount(aws);
    const id = instances.find(({ Tags }) => tagOf(Tags, "haplan:machine") === name)?.InstanceId ?? "";
    await aws.ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    await runOnTestHost(
      set,
      host,
      `systemctl stop "haplan-*"; rm -rf /opt/haplan /etc/systemd/system/haplan-* /etc/systemd/system/*.wants/haplan-*;
       systemctl daemon-reload; userdel haplan; useradd --system another`,
    );
    expect(await cluster.run("plan")).toMatch(/instance_state += "running" -> "terminated"/);
    expect(await applyUnderWriter("lost instance")).toContain("0 added");
    expect(await members()).toEqual(before);
    expect((await runOnTestHost(set, host, "stat -c %U /var/lib/haplan/*/machines/*/data")).trim()).toBe("haplan");
    expect(targetStates(place)).toEqual(["initial", "healthy", "unhealthy", "healthy"]);
  };

  it("runs members on its instances once their volumes are there, and workers behind its load balancer", async () => {
    const { set, aws } = onHosts;
    // What user-data does on an instance: until then no member may start.
    const mounts = set.hosts.map((host) =>
      runOnTestHost(set, host, "sleep 25; mkdir -p /var/lib/haplan; mount --bind /var/lib/haplan /var/lib/haplan"),
    );
    const applied = await cluster.run("apply", "-auto-approve");
    await Promise.all(mounts);
    expect(applied).toContain("Apply complete!");
    // Which of the two lasts ten seconds depends on the machine.
    expect(applied).toMatch(/Still going.*, (waiting for ssh to|installing haplan on) m1/);
    expect(counts(await listAccount(aws))).toMatchObject({ instances: 5, balancers: 1 });
    for (const place of [0, 1, 2]) expect(targetStates(place)).toEqual(["initial", "healthy"]);
    expect((await cluster.etcdctl(["put", "key", "value"], { endpoints: balancer })).stdout.trim()).toBe("OK");
    const read = ["get", "key", "--print-value-only"];
    expect((await cluster.etcdctl(read, { endpoints: balancer })).stdout.trim()).toBe("value");
    await untilWorkersReport();
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    const atHealth = `https://${set.hosts[0]!.ipv4}:2381`;
    expect(execFileSync("curl", ["-sk", `${atHealth}/readyz`], { encoding: "utf8" })).toBe("ok\n");
    expect(execFileSync("curl", ["-sk", `${atHealth}/metrics`], { encoding: "utf8" })).toBe("404 page not found\n");
  }, 600_000);

  it("grows from 3 to 5 under a writer behind its load balancer", async () => {
    cluster.writeSpec(specOf(5));
    await applyUnderWriter("from 3 to 5");
    expect(counts(await listAccount(onHosts.aws))).toMatchObject({ instances: 7, balancers: 1 });
    for (const place of [3, 4]) expect(targetStates(place)).toEqual(["initial", "healthy"]);
  }, 600_000);

  it("gets a lost instance back under a writer, as the same member", () => loseInstance(1), 600_000);

  it("shrinks from 5 to 3 under a writer, whose targets are drained first", async () => {
    cluster.writeSpec(specOf(3));
    await applyUnderWriter("from 5 to 3");
    for (const place of [3, 4]) expect(targetStates(place).slice(0, 3)).toEqual(["initial", "healthy", "draining"]);
    await untilWorkersReport();
  }, 600_000);

  it("leaves nothing", async () => {
    await cluster.run("destroy", "-auto-approve");
    expect(counts(await listAccount(onHosts.aws))).toEqual(emptyAccount);
  }, 300_000);
}
