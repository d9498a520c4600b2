/** haplan's provider `aws` against an emulator of AWS, over real HTTP: from nothing through every change to nothing. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  CreateSecurityGroupCommand,
  CreateTagsCommand,
  CreateVolumeCommand,
  DeleteTagsCommand,
  DeleteVolumeCommand,
  DescribeImagesCommand,
  ModifyInstanceAttributeCommand,
  ModifyVolumeCommand,
  RevokeSecurityGroupIngressCommand,
  RunInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import {
  DeleteLoadBalancerCommand,
  DeregisterTargetsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetHealthCommand,
  ModifyTargetGroupAttributesCommand,
  SetSecurityGroupsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { describe, expect, it } from "vitest";
import { clientToken } from "../../../src/providers/aws/aws-names.ts";
import { root } from "../../structure/imports.ts";
import {
  counts,
  createInstanceProfiles,
  emptyAccount,
  type Inventory,
  instanceNamed,
  listAccount,
  otherAccount,
  tagOf,
} from "./emulated-account.ts";
import { useEmulatedCluster } from "./emulated-cluster.ts";
import { emulatedRegion, findEmulator, withEnvironment } from "./emulator.ts";

/** Another image that moto has. */
const otherImage = "ami-03cf127a";

const environment = await findEmulator(process.env["HAPLAN_TEST_EVERYTHING"] !== undefined);
/** Of instances with a data volume, moto makes no root volume. */
const full = { instances: 5, volumes: 5, groups: 3, balancers: 1, targetGroups: 1 };

