/** Volumes that others attach to instances of the provider `aws`, exchange and restore, and another VPC, against an emulator of AWS. */
import {
  AttachVolumeCommand,
  CreateSnapshotCommand,
  CreateSubnetCommand,
  CreateVolumeCommand,
  CreateVpcCommand,
  DetachVolumeCommand,
  type Instance,
  ModifyInstanceAttributeCommand,
  type Tag,
  type Volume,
} from "@aws-sdk/client-ec2";
import { ModifyLoadBalancerAttributesCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { beforeEach, describe, expect, it } from "vitest";
import { counts, dataVolumeOf, emptyAccount, instanceNamed, listAccount, tagOf } from "./emulated-account.ts";
import { useEmulatedCluster } from "./emulated-cluster.ts";
import { findEmulator } from "./emulator.ts";

const environment = await findEmulator(process.env["HAPLAN_TEST_EVERYTHING"] !== undefined);
const ownTags: Tag[] = [
  { Key: "Name", Value: "audit-logs" },
  { Key: "Owner", Value: "security" },
];
const larger = (text: string): string => text.replace("instanceType: m7i.large", "instanceType: m7i.xlarge");

describe.skipIf("missing" in environment)("volumes on an emulated AWS", { timeout: 240_000 }, () => {
  const emulated = useEmulatedCluster(environment);
  beforeEach(async () => {
    await run("apply -auto-approve");
  });

  async function run(words: string): Promise<string> {
    const { code, out, err } = await emulated.cluster.cli.haplan(`${words} cloud.yaml`);
    expect([words, code, code === 0 ? "" : out + err]).toEqual([words, 0, ""]);
    return out;
  }
  const refused = (words: string): Promise<string> => emulated.cluster.refuses(words);
  const instanceOf = async (name: string): Promise<Instance> => instanceNamed(await listAccount(emulated.aws), name);
  async function volume(id: string | undefined): Promise<Volume | undefined> {
    return (await listAccount(emulated.aws)).volumes.find(({ VolumeId }) => VolumeId === id);
  }
  async function attachNew(name: string, Device: string, Tags: Tag[], snapshotOf?: string): Promise<string> {
    const { InstanceId, Placement } = await instanceOf(name);
    const { ec2 } = emulated.aws;
    const SnapshotId =
      snapshotOf === undefined
        ? undefined
        : (await ec2.send(new CreateSnapshotCommand({ VolumeId: snapshotOf }))).SnapshotId;
    const { VolumeId = "" } = await ec2.send(
      new CreateVolumeCommand({
        ...{ AvailabilityZone: Placement?.AvailabilityZone, Size: 20, SnapshotId },
        ...(Tags.length === 0 ? {} : { TagSpecifications: [{ ResourceType: "volume" as const, Tags }] }),
      }),
    );
    await ec2.send(new AttachVolumeCommand({ VolumeId, InstanceId, Device }));
    return VolumeId;
  }

  it("of others keep their tags when haplan changes a machine, and stay when it removes it", async () => {
    const ids = [await attachNew("m1", "/dev/sdg", ownTags), await attachNew("w1", "/dev/sdf", ownTags)];
    emulated.cluster.writeSpec((text) => text.replace("Team=platform", "Team=storage"));
    await run("apply -auto-approve");
    for (const id of ids) expect((await volume(id))?.Tags).toEqual(ownTags);
    expect(tagOf((await volume(dataVolumeOf(await instanceOf("m1"))))?.Tags, "Team")).toBe("storage");
    expect(await run("plan")).toContain("No changes");
    await run("apply -auto-approve -replace=haplan_machine.m1 -replace=haplan_machine.w1");
    await run("destroy -auto-approve");
    for (const id of ids) expect(await volume(id)).toMatchObject({ State: "available", Tags: ownTags });
    expect(counts(await listAccount(emulated.aws))).toEqual({ ...emptyAccount, volumes: 2 });
  });

  it.each([
    ["with the tags of the former one", true],
    ["without tags", false],
  ])("that replaced a data volume by hand are not taken for it, %s: nothing is terminated", async (_, isTagged) => {
    const m1 = await instanceOf("m1");
    const recorded = dataVolumeOf(m1)!;
    await emulated.aws.ec2.send(new DetachVolumeCommand({ VolumeId: recorded, InstanceId: m1.InstanceId }));
    const tags = isTagged ? ((await volume(recorded))?.Tags ?? []) : [];
    const other = await attachNew("m1", "/dev/sdf", tags, recorded);
    for (const change of [(text: string) => text, larger]) {
      emulated.cluster.writeSpec(change);
      for (const words of ["plan", "apply -auto-approve"]) {
        const said = await refused(words);
        expect(said).toContain(`The data volume of m1 is ${other}, another volume than recorded: ${recorded}`);
        expect(said).toContain("-replace=haplan_machine.m1");
      }
    }
    expect(await instanceOf("m1")).toMatchObject({ InstanceId: m1.InstanceId, InstanceType: "m7i.large" });
    expect((await volume(other))?.Tags ?? []).toEqual(tags);
    emulated.cluster.writeSpec();
    await run("apply -auto-approve -replace=haplan_machine.m1");
    expect(await run("plan")).toContain("No changes");
    expect(tagOf((await instanceOf("m1")).Tags, "haplan:generation")).toBe("2");
    expect(await volume(recorded)).toBeUndefined();
    expect(await volume(other)).toMatchObject({ State: "available" });
  });

  it("stay with instances that are protected against termination, and nothing is stopped", async () => {
    const { instances, balancers } = await listAccount(emulated.aws);
    const protect = async (name: string, Value: boolean): Promise<void> => {
      const { InstanceId } = await instanceOf(name);
      await emulated.aws.ec2.send(new ModifyInstanceAttributeCommand({ InstanceId, DisableApiTermination: { Value } }));
    };
    await protect("m2", true);
    emulated.cluster.writeSpec(larger);
    const before = emulated.cluster.cli.world.facts.machines;
    for (const words of ["plan", "apply -auto-approve", "destroy -auto-approve"]) {
      const said = await refused(words);
      expect(said).toMatch(/The instance i-\w+ of m2 is protected against termination/);
      expect(said).toContain("--no-disable-api-termination");
      expect(said).not.toMatch(/stop agent m\d: |of m1 is protected/);
    }
    expect(emulated.cluster.cli.world.facts.machines).toEqual(before);
    emulated.cluster.writeSpec();
    expect(await run("plan")).toContain("No changes");
    await protect("m2", false);
    const { LoadBalancerArn } = balancers[0]!;
    const protectBalancer = (Value: string) =>
      emulated.aws.elb.send(
        new ModifyLoadBalancerAttributesCommand({
          ...{ LoadBalancerArn, Attributes: [{ Key: "deletion_protection.enabled", Value }] },
        }),
      );
    await protectBalancer("true");
    expect(await refused("destroy -auto-approve")).toContain("The load balancer is protected against deletion");
    expect((await listAccount(emulated.aws)).instances).toHaveLength(instances.length);
    emulated.cluster.writeSpec(larger);
    await run("apply -auto-approve");
    await protectBalancer("false");
    await run("destroy -auto-approve");
    expect(counts(await listAccount(emulated.aws))).toEqual(emptyAccount);
  });

  it("and machines stay where they are when the spec names another VPC", async () => {
    const before = await listAccount(emulated.aws);
    const { VpcId } = before.instances[0]!;
    const { Vpc: other } = await emulated.aws.ec2.send(new CreateVpcCommand({ CidrBlock: "10.0.0.0/16" }));
    for (const [at, zone] of ["a", "b", "c"].entries())
      await emulated.aws.ec2.send(
        new CreateSubnetCommand({
          ...{ VpcId: other?.VpcId, CidrBlock: `10.0.${at + 1}.0/24`, AvailabilityZone: `eu-central-1${zone}` },
        }),
      );
    emulated.cluster.writeSpec((text) => text.replace(/vpc: .*/, `vpc: ${other?.VpcId}`));
    for (const words of ["plan", "apply -auto-approve"])
      expect(await refused(words)).toContain(`but the cluster is in ${VpcId}`);
    expect(counts(await listAccount(emulated.aws))).toEqual(counts(before));
    emulated.cluster.writeSpec((text) => text.replace(/vpc: .*/, `vpc: ${VpcId}`));
    await run("apply -auto-approve");
  });
});
