/** Which instances are the machines of a cluster, where tags were copied or removed, or AWS shows nothing of it. */
import {
  DeleteSubnetCommand,
  DeleteTagsCommand,
  DeleteVpcCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  EC2Client,
  type Instance,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { describe, expect, it } from "vitest";
import {
  counts,
  dataVolumeOf,
  emptyAccount,
  type Inventory,
  instanceNamed,
  listAccount,
  otherAccount,
  tagOf,
} from "./emulated-account.ts";
import { type EmulatedCluster, terminateInstanceOf, useEmulatedCluster } from "./emulated-cluster.ts";
import { emulatedRegion, findEmulator, withEnvironment } from "./emulator.ts";

const environment = await findEmulator(process.env["HAPLAN_TEST_EVERYTHING"] !== undefined);

describe.skipIf("missing" in environment)("a machine on an emulated AWS", { timeout: 240_000 }, () => {
  const emulated = useEmulatedCluster(environment);

  const haplan = (words: string): ReturnType<EmulatedCluster["run"]> => emulated.cluster.run(words);
  const succeeds = (words: string): Promise<string> => emulated.cluster.succeeds(words);
  const found = (): Promise<Inventory> => listAccount(emulated.aws);
  /** As "Launch more like this" of the console. */
  const copy = async (of: Instance, PrivateIpAddress: string): Promise<string> => {
    const { Instances } = await emulated.aws.ec2.send(
      new RunInstancesCommand({
        ...{ ImageId: of.ImageId, SubnetId: of.SubnetId, MinCount: 1, MaxCount: 1, InstanceType: of.InstanceType },
        ...{ PrivateIpAddress, SecurityGroupIds: of.SecurityGroups?.map(({ GroupId }) => GroupId!) },
        TagSpecifications: [{ ResourceType: "instance", Tags: of.Tags }],
      }),
    );
    return Instances![0]!.InstanceId!;
  };
  const terminate = (name: string): Promise<void> => terminateInstanceOf(emulated, name);

  it("A1: is not an instance that has copied tags, while it runs, once it is gone, and at the end", async () => {
    await succeeds("apply -auto-approve");
    const m1 = instanceNamed(await found(), "m1");
    const copied = await copy(m1, "10.0.1.4");
    const plan = await succeeds("plan -detailed-exitcode");
    expect(plan).toContain("No changes");
    expect(plan).toContain(`The instance ${copied} has the tags of m1, and is not m1`);
    expect(plan).toContain(`m1 is ${m1.InstanceId} at 10.0.1.10`);
    await terminate("m1");
    expect(await succeeds("plan")).toMatch(/instance_state = "running" -> "terminated"/);
    await succeeds("apply -auto-approve");
    const { instances } = await found();
    const again = instances.find(({ PrivateIpAddress }) => PrivateIpAddress === "10.0.1.10")!;
    expect(dataVolumeOf(again)).toBe(dataVolumeOf(m1));
    expect(await succeeds("plan -detailed-exitcode")).toContain("No changes");
    emulated.cluster.writeSpec((text) => text.replace("instanceType: m7i.large", "instanceType: m7i.xlarge"));
    await succeeds("apply -auto-approve");
    const destroyed = await haplan("destroy -auto-approve");
    expect(destroyed.code).toBe(1);
    expect(destroyed.said).toMatch(
      new RegExp(`The security group \\S+ \\(sg-\\w+\\) is that of ${copied} \\(10.0.1.4\\)`),
    );
    const left = await found();
    expect(left.instances.map(({ InstanceId }) => InstanceId)).toEqual([copied]);
    expect(left.volumes.map(({ VolumeId }) => VolumeId)).not.toContain(dataVolumeOf(m1));
    await emulated.aws.ec2.send(new TerminateInstancesCommand({ InstanceIds: [copied] }));
    await succeeds("destroy -auto-approve");
    expect(counts(await found())).toEqual({ ...emptyAccount, volumes: (await found()).volumes.length });
  });

  it.each(["cluster", "lineage", "machine", "generation"])(
    "A4: is found by its id without its tag haplan:%s, which is put back",
    async (key) => {
      await succeeds("apply -auto-approve");
      const before = await found();
      const { InstanceId } = instanceNamed(before, "m2");
      await emulated.aws.ec2.send(
        new DeleteTagsCommand({ Resources: [InstanceId!], Tags: [{ Key: `haplan:${key}` }] }),
      );
      const plan = await succeeds("plan");
      expect(plan).toMatch(/instance_state = "running" -> "running, without haplan's tags"/);
      expect(plan).not.toMatch(/will be destroyed|replaced|stop agent/);
      await succeeds("apply -auto-approve");
      const after = await found();
      expect(instanceNamed(after, "m2").InstanceId).toBe(InstanceId);
      expect(tagOf(instanceNamed(after, "m2").Tags, `haplan:${key}`)).toBe(
        tagOf(instanceNamed(before, "m2").Tags, `haplan:${key}`),
      );
      expect(await succeeds("plan -detailed-exitcode")).toContain("No changes");
    },
  );

  it("A4: without tags is destroyed with the cluster", async () => {
    await succeeds("apply -auto-approve");
    const { InstanceId } = instanceNamed(await found(), "m2");
    const Tags = ["cluster", "machine"].map((key) => ({ Key: `haplan:${key}` }));
    await emulated.aws.ec2.send(new DeleteTagsCommand({ Resources: [InstanceId!], Tags }));
    await succeeds("destroy -auto-approve");
    expect(counts(await found())).toEqual(emptyAccount);
  });

  it("A6: is destroyed with a data volume that lacks haplan's tags", async () => {
    await succeeds("apply -auto-approve");
    const Resources = [dataVolumeOf(instanceNamed(await found(), "m1"))!];
    const Tags = ["cluster", "lineage", "machine", "generation"].map((key) => ({ Key: `haplan:${key}` }));
    await emulated.aws.ec2.send(new DeleteTagsCommand({ Resources, Tags }));
    await succeeds("destroy -auto-approve");
    expect(counts(await found())).toEqual(emptyAccount);
  });

  it("A6: takes its data volume along when it is renamed while its instance is gone", async () => {
    await succeeds("apply -auto-approve");
    const volume = dataVolumeOf(instanceNamed(await found(), "m1"));
    await terminate("m1");
    emulated.cluster.writeSpec((text) =>
      text.replace("name: m1", "name: m8").replace("    masters:", "    moved: [{ from: m1, to: m8 }]\n    masters:"),
    );
    await succeeds("apply -auto-approve");
    const after = await found();
    expect(dataVolumeOf(instanceNamed(after, "m8"))).toBe(volume);
    const { Tags } = after.volumes.find(({ VolumeId }) => VolumeId === volume)!;
    expect(tagOf(Tags, "haplan:machine")).toBe("m8");
    await succeeds("destroy -auto-approve");
    expect(counts(await found())).toEqual(emptyAccount);
  });

  it("F1: is not forgotten with credentials of an account that has no VPC", async () => {
    await succeeds("apply -auto-approve");
    const before = counts(await found());
    const variables = await otherAccount(emulated.aws.endpoint);
    const restore = withEnvironment(variables);
    try {
      const ec2 = new EC2Client({
        region: emulatedRegion,
        endpoint: emulated.aws.endpoint,
        credentials: { accessKeyId: variables["AWS_ACCESS_KEY_ID"]!, secretAccessKey: "secret" },
      });
      const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}));
      for (const { SubnetId } of Subnets) await ec2.send(new DeleteSubnetCommand({ SubnetId }));
      const { Vpcs = [] } = await ec2.send(new DescribeVpcsCommand({}));
      for (const { VpcId } of Vpcs) await ec2.send(new DeleteVpcCommand({ VpcId }));
      ec2.destroy();
      for (const words of ["plan", "apply -auto-approve", "destroy -auto-approve"]) {
        const { code, said } = await haplan(words);
        expect([words, code, said]).toEqual([words, 1, expect.stringContaining("AWS has nothing of the cluster")]);
        expect(said).toContain("It may all go on in account 123456789012");
      }
    } finally {
      restore();
    }
    expect(counts(await found())).toEqual(before);
    expect(await succeeds("plan -detailed-exitcode")).toContain("No changes");
  });
});
