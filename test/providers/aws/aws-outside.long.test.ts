/** What others have done to objects of a cluster in AWS, or have in its place: named at once, or repaired. */
import {
  AttachVolumeCommand,
  DescribePlacementGroupsCommand,
  DetachVolumeCommand,
  RunInstancesCommand,
} from "@aws-sdk/client-ec2";
import {
  AddTagsCommand,
  DescribeTagsCommand,
  DescribeTargetGroupsCommand,
  ModifyTargetGroupCommand,
  RemoveTagsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { describe, expect, it } from "vitest";
import {
  counts,
  dataVolumeOf,
  emptyAccount,
  type Inventory,
  instanceNamed,
  listAccount,
  tagOf,
} from "./emulated-account.ts";
import { terminateInstanceOf, useEmulatedCluster } from "./emulated-cluster.ts";
import { findEmulator } from "./emulator.ts";

const environment = await findEmulator(process.env["HAPLAN_TEST_EVERYTHING"] !== undefined);

describe.skipIf("missing" in environment)("on an emulated AWS", { timeout: 240_000 }, () => {
  const emulated = useEmulatedCluster(environment);

  const found = (): Promise<Inventory> => listAccount(emulated.aws);
  const refused = (words: string): Promise<string> => emulated.cluster.refuses(words);
  /** An instance of others. */
  const startOther = async (PrivateIpAddress: string, SubnetId: string | undefined): Promise<string> => {
    const { Instances = [] } = await emulated.aws.ec2.send(
      new RunInstancesCommand({
        ...{ ImageId: "ami-0a1b2c3d", SubnetId, MinCount: 1, MaxCount: 1, PrivateIpAddress },
        TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "Name", Value: "rescue" }] }],
      }),
    );
    return Instances[0]?.InstanceId ?? "";
  };
  const terminate = (name: string): Promise<void> => terminateInstanceOf(emulated, name);

  it("A10: a data volume that neither the state nor an instance has is named by plans", async () => {
    await emulated.cluster.succeeds("apply -auto-approve");
    const volume = dataVolumeOf(instanceNamed(await found(), "m2"));
    const { code, err } = await emulated.cluster.cli.haplan("state rm haplan_machine.m2");
    expect({ code, err }).toMatchObject({ code: 0 });
    await terminate("m2");
    const what = `The volume ${volume} has the tags of m2, which neither the state nor an instance has`;
    expect(await emulated.cluster.succeeds("plan")).toContain(what);
    expect((await found()).volumes.map(({ VolumeId }) => VolumeId)).toContain(volume);
  });

  it("placement groups go with the cluster, also those that neither the spec nor the state names any more", async () => {
    const twoInOne = (text: string): string =>
      text.replace(/10\.0\.2\.10, zone: eu-central-1b/, "10.0.1.11, zone: eu-central-1a");
    emulated.cluster.writeSpec(twoInOne);
    await emulated.cluster.succeeds("apply -auto-approve");
    const groups = async (): Promise<unknown[]> =>
      (await emulated.aws.ec2.send(new DescribePlacementGroupsCommand({}))).PlacementGroups ?? [];
    expect(await groups()).toHaveLength(1);
    emulated.cluster.writeSpec();
    await emulated.cluster.succeeds("apply -auto-approve");
    await emulated.cluster.succeeds("destroy -auto-approve");
    expect(await groups()).toEqual([]);
    expect(counts(await found())).toEqual(emptyAccount);
  });

  it("A12: thresholds of the health check that others have changed are put back", async () => {
    await emulated.cluster.succeeds("apply -auto-approve");
    const { TargetGroupArn } = (await found()).targetGroups[0]!;
    await emulated.aws.elb.send(
      new ModifyTargetGroupCommand({ TargetGroupArn, HealthyThresholdCount: 10, UnhealthyThresholdCount: 10 }),
    );
    expect(await emulated.cluster.succeeds("plan")).toContain(
      "haplan_load_balancer.load-balancer will be updated in-place",
    );
    await emulated.cluster.succeeds("apply -auto-approve");
    const { TargetGroups: [group] = [] } = await emulated.aws.elb.send(new DescribeTargetGroupsCommand({}));
    expect(group).toMatchObject({ HealthyThresholdCount: 2, UnhealthyThresholdCount: 2 });
    expect(await emulated.cluster.succeeds("plan -detailed-exitcode")).toContain("No changes");
  });

  it("A13: the instance of others that has a data volume is named at once", async () => {
    await emulated.cluster.succeeds("apply -auto-approve");
    const m1 = instanceNamed(await found(), "m1");
    const VolumeId = dataVolumeOf(m1)!;
    const rescue = await startOther("10.0.1.50", m1.SubnetId);
    await emulated.aws.ec2.send(new DetachVolumeCommand({ VolumeId, InstanceId: m1.InstanceId }));
    await emulated.aws.ec2.send(new AttachVolumeCommand({ VolumeId, InstanceId: rescue, Device: "/dev/sdf" }));
    const said = await refused("apply -auto-approve");
    expect(said).toContain(
      `The data volume ${VolumeId} of m1 is attached to another instance: ${rescue} (rescue, 10.0.1.50)`,
    );
    await emulated.aws.ec2.send(new DetachVolumeCommand({ VolumeId, InstanceId: rescue }));
    await emulated.cluster.succeeds("apply -auto-approve");
    expect(dataVolumeOf(instanceNamed(await found(), "m1"))).toBe(VolumeId);
  });

  it("F8: a load balancer that lacks haplan's lineage is named with its ARN at once, and goes once it has it", async () => {
    await emulated.cluster.succeeds("apply -auto-approve");
    const { LoadBalancerArn = "" } = (await found()).balancers[0]!;
    const tags = await emulated.aws.elb.send(new DescribeTagsCommand({ ResourceArns: [LoadBalancerArn] }));
    const Value = tagOf(tags.TagDescriptions?.[0]?.Tags, "haplan:lineage");
    const ResourceArns = [LoadBalancerArn];
    await emulated.aws.elb.send(new RemoveTagsCommand({ ResourceArns, TagKeys: ["haplan:lineage"] }));
    const what = `The load balancer ${LoadBalancerArn} has the name of this cluster's, and lacks the tag haplan:lineage`;
    const plan = await emulated.cluster.run("plan");
    expect(plan.said).toContain(what);
    expect(plan.said).not.toContain("load-balancer will be created");
    expect(await refused("destroy -auto-approve")).toContain(what);
    await emulated.aws.elb.send(new AddTagsCommand({ ResourceArns, Tags: [{ Key: "haplan:lineage", Value }] }));
    await emulated.cluster.succeeds("destroy -auto-approve");
    expect(counts(await found())).toEqual(emptyAccount);
  });

  it("F6: an address that an instance of others has is found before anything is created", async () => {
    await emulated.cluster.succeeds("apply -auto-approve");
    const other = instanceNamed(await found(), "m1");
    const before = counts(await found());
    emulated.cluster.writeSpec((text) => text.replace("name: cloud", "name: clouds"));
    for (const words of ["plan", "apply -auto-approve"]) {
      const said = await refused(words);
      expect(said).toContain(
        `The address 10.0.1.10 of m1 is that of the instance ${other.InstanceId} (cloud-m1), which is of the cluster cloud`,
      );
    }
    expect(counts(await found())).toEqual(before);
  });
});