describe.skipIf("missing" in environment)("a cluster on an emulated AWS", { timeout: 90_000 }, () => {
  const emulated = useEmulatedCluster(environment);

  const haplan = async (words: string): Promise<string> => {
    const { code, out, err } = await emulated.cluster.cli.haplan(`${words} cloud.yaml`);
    expect({ code, err }).toMatchObject({ code: 0, err: "Spec: cloud.yaml" });
    return out;
  };
  const apply = async (words = ""): Promise<string> => {
    const out = await haplan(`apply -auto-approve ${words}`.trim());
    expect(emulated.cluster.cli.world.violations).toEqual([]);
    return out;
  };
  const expectNoChanges = async (): Promise<void> => {
    const { code, out } = await emulated.cluster.cli.haplan("plan -detailed-exitcode cloud.yaml");
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining("No changes") });
  };
  const healthyTargets = async (): Promise<readonly string[]> => {
    const { targetGroups } = await listAccount(emulated.aws);
    const input = { TargetGroupArn: targetGroups[0]!.TargetGroupArn };
    const { TargetHealthDescriptions = [] } = await emulated.aws.elb.send(new DescribeTargetHealthCommand(input));
    return TargetHealthDescriptions.flatMap(({ Target, TargetHealth }) =>
      TargetHealth?.State === "healthy" ? [`${Target?.Id}:${Target?.Port}`] : [],
    ).toSorted();
  };

  it("is created as the example says, has no changes then, and leaves nothing", async () => {
    await apply();
    const found = await listAccount(emulated.aws);
    expect(counts(found)).toEqual(full);
    const m2 = instanceNamed(found, "m2");
    const lineage = tagOf(m2.Tags, "haplan:lineage") ?? "";
    expect(m2).toMatchObject({
      InstanceType: "m7i.large",
      PrivateIpAddress: "10.0.2.10",
      KeyName: "operators",
      Placement: { AvailabilityZone: "eu-central-1b" },
      ClientToken: clientToken(lineage, "m2", 1, 0),
      MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 1 },
    });
    expect(Object.fromEntries((m2.Tags ?? []).map(({ Key, Value }) => [Key, Value]))).toEqual({
      Name: "cloud-m2",
      Team: "platform",
      "haplan:cluster": "cloud",
      "haplan:lineage": lineage,
      "haplan:machine": "m2",
      "haplan:generation": "1",
    });
    const data = m2.BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === "/dev/sdf")?.Ebs;
    expect(data).toMatchObject({ DeleteOnTermination: false });
    const volume = found.volumes.find(({ VolumeId }) => VolumeId === data?.VolumeId);
    expect(volume).toMatchObject({ Size: 20, VolumeType: "gp3", Encrypted: true });
    expect(found.balancers[0]).toMatchObject({ Type: "network", Scheme: "internal", LoadBalancerName: "haplan-cloud" });
    expect(found.balancers[0]?.AvailabilityZones).toHaveLength(3);
    expect(found.targetGroups[0]).toMatchObject({
      Protocol: "TCP",
      TargetType: "ip",
      HealthCheckPath: "/readyz",
      HealthCheckPort: "2381",
      HealthCheckProtocol: "HTTPS",
    });
    expect(await healthyTargets()).toEqual(["10.0.1.10:2379", "10.0.2.10:2379", "10.0.3.10:2379"]);
    await expectNoChanges();
    await haplan("destroy -auto-approve");
    expect(counts(await listAccount(emulated.aws))).toEqual(emptyAccount);
  });

  it("A2: leaves nothing when destroy finds its machines and its load balancer gone, as after one that was killed", async () => {
    await apply();
    const { instances, volumes, balancers } = await listAccount(emulated.aws);
    const InstanceIds = instances.flatMap(({ InstanceId = "" }) => InstanceId);
    await emulated.aws.ec2.send(new TerminateInstancesCommand({ InstanceIds }));
    for (const { VolumeId } of volumes)
      await emulated.aws.ec2.send(new DeleteVolumeCommand({ VolumeId })).catch(() => undefined);
    await emulated.aws.elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: balancers[0]?.LoadBalancerArn }));
    emulated.cluster.cli.world.facts.machines.clear();
    expect(counts(await listAccount(emulated.aws))).toMatchObject({ instances: 0, groups: 3, targetGroups: 1 });
    await haplan("destroy -auto-approve");
    expect(counts(await listAccount(emulated.aws))).toEqual(emptyAccount);
  });

  it.each([
    [
      "with machines of other names",
      (text: string) => text.replaceAll(/name: ([mw]\d)/g, "name: n$1").replaceAll(/(10\.0\.\d)\.(\d\d)/g, "$1.1$2"),
      "Another cluster has the name",
    ],
    ["with machines of the same names", (text: string) => text, "machines of unknown origin"],
  ])("keeps what another cluster of its name has, without a state: a spec %s", async (_, change, said) => {
    await apply();
    const { instances, ...others } = await listAccount(emulated.aws);
    const lineage = tagOf(instances[0]?.Tags, "haplan:lineage");
    rmSync(join(emulated.cluster.cli.cwd, ".haplan"), { recursive: true });
    emulated.cluster.writeSpec(change);
    const { code, err } = await emulated.cluster.cli.haplan("destroy -auto-approve cloud.yaml");
    expect([code, err]).toEqual([1, expect.stringContaining(said)]);
    expect(err).toContain(lineage);
    expect(counts(await listAccount(emulated.aws))).toEqual(counts({ instances, ...others }));
    emulated.cluster.writeSpec();
    expect((await emulated.cluster.cli.haplan("destroy cloud.yaml", ["yes"])).code).toBe(0);
    expect(counts(await listAccount(emulated.aws))).toEqual(emptyAccount);
  });

  it("destroys by its lineage, and names what another cluster of its name has", async () => {
    await apply();
    const labels = { cluster: "cloud", lineage: "other", machine: "m1", generation: "1", role: "masters" };
    const Tags = Object.entries(labels).map(([key, Value]) => ({ Key: `haplan:${key}`, Value }));
    const [of] = (await listAccount(emulated.aws)).instances;
    await emulated.aws.ec2.send(
      new RunInstancesCommand({
        ...{ ImageId: of?.ImageId, SubnetId: of?.SubnetId, MinCount: 1, MaxCount: 1, InstanceType: "t3.small" },
        TagSpecifications: [{ ResourceType: "instance", Tags }],
      }),
    );
    await emulated.aws.ec2.send(
      new CreateVolumeCommand({
        ...{ AvailabilityZone: "eu-central-1a", Size: 1 },
        TagSpecifications: [{ ResourceType: "volume", Tags }],
      }),
    );
    await emulated.aws.ec2.send(
      new CreateSecurityGroupCommand({
        ...{ GroupName: "others", Description: "of another cluster", VpcId: of?.VpcId },
        TagSpecifications: [{ ResourceType: "security-group", Tags }],
      }),
    );
    await expectNoChanges();
    const { code, err } = await emulated.cluster.cli.haplan("destroy -auto-approve cloud.yaml");
    expect(code).toBe(0);
    expect(err.replaceAll(/[│\s]+/g, " ")).toMatch(
      /Another cluster has the name "cloud" .*The instance i-\w+ \(m1\), the security group sg-\w+ \(others\) belong to another cluster of that name, lineage other\./,
    );
    // The instance has a root volume.
    expect(counts(await listAccount(emulated.aws))).toEqual({ ...emptyAccount, instances: 1, volumes: 2, groups: 1 });
  });

  it.each([
    ["the spec", "eu-west-1", {}],
    ["the environment", null, { AWS_REGION: "eu-west-1" }],
  ])("is not planned, changed or forgotten from another region that %s says", async (_, region, variables) => {
    await apply();
    const found = counts(await listAccount(emulated.aws));
    emulated.cluster.writeSpec((text) =>
      text.replace(/ {4}region: .*\n/, region === null ? "" : `    region: ${region}\n`),
    );
    const restore = withEnvironment(variables);
    try {
      for (const words of ["plan", "plan -refresh=false", "apply -auto-approve", "destroy -auto-approve"]) {
        const { code, out, err } = await emulated.cluster.cli.haplan(`${words} cloud.yaml`);
        expect([words, code, out + err]).toEqual([words, 1, expect.stringMatching(/says region eu-west-1, but/)]);
        const said = (out + err).replaceAll(/[│\s]+/g, " ");
        expect(said).toContain(region === null ? "on cloud.yaml:11:3," : "on cloud.yaml:13:13,");
        expect(said).toContain("The state has m1, m2, m3, w1, w2 in eu-central-1.");
        expect(said).toContain("Write `region: eu-central-1`.");
      }
    } finally {
      restore();
    }
    expect(counts(await listAccount(emulated.aws))).toEqual(found);
    emulated.cluster.writeSpec();
    await expectNoChanges();
  });

  it("is not planned, changed or forgotten from another account", async () => {
    await apply();
    const found = counts(await listAccount(emulated.aws));
    const restore = withEnvironment(await otherAccount(emulated.aws.endpoint));
    try {
      for (const words of ["plan", "apply -auto-approve", "destroy -auto-approve"]) {
        const { code, out, err } = await emulated.cluster.cli.haplan(`${words} cloud.yaml`);
        const said = expect.stringMatching(/account 222222222222, but the cluster is in 123456789012/);
        expect([words, code, (out + err).replaceAll(/[│\s]+/g, " ")]).toEqual([words, 1, said]);
      }
    } finally {
      restore();
    }
    expect(counts(await listAccount(emulated.aws))).toEqual(found);
    await expectNoChanges();
  });

  it("gets the security groups back that were taken off its instances and its load balancer, beside those of others", async () => {
    await apply();
    const before = await listAccount(emulated.aws);
    const made = await emulated.aws.ec2.send(
      new CreateSecurityGroupCommand({
        ...{ GroupName: "others", Description: "of others", VpcId: before.instances[0]?.VpcId },
      }),
    );
    const others = [made.GroupId!];
    const ids = new Map(before.groups.map(({ GroupName, GroupId }) => [GroupName, GroupId]));
    const [masters, workers] = ["masters", "workers"].map((role) => ids.get(`haplan-cloud-${role}`)!);
    const modify = async (name: string, Groups: string[]): Promise<void> => {
      const InstanceId = instanceNamed(before, name).InstanceId;
      await emulated.aws.ec2.send(new ModifyInstanceAttributeCommand({ InstanceId, Groups }));
    };
    await modify("m2", others);
    await modify("m3", [workers!]);
    const { LoadBalancerArn } = before.balancers[0]!;
    await emulated.aws.elb.send(new SetSecurityGroupsCommand({ LoadBalancerArn, SecurityGroups: others }));
    const plan = await haplan("plan");
    expect(plan).toContain("its ingress was changed outside of haplan");
    expect(plan).toContain("it was changed outside of haplan");
    await apply();
    await expectNoChanges();
    const after = await listAccount(emulated.aws);
    const groupsOf = (name: string) =>
      instanceNamed(after, name)
        .SecurityGroups?.map(({ GroupId }) => GroupId)
        .toSorted();
    expect(groupsOf("m2")).toEqual([...others, masters].toSorted());
    expect(groupsOf("m3")).toEqual([masters]);
    expect(after.balancers[0]?.SecurityGroups).toEqual([...others, ids.get("haplan-cloud-load-balancer")]);
  });

  it("lets in by its security groups only what the cluster needs", async () => {
    await apply();
    const { groups } = await listAccount(emulated.aws);
    const names = new Map(groups.map(({ GroupId, GroupName }) => [GroupId, GroupName]));
    const rules = groups.flatMap(({ GroupName, IpPermissions = [] }) =>
      IpPermissions.flatMap(({ IpProtocol, FromPort, ToPort, IpRanges = [], UserIdGroupPairs = [] }) =>
        [...IpRanges.map(({ CidrIp }) => CidrIp), ...UserIdGroupPairs.map(({ GroupId }) => names.get(GroupId))].map(
          (from) => `${GroupName}: ${IpProtocol} ${FromPort}-${ToPort} from ${from}`,
        ),
      ),
    );
    expect(rules.toSorted()).toEqual([
      "haplan-cloud-load-balancer: tcp 2379-2379 from 10.0.0.0/16",
      "haplan-cloud-load-balancer: tcp 2379-2379 from haplan-cloud-masters",
      "haplan-cloud-load-balancer: tcp 2379-2379 from haplan-cloud-workers",
      "haplan-cloud-masters: tcp 22-22 from 10.0.0.0/16",
      "haplan-cloud-masters: tcp 2379-2379 from 10.0.0.0/16",
      "haplan-cloud-masters: tcp 2379-2379 from haplan-cloud-load-balancer",
      "haplan-cloud-masters: tcp 2379-2379 from haplan-cloud-masters",
      "haplan-cloud-masters: tcp 2379-2379 from haplan-cloud-workers",
      "haplan-cloud-masters: tcp 2380-2380 from haplan-cloud-masters",
      "haplan-cloud-masters: tcp 2381-2381 from haplan-cloud-load-balancer",
      "haplan-cloud-workers: tcp 22-22 from 10.0.0.0/16",
    ]);
  });

  it("is repaired where it was changed outside of haplan, and the plan says what was", async () => {
    await apply();
    const before = await listAccount(emulated.aws);
    const masters = before.groups.find(({ GroupName }) => GroupName === "haplan-cloud-masters")!;
    const peers = masters.IpPermissions?.filter(({ FromPort }) => FromPort === 2380);
    await emulated.aws.ec2.send(
      new RevokeSecurityGroupIngressCommand({ GroupId: masters.GroupId, IpPermissions: peers }),
    );
    const w1 = instanceNamed(before, "w1").InstanceId!;
    await emulated.aws.ec2.send(new DeleteTagsCommand({ Resources: [w1], Tags: [{ Key: "Team" }] }));
    const plan = await haplan("plan");
    expect(plan).toContain("its ingress was changed outside of haplan");
    expect(plan).toContain("its tags was changed outside of haplan");
    await apply();
    await expectNoChanges();
    const after = await listAccount(emulated.aws);
    expect(tagOf(instanceNamed(after, "w1").Tags, "Team")).toBe("platform");
    const repaired = after.groups.find(({ GroupName }) => GroupName === "haplan-cloud-masters");
    expect(repaired?.IpPermissions?.filter(({ FromPort }) => FromPort === 2380)).toHaveLength(1);
  });

  it("gets a target back that was deregistered outside of haplan", async () => {
    await apply();
    const { targetGroups } = await listAccount(emulated.aws);
    const TargetGroupArn = targetGroups[0]!.TargetGroupArn;
    await emulated.aws.elb.send(
      new DeregisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: "10.0.1.10", Port: 2379 }] }),
    );
    expect(await haplan("plan")).toContain("it was changed outside of haplan");
    await apply();
    expect(await healthyTargets()).toHaveLength(3);
    await expectNoChanges();
  });

  it("lets masters reach themselves through its load balancer, and again after that was changed outside of haplan", async () => {
    await apply();
    const { TargetGroupArn } = (await listAccount(emulated.aws)).targetGroups[0]!;
    const Key = "preserve_client_ip.enabled";
    const keepsAddresses = async (): Promise<string | undefined> => {
      const found = await emulated.aws.elb.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn }));
      return found.Attributes?.find((attribute) => attribute.Key === Key)?.Value;
    };
    expect(await keepsAddresses()).toBe("false");
    const Attributes = [{ Key, Value: "true" }];
    await emulated.aws.elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes }));
    expect(await haplan("plan")).toContain("it was changed outside of haplan");
    await apply();
    expect(await keepsAddresses()).toBe("false");
    await expectNoChanges();
  });

  it("gets a stopped instance started, as the same machine with its data", async () => {
    await apply();
    const id = instanceNamed(await listAccount(emulated.aws), "m3").InstanceId!;
    emulated.cluster.cli.world.facts.machines.get("m3")!.units.get("agent")!.running = false;
    await emulated.aws.ec2.send(new StopInstancesCommand({ InstanceIds: [id] }));
    const plan = await haplan("plan");
    expect(plan).not.toContain("destroy machine");
    expect(plan).toContain("instance_state");
    await apply();
    expect(instanceNamed(await listAccount(emulated.aws), "m3")).toMatchObject({
      InstanceId: id,
      State: { Name: "running" },
    });
    await expectNoChanges();
  });

  const dataVolumes = (found: Inventory): readonly (string | undefined)[] =>
    ["m1", "m2", "m3"].map(
      (name) =>
        instanceNamed(found, name).BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === "/dev/sdf")?.Ebs
          ?.VolumeId,
    );
  const memberIds = (): readonly string[] => emulated.cluster.cli.world.facts.members.map(({ id }) => id);

  it("A3: gets a new instance for one that was terminated, as the same member with its data", async () => {
    await apply();
    const before = await listAccount(emulated.aws);
    const ids = memberIds();
    const id = instanceNamed(before, "m2").InstanceId!;
    emulated.cluster.cli.world.facts.machines.get("m2")!.units.get("agent")!.running = false;
    await emulated.aws.ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    const plan = await haplan("plan");
    expect(plan).toMatch(/~ instance_state += "running" -> "terminated"/);
    expect(plan).not.toContain("destroy machine");
    await apply();
    const after = await listAccount(emulated.aws);
    const m2 = instanceNamed(after, "m2");
    expect(m2.InstanceId).not.toBe(id);
    expect(m2.PrivateIpAddress).toBe("10.0.2.10");
    expect(tagOf(m2.Tags, "haplan:generation")).toBe("1");
    expect(dataVolumes(after)).toEqual(dataVolumes(before));
    // Of an instance without a data volume in the call, moto makes the root volume as well.
    expect(counts(after)).toEqual({ ...full, volumes: 6 });
    expect(memberIds()).toEqual(ids);
    expect(await healthyTargets()).toHaveLength(3);
    await expectNoChanges();
  });

  it("A3: gets another master for one whose data volume is gone as well, which copies the data", async () => {
    await apply();
    const found = await listAccount(emulated.aws);
    const [, VolumeId] = dataVolumes(found);
    emulated.cluster.cli.world.facts.machines.delete("m2");
    await emulated.aws.ec2.send(
      new TerminateInstancesCommand({ InstanceIds: [instanceNamed(found, "m2").InstanceId!] }),
    );
    await emulated.aws.ec2.send(new DeleteVolumeCommand({ VolumeId }));
    expect(await haplan("plan")).toContain("it is gone");
    await apply();
    const m2 = instanceNamed(await listAccount(emulated.aws), "m2");
    expect(m2.PrivateIpAddress).toBe("10.0.2.10");
    expect(tagOf(m2.Tags, "haplan:generation")).toBe("2");
    expect(await healthyTargets()).toHaveLength(3);
    await expectNoChanges();
  });

  it("A3: gives a data volume another size while it is in use", async () => {
    await apply();
    emulated.cluster.writeSpec((text) => text.replace("sizeGiB: 20", "sizeGiB: 40, iops: 4000"));
    const plan = await haplan("plan");
    expect(plan).toMatch(/~ volume_size += 20 -> 40/);
    expect(plan).not.toMatch(/will be destroyed|replaced|stop agent/);
    const before = await listAccount(emulated.aws);
    await apply();
    const after = await listAccount(emulated.aws);
    expect(dataVolumes(after)).toEqual(dataVolumes(before));
    const sizes = after.volumes.filter(({ VolumeId }) => dataVolumes(after).includes(VolumeId)).map(({ Size }) => Size);
    expect(sizes).toEqual([40, 40, 40]);
    await expectNoChanges();
  });

  /** As another program or the console would change it. */
  const deleteWithInstance = async (name: string): Promise<void> => {
    const InstanceId = instanceNamed(await listAccount(emulated.aws), name).InstanceId;
    const BlockDeviceMappings = [{ DeviceName: "/dev/sdf", Ebs: { DeleteOnTermination: true } }];
    await emulated.aws.ec2.send(new ModifyInstanceAttributeCommand({ InstanceId, BlockDeviceMappings }));
  };
  const isDeletedWithInstance = (found: Inventory, name: string): boolean | undefined =>
    instanceNamed(found, name).BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === "/dev/sdf")?.Ebs
      ?.DeleteOnTermination;

  it("A5: shows a data volume that AWS would delete with its instance as drift, and has it kept again", async () => {
    await apply();
    await deleteWithInstance("m3");
    const plan = await haplan("plan");
    expect(plan).toMatch(/~ volume_state = "attached"\s+-> "attached, deleted with its instance"/);
    expect(plan).not.toMatch(/will be destroyed|replaced|stop agent/);
    await apply();
    expect(isDeletedWithInstance(await listAccount(emulated.aws), "m3")).toBe(false);
    await expectNoChanges();
  });

  it("A5: keeps the data volume that AWS would delete with its instance when the master gets another one", async () => {
    await apply();
    const before = await listAccount(emulated.aws);
    emulated.cluster.writeSpec((text) => text.replace("instanceType: m7i.large", "instanceType: m7i.xlarge"));
    await haplan("plan -out=changed.plan");
    // Neither the plan nor a step before has seen it.
    for (const name of ["m1", "m2", "m3"]) await deleteWithInstance(name);
    const { code } = await emulated.cluster.cli.haplan("apply changed.plan");
    expect(code).toBe(0);
    const after = await listAccount(emulated.aws);
    expect(dataVolumes(after)).toEqual(dataVolumes(before));
    expect(instanceNamed(after, "m3").InstanceType).toBe("m7i.xlarge");
    await expectNoChanges();
  });

  it("A5: puts size, performance, type and tags of a data volume back, and makes none smaller", async () => {
    await apply();
    const [first, second, third] = dataVolumes(await listAccount(emulated.aws));
    const { ec2 } = emulated.aws;
    await ec2.send(new ModifyVolumeCommand({ VolumeId: first, Iops: 9000 }));
    await ec2.send(new ModifyVolumeCommand({ VolumeId: second, VolumeType: "io1" }));
    await ec2.send(new DeleteTagsCommand({ Resources: [second!], Tags: [{ Key: "haplan:machine" }] }));
    await ec2.send(new CreateTagsCommand({ Resources: [third!], Tags: [{ Key: "Team", Value: "other" }] }));
    await ec2.send(new ModifyVolumeCommand({ VolumeId: third, Size: 60 }));
    const plan = await emulated.cluster.cli.haplan("plan cloud.yaml");
    expect(plan.out).toMatch(/~ volume_iops += 3000 -> 9000/);
    expect(plan.out).toMatch(/~ volume_state += "attached"\s+-> "attached, of type io1, without haplan's tags"/);
    expect(plan.out).toContain("its tags was changed outside of haplan");
    expect(plan.out + plan.err).toContain("The data volume of m3 has 60 GiB, not the 20 GiB of the spec");
    expect(plan.out).not.toMatch(/volume_size +=|will be destroyed|replaced|stop agent/);
    expect((await emulated.cluster.cli.haplan("apply -auto-approve cloud.yaml")).code).toBe(0);
    const { volumes } = await listAccount(emulated.aws);
    const byId = (id: string | undefined): Inventory["volumes"][number] | undefined =>
      volumes.find(({ VolumeId }) => VolumeId === id);
    expect(byId(first)).toMatchObject({ Iops: 3000, Size: 20 });
    expect(byId(second)).toMatchObject({ VolumeType: "gp3" });
    expect(tagOf(byId(second)?.Tags, "haplan:machine")).toBe("m2");
    expect(tagOf(byId(third)?.Tags, "Team")).toBe("platform");
    expect(byId(third)?.Size).toBe(60);
    const again = await emulated.cluster.cli.haplan("plan -detailed-exitcode cloud.yaml");
    expect(again).toMatchObject({ code: 0, out: expect.stringContaining("No changes") });
    expect(again.out + again.err).toContain("AWS makes no volume smaller");
  });

  it("A6: says what was checked before there is a host", async () => {
    const { code, out } = await emulated.cluster.cli.haplan("check cloud.yaml");
    expect(code).toBe(0);
    expect(out.replaceAll(/\s+/g, " ")).toContain(
      "Success! There is no host to check yet. Checked were: the VPC, and the subnet of each machine, images, instance types, their zones and architectures, the key pair, by dry runs RunInstances and CreateSecurityGroup, with their tags. Nothing was changed.",
    );
  });

  it.each([
    ["does not exist", "m7i.huge", 'There is no instance type "m7i.huge" in this region'],
    [
      "is not offered in a zone",
      "c3.large",
      'The instance type "c3.large" is not offered in eu-central-1c, where m3 is to be',
    ],
    ["has another architecture", "t4g.large", 'The instance type "t4g.large" is arm64, and the image ami-'],
  ])("A6: finds an instance type that %s before anything is stopped, at its line and column", async (_, type, said) => {
    await apply();
    const before = await listAccount(emulated.aws);
    emulated.cluster.writeSpec((text) => text.replace("instanceType: m7i.large", `instanceType: ${type}`));
    emulated.cluster.takeCalls();
    for (const words of ["check", "plan", "apply -auto-approve"]) {
      const { code, err } = await emulated.cluster.cli.haplan(`${words} cloud.yaml`);
      expect({ words, code }).toEqual({ words, code: 1 });
      expect(err.replaceAll(/\s*\n│ /g, " ")).toContain(said);
      expect(err).toMatch(/on cloud\.yaml:20:19, in spec\.provider\.instanceType/);
    }
    expect(emulated.cluster.takeCalls().filter((call) => !/^(Describe|Get)/.test(call))).toEqual([]);
    const after = await listAccount(emulated.aws);
    expect(after.instances.map(({ InstanceId }) => InstanceId)).toEqual(
      before.instances.map(({ InstanceId }) => InstanceId),
    );
  });

  it("A6: finds all that does not exist at once, each at its line and column", async () => {
    emulated.cluster.writeSpec((text) =>
      text
        .replace("keyName: operators", "keyName: missing\n    instanceProfile: absent")
        .replace("instanceType: t3.small", "instanceType: t3.tiny")
        .replace("address: 10.0.2.10", "address: 10.9.2.10"),
    );
    const { code, err } = await emulated.cluster.cli.haplan("check cloud.yaml");
    expect(code).toBe(1);
    expect(err).toContain('There is no instance profile "absent"');
    expect(err).toContain('There is no instance type "t3.tiny"');
    for (const place of [/keyName/, /instanceProfile/, /workers\[\d\]\.instanceType/, /masters\[1\]\.address/])
      expect(err).toMatch(new RegExp(`on cloud\\.yaml:\\d+:\\d+, in spec\\.\\S*${place.source}`));
    emulated.cluster.writeSpec((text) =>
      text.replace("keyName: operators", "keyName: operators\n    instanceProfile: absent"),
    );
    const profile = await emulated.cluster.cli.haplan("apply -auto-approve cloud.yaml");
    expect(profile.code).toBe(1);
    expect(profile.err).toContain('There is no instance profile "absent"');
    expect(profile.err).toMatch(/on cloud\.yaml:\d+:\d+, in spec\.provider\.instanceProfile/);
    expect(counts(await listAccount(emulated.aws))).toEqual(emptyAccount);
  });

  it("grows from 3 to 5 masters", async () => {
    await apply();
    emulated.cluster.writeSpec((text) =>
      text
        .replace("members: 3", "members: 5")
        .replace(
          "  workers:",
          "      - { name: m4, address: 10.0.1.11, zone: eu-central-1a }\n      - { name: m5, address: 10.0.2.11, zone: eu-central-1b }\n  workers:",
        )
        // The groups of those that share a zone are not emulated.
        .replaceAll(/, zone: eu-central-1./g, ""),
    );
    await apply();
    expect(await healthyTargets()).toHaveLength(5);
    expect(counts(await listAccount(emulated.aws))).toMatchObject({
      instances: 7,
      groups: 3,
      balancers: 1,
      targetGroups: 1,
    });
    await expectNoChanges();
  });

  it.each([
    ["instance type", (text: string) => text.replace("instanceType: m7i.large", "instanceType: m7i.xlarge")],
    ["image", (text: string) => text.replace(/image: .*/, `image: ${otherImage}`)],
  ])(
    "A4: gives masters another %s one at a time, the leader last, as the same members with their data",
    async (_, change) => {
      await apply();
      const { facts } = emulated.cluster.cli.world;
      const leader = facts.members.find(({ id }) => id === facts.leader)?.name;
      const others = ["m1", "m2", "m3"].filter((name) => name !== leader);
      const [before, ids] = [await listAccount(emulated.aws), memberIds()];
      emulated.cluster.writeSpec(change);
      const plan = await haplan("plan");
      expect(plan).toContain("has changed, with its data kept");
      expect(plan).not.toContain("destroy machine m");
      const out = await apply();
      const acts = [...out.matchAll(/\] ((?:stop|restart|update) (?:agent|machine) m\d) \.\.\./g)].map(
        ([, act]) => act,
      );
      const each = (name = ""): string[] => [`stop agent ${name}`, `update machine ${name}`, `restart agent ${name}`];
      expect(acts).toEqual([...others.flatMap(each), ...each(leader)]);
      const after = await listAccount(emulated.aws);
      expect(counts(after)).toEqual({ ...full, volumes: 8 });
      expect(dataVolumes(after)).toEqual(dataVolumes(before));
      expect(memberIds()).toEqual(ids);
      for (const name of ["m1", "m2", "m3"]) {
        const [old, now] = [instanceNamed(before, name), instanceNamed(after, name)];
        expect(now.InstanceId).not.toBe(old.InstanceId);
        expect([now.InstanceType, now.ImageId]).not.toEqual([old.InstanceType, old.ImageId]);
        expect(tagOf(now.Tags, "haplan:generation")).toBe("1");
      }
      expect(await healthyTargets()).toHaveLength(3);
      await expectNoChanges();
    },
  );

  const withProfile = (name: string) => (text: string) =>
    text.replace("    keyName: operators\n", (line) => `${line}    instanceProfile: ${name}\n`);
  const instanceIds = (found: Inventory): readonly (string | undefined)[] =>
    found.instances.map(({ InstanceId }) => InstanceId).toSorted();

  it("gets an instance profile that is added in place, loses one that is removed, and keeps its instances through the next change", async () => {
    await createInstanceProfiles(emulated.aws.endpoint, "control-plane");
    await apply();
    const before = await listAccount(emulated.aws);
    emulated.cluster.writeSpec(withProfile("control-plane"));
    const plan = await haplan("plan");
    expect(plan).toMatch(/[+] iam_instance_profile += "control-plane"/);
    expect(plan).not.toMatch(/will be destroyed|replaced|stop agent/);
    await apply();
    await expectNoChanges();
    const profiles = (found: Inventory): readonly (string | undefined)[] =>
      found.instances.map(({ IamInstanceProfile }) => IamInstanceProfile?.Arn?.replace(/.*\//, ""));
    expect(new Set(profiles(await listAccount(emulated.aws)))).toEqual(new Set(["control-plane"]));
    emulated.cluster.writeSpec((text) => withProfile("control-plane")(text).replace("Team=platform", "Team=storage"));
    const out = await apply();
    expect(out).not.toMatch(/destroy machine|stop agent/);
    await expectNoChanges();
    emulated.cluster.writeSpec();
    await apply();
    await expectNoChanges();
    const after = await listAccount(emulated.aws);
    expect(new Set(profiles(after))).toEqual(new Set([undefined]));
    expect(instanceIds(after)).toEqual(instanceIds(before));
  });

  it("gets other data volumes when a KMS key is added, one master at a time with a learner each", async () => {
    await apply();
    const before = await listAccount(emulated.aws);
    emulated.cluster.writeSpec((text) => text.replace("sizeGiB: 20", "sizeGiB: 20, kmsKey: alias/control-plane"));
    const plan = await haplan("plan");
    expect(plan).toMatch(/volume_kms_key += "alias\/control-plane".*forces replacement/);
    const out = await apply();
    const acts = [...out.matchAll(/\] ((?:stop agent|destroy machine|add) m\d)/g)].map(([, act = ""]) => act);
    const [first = "", second = "", third = ""] = [...new Set(acts.map((act) => act.slice(-2)))];
    const each = (name: string): string[] => [`stop agent ${name}`, `destroy machine ${name}`, `add ${name}`];
    expect([...new Set(acts)]).toEqual([first, second, third].flatMap(each));
    const after = await listAccount(emulated.aws);
    for (const name of ["m1", "m2", "m3"])
      expect(tagOf(instanceNamed(after, name).Tags, "haplan:generation")).toBe("2");
    expect(dataVolumes(after)).not.toEqual(dataVolumes(before));
    await expectNoChanges();
  });

  it("stays as it is when the spec names its VPC and its image in other words", async () => {
    await apply();
    const before = await listAccount(emulated.aws);
    const { VpcId = "", ImageId = "" } = before.instances[0]!;
    emulated.cluster.writeSpec((text) =>
      text.replace(/vpc: .*/, `vpc: ${VpcId}`).replace(/image: .*/, `image: ${ImageId}`),
    );
    const plan = await haplan("plan");
    expect(plan).toContain("its image and vpc in the spec has changed");
    expect(plan).toContain("Plan: 0 to add, 5 to change, 0 to destroy.");
    expect(plan).not.toMatch(/outside of haplan|machine m1|agent m1/);
    await apply();
    await expectNoChanges();
    expect(instanceIds(await listAccount(emulated.aws))).toEqual(instanceIds(before));
    emulated.cluster.writeSpec();
    await apply();
    await expectNoChanges();
    expect(instanceIds(await listAccount(emulated.aws))).toEqual(instanceIds(before));
  });

  it("A4: keeps its image when the parameter has a newer one, which check tells of", async () => {
    const ssm = new SSMClient({ region: emulatedRegion, endpoint: emulated.aws.endpoint });
    const release = async (Value: string): Promise<void> =>
      void (await ssm.send(new PutParameterCommand({ Name: "/own/image", Value, Type: "String", Overwrite: true })));
    const { Images = [] } = await emulated.aws.ec2.send(new DescribeImagesCommand({}));
    const [first = "", second = ""] = Images.flatMap(({ ImageId = "" }) =>
      /^ami-[0-9a-f]+$/.test(ImageId) ? [ImageId] : [],
    );
    await release(first);
    emulated.cluster.writeSpec((text) => text.replace(/image: .*/, "image: ssm:/own/image"));
    await apply();
    await release(second);
    await expectNoChanges();
    expect((await emulated.cluster.cli.haplan("check cloud.yaml")).err).toContain(`There is a newer image: ${second}`);
    // A machine that is created now has the image of the others.
    const replaced = await emulated.cluster.cli.haplan("apply -auto-approve -replace=haplan_machine.w1 cloud.yaml");
    expect(replaced.code).toBe(0);
    expect(instanceNamed(await listAccount(emulated.aws), "w1").ImageId).toBe(first);
    ssm.destroy();
  });

  it("needs at most 15 calls for a plan without changes, with 7 masters and 20 workers", async () => {
    const list = (count: number, line: (at: number) => string): string =>
      Array.from({ length: count }, (_, at) => `      - ${line(at + 1)}\n`).join("");
    emulated.cluster.writeSpec((text) =>
      text
        .replace("members: 3", "members: 7")
        .replace(/ {4}masters:[\s\S]*/, "")
        .concat(
          `    masters:\n${list(7, (at) => `{ name: m${at}, address: 10.0.${(at % 3) + 1}.${10 + at} }`)}`,
          `  workers:\n${list(20, (at) => `{ name: w${at}, address: 10.0.${(at % 3) + 1}.${50 + at} }`)}`,
        ),
    );
    await apply();
    emulated.cluster.takeCalls();
    await expectNoChanges();
    const calls = emulated.cluster.takeCalls();
    expect(calls.length, calls.join(" ")).toBeLessThanOrEqual(15);
    expect(calls.filter((call) => !/^(Describe|Get)/.test(call))).toEqual([]);
    const page = readFileSync(join(root, "docs/aws.md"), "utf8");
    expect(page).toContain(`A plan without changes makes ${calls.length} calls to AWS`);
  });
});
