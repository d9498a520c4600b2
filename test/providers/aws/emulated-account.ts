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

/** Instance profiles without a role, which instances can have all the same. */
export async function createInstanceProfiles(endpoint: string, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const made = await fetch(endpoint, {
      method: "POST",
      headers: {
        authorization: "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/iam/aws4_request",
        "content-type": "application/x-www-form-urlencoded",
      },
      body: new URLSearchParams({ Action: "CreateInstanceProfile", Version: "2010-05-08", InstanceProfileName: name }),
    });
    if (!made.ok) throw new Error(`IAM answers ${made.status}: ${await made.text()}`);
  }
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
