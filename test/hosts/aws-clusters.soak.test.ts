/**
 * A cluster of provider `aws` from nothing to etcdctl: moto emulates AWS, and each instance that it makes is, at the same
 * address, a test host.
 */
import { execFileSync } from "node:child_process";
import { TerminateInstancesCommand } from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, expect, it } from "vitest";
import { missingWrites } from "../e2e/acknowledged-writes.ts";
import { PacedWriter } from "../e2e/paced-writer.ts";
import { counts, emptyAccount, listAccount, prepareAccount, tagOf } from "../providers/aws/emulated-account.ts";
import { exampleText } from "../providers/aws/emulated-cluster.ts";
import {
  type AwsEmulator,
  emulatedEnvironment,
  findEmulator,
  startEmulator,
  withEnvironment,
} from "../providers/aws/emulator.ts";
import { ClusterOnHosts, runOnTestHost } from "./cluster-on-hosts.ts";
import { describeHosts } from "./describe-hosts.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";

const emulator = await findEmulator(process.env["HAPLAN_TEST_SOAK"] !== undefined);
const missing = "missing" in emulator ? emulator.missing : null;

/** The example without workers: nothing forwards what reaches the emulated load balancer. */
function onHosts({ hosts, keyFile }: HostSet, endpoint: string, members: number): string {
  const masters = hosts
    .slice(0, members)
    .map(({ ipv4, hostKey }, at) => `      - { name: m${at + 1}, address: ${ipv4}, ssh: { hostKey: ${hostKey} } }\n`);
  return exampleText(endpoint)
    .replace("hostKeyFrom: known_hosts", "hostKeyFrom: console")
    .replace("members: 3", `members: ${members}`)
    .replace("~/.ssh/operators", keyFile)
    .replace(/ {4}masters:[\s\S]*/, `    masters:\n${masters.join("")}`);
}

describeHosts("aws on hosts", whole, { missing, programs: { etcdctl: "version" } });

function whole(): void {
  let set: HostSet;
  let aws: AwsEmulator;
  let cluster: ClusterOnHosts;
  let restore: () => void;

  beforeAll(async () => {
    restore = withEnvironment(emulatedEnvironment);
    await takeDown();
    set = await bringUp(5, "complete");
    if ("missing" in emulator) return;
    aws = await startEmulator(emulator);
    await prepareAccount(aws.ec2, set.hosts[0]!.ipv4.split(".").slice(0, 2).join("."));
    cluster = new ClusterOnHosts(set, onHosts(set, aws.endpoint, 3));
  }, 900_000);
  afterAll(async () => {
    await cluster?.teardown();
    await aws?.stop();
    await takeDown();
    restore();
  }, 120_000);

  /** Its instance is terminated, and its successor at the same address has a root volume of its own: only the data is there. */
  const loseInstance = async (place: number): Promise<void> => {
    const host = set.hosts[place]!;
    const name = `m${place + 1}`;
    const members = async (): Promise<unknown> =>
      (JSON.parse(await cluster.run("status", "-json")) as { members: { name: string; id: string }[] }).members
        .map((member) => `${member.name} ${member.id}`)
        .toSorted();
    const before = await members();
    const client = cluster.client(`https://${set.hosts[0]!.ipv4}:2379`);
    const writer = new PacedWriter(client, "/lost-instance/", 20);
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
    const applied = await cluster.run("apply", "-auto-approve");
    expect(applied).toContain("0 added");
    await writer.stop();
    console.log(`instance lost: ${writer.summary()}`);
    expect(writer.failures).toEqual([]);
    expect(await missingWrites(client, writer.prefix, writer.acknowledged)).toEqual([]);
    expect(await members()).toEqual(before);
    expect((await runOnTestHost(set, host, "stat -c %U /var/lib/haplan/*/machines/*/data")).trim()).toBe("haplan");
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
  };

  it("runs members on its instances once their volumes are there, grows from 3 to 5 under a writer, and leaves nothing", async () => {
    // What user-data does on an instance: until then no member may start.
    const mounts = set.hosts.map((host) =>
      runOnTestHost(set, host, "sleep 25; mkdir -p /var/lib/haplan; mount --bind /var/lib/haplan /var/lib/haplan"),
    );
    const applied = await cluster.run("apply", "-auto-approve");
    await Promise.all(mounts);
    expect(applied).toContain("Apply complete!");
    // Which of the two lasts ten seconds depends on the machine.
    expect(applied).toMatch(/Still going.*, (waiting for ssh to|installing haplan on) m1/);
    expect(counts(await listAccount(aws))).toMatchObject({ instances: 3, balancers: 1 });
    const status = await cluster.run("status", "-json");
    expect(JSON.parse(status)).toMatchObject({ quorum: expect.anything() });
    const at = (place: number): { endpoints: string } => ({ endpoints: `https://${set.hosts[place]!.ipv4}:2379` });
    expect((await cluster.etcdctl(["put", "key", "value"], at(0))).stdout.trim()).toBe("OK");
    expect((await cluster.etcdctl(["get", "key", "--print-value-only"], at(2))).stdout.trim()).toBe("value");
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    const atHealth = `https://${set.hosts[0]!.ipv4}:2381`;
    expect(execFileSync("curl", ["-sk", `${atHealth}/readyz`], { encoding: "utf8" })).toBe("ok\n");
    expect(execFileSync("curl", ["-sk", `${atHealth}/metrics`], { encoding: "utf8" })).toBe("404 page not found\n");
    const client = cluster.client(at(1).endpoints);
    const writer = new PacedWriter(client, "/growth/", 20);
    cluster.writeSpec(onHosts(set, aws.endpoint, 5));
    await cluster.run("apply", "-auto-approve");
    await writer.stop();
    console.log(`3 -> 5: ${writer.summary()}`);
    expect(writer.failures).toEqual([]);
    expect(await missingWrites(client, writer.prefix, writer.acknowledged)).toEqual([]);
    expect(counts(await listAccount(aws))).toMatchObject({ instances: 5, balancers: 1 });
    expect((await cluster.try("plan", "-detailed-exitcode")).code).toBe(0);
    await loseInstance(1);
    await cluster.run("destroy", "-auto-approve");
    expect(counts(await listAccount(aws))).toEqual(emptyAccount);
  }, 600_000);
}
