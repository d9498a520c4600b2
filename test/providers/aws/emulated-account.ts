/** What exists in the emulated account before haplan, and what is there afterwards. */
import {
  CreateKeyPairCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DescribeInstancesCommand,
  DescribeSecurityGroupsCommand,
  DescribeVolumesCommand,
  type EC2Client,
  type Instance,
  type SecurityGroup,
  type Volume,
} from "@aws-sdk/client-ec2";
import {
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  type LoadBalancer,
  type TargetGroup,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { AwsEmulator } from "./emulator.ts";

/** The VPC and the subnets of examples/aws-3-masters.yaml, or one network for addresses that begin with `prefix`. */
export async function prepareAccount(ec2: EC2Client, prefix: string | null = null): Promise<void> {
  const named = (
    ResourceType: "vpc" | "subnet",
    Value: string,
  ): { ResourceType: typeof ResourceType; Tags: { Key: string; Value: string }[] }[] => [
    { ResourceType, Tags: [{ Key: "Name", Value }] },
  ];
  const { Vpc } = await ec2.send(
    new CreateVpcCommand({ CidrBlock: `${prefix ?? "10.0"}.0.0/16`, TagSpecifications: named("vpc", "control-plane") }),
  );
  const VpcId = Vpc?.VpcId ?? "";
  for (const [at, zone] of (prefix === null ? ["a", "b", "c"] : ["a"]).entries()) {
    await ec2.send(
      new CreateSubnetCommand({
        VpcId,
        CidrBlock: prefix === null ? `10.0.${at + 1}.0/24` : `${prefix}.0.0/16`,
        AvailabilityZone: `eu-central-1${zone}`,
        TagSpecifications: named("subnet", zone),
      }),
    );
  }
  await ec2.send(new CreateKeyPairCommand({ KeyName: "operators" }));
}

/** A call to a service for which there is no client here. */
async function ask(endpoint: string, service: string, call: Readonly<Record<string, string>>): Promise<string> {
  const credential = `testing/20260101/us-east-1/${service}/aws4_request`;
  const answered = await fetch(endpoint, {
    method: "POST",
    headers: {
      authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host, Signature=0`,
      "content-type": "application/x-www-form-urlencoded",
    },
    body: new URLSearchParams(call),
  });
  const text = await answered.text();
  if (!answered.ok) throw new Error(`${service} answers ${answered.status}: ${text}`);
  return text;
}

/** Instance profiles without a role, which instances can have all the same. */
export async function createInstanceProfiles(endpoint: string, ...names: readonly string[]): Promise<void> {
  for (const InstanceProfileName of names)
    await ask(endpoint, "iam", { Action: "CreateInstanceProfile", Version: "2010-05-08", InstanceProfileName });
}

/** Credentials of another account, as variables. */
export async function otherAccount(endpoint: string): Promise<Readonly<Record<string, string>>> {
  const role = { RoleArn: "arn:aws:iam::222222222222:role/operator", RoleSessionName: "test" };
  const text = await ask(endpoint, "sts", { Action: "AssumeRole", Version: "2011-06-15", ...role });
  const [, AWS_ACCESS_KEY_ID = ""] = /<AccessKeyId>(.*)<\/AccessKeyId>/.exec(text) ?? [];
  return { AWS_ACCESS_KEY_ID };
}

export type Inventory = {
  /** Those that are not terminated. */
  readonly instances: readonly Instance[];
  readonly volumes: readonly Volume[];
  /** Without those that every VPC has. */
  readonly groups: readonly SecurityGroup[];
  readonly balancers: readonly LoadBalancer[];
  readonly targetGroups: readonly TargetGroup[];
};

export async function listAccount({ ec2, elb }: Pick<AwsEmulator, "ec2" | "elb">): Promise<Inventory> {
  const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({}));
  const { Volumes = [] } = await ec2.send(new DescribeVolumesCommand({}));
  const { SecurityGroups = [] } = await ec2.send(new DescribeSecurityGroupsCommand({}));
  const { LoadBalancers = [] } = await elb.send(new DescribeLoadBalancersCommand({}));
  const { TargetGroups = [] } = await elb.send(new DescribeTargetGroupsCommand({}));
  return {
    instances: Reservations.flatMap(({ Instances = [] }) => Instances).filter(
      ({ State }) => State?.Name !== "terminated",
    ),
    volumes: Volumes,
    groups: SecurityGroups.filter(({ GroupName }) => GroupName !== "default"),
    balancers: LoadBalancers,
    targetGroups: TargetGroups,
  };
}

/** The instance with the tag of a machine. */
export function instanceNamed({ instances }: Inventory, name: string): Instance {
  return instances.find(({ Tags }) => tagOf(Tags, "haplan:machine") === name)!;
}

/** The id of what is at the device of the data volume. */
export function dataVolumeOf({ BlockDeviceMappings = [] }: Instance): string | undefined {
  return BlockDeviceMappings.find(({ DeviceName }) => DeviceName === "/dev/sdf")?.Ebs?.VolumeId;
}

/** How many of each there are. */
export function counts(inventory: Inventory): Readonly<Record<keyof Inventory, number>> {
  return {
    instances: inventory.instances.length,
    volumes: inventory.volumes.length,
    groups: inventory.groups.length,
    balancers: inventory.balancers.length,
    targetGroups: inventory.targetGroups.length,
  };
}

export const emptyAccount: ReturnType<typeof counts> = {
  instances: 0,
  volumes: 0,
  groups: 0,
  balancers: 0,
  targetGroups: 0,
};

export function tagOf(
  tags: readonly { Key?: string | undefined; Value?: string | undefined }[] | undefined,
  key: string,
): string | undefined {
  return tags?.find(({ Key }) => Key === key)?.Value;
}
