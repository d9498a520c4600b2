/** The cluster's EC2 instances: found by their tags, waited for, started and terminated. */
import type { Instance } from "@aws-sdk/client-ec2";
import { HaplanError } from "../../base/haplan-error.ts";
import { present } from "./aws-client.ts";
import { type AwsContext, until } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { type Tag, tagKeys, tagValue } from "./aws-names.ts";

export type FoundInstance = {
  readonly id: string;
  readonly machine: string;
  readonly generation: number;
  readonly lineage: string;
  /** The id of its account; empty if AWS does not say. */
  readonly owner: string;
  readonly state: string;
  /** The `ClientToken` that it was created with. */
  readonly token: string;
  readonly address: string;
  readonly ami: string;
  readonly zone: string;
  readonly subnetId: string;
  readonly vpcId: string;
  readonly instanceType: string;
  readonly keyName: string | null;
  readonly profile: string | null;
  readonly placementGroup: string | null;
  /** Security groups of its network interfaces. */
  readonly groupIds: readonly string[];
  /** The name of the device of its root volume. */
  readonly rootDevice: string;
  /** By the names of their devices. */
  readonly volumes: ReadonlyMap<string, string>;
  /** Ids of those volumes that AWS deletes when it terminates the instance. */
  readonly deletedWithIt: ReadonlySet<string>;
  readonly tags: readonly Tag[];
};

/** An `id` or a `token` is looked for whatever tags it has. */
export type InstanceQuery = {
  readonly machine?: string;
  readonly generation?: number;
  readonly id?: string;
  readonly token?: string;
};

const bootTimeoutMs = 300_000;
const terminateTimeoutMs = 600_000;

/** Whether the instance exists, or will come back. */
export function isAlive({ state }: Pick<FoundInstance, "state">): boolean {
  return state === "pending" || state === "running" || state === "stopping" || state === "stopped";
}

/** Also those that were terminated within the last hour. */
export async function findInstances(
  context: AwsContext,
  { machine, generation, id, token }: InstanceQuery,
  signal?: AbortSignal,
): Promise<readonly FoundInstance[]> {
  const Filters = [
    ...(id === undefined ? [{ Name: `tag:${tagKeys.cluster}`, Values: [context.spec.name] }] : []),
    ...(machine === undefined ? [] : [{ Name: `tag:${tagKeys.machine}`, Values: [machine] }]),
    ...(generation === undefined ? [] : [{ Name: `tag:${tagKeys.generation}`, Values: [String(generation)] }]),
    ...(id === undefined ? [] : [{ Name: "instance-id", Values: [id] }]),
    ...(token === undefined ? [] : [{ Name: "client-token", Values: [token] }]),
  ];
  const purpose = machine === undefined ? "find the instances of the cluster" : `find the instance of ${machine}`;
  return await describeInstances(context, Filters, purpose, signal);
}

/** The instances with these ids that exist, whatever tags they have. */
export async function findInstancesById(
  context: AwsContext,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<readonly FoundInstance[]> {
  if (ids.length === 0) return [];
  const Filters = [{ Name: "instance-id", Values: [...ids] }];
  return await describeInstances(context, Filters, "find the instances that the state has", signal);
}

/** The instances that a security group has, also those of others. */
export async function findInstancesInGroup(
  context: AwsContext,
  groupId: string,
  signal?: AbortSignal,
): Promise<readonly FoundInstance[]> {
  const Filters = [{ Name: "instance.group-id", Values: [groupId] }];
  const found = await describeInstances(
    context,
    Filters,
    `find the instances in the security group ${groupId}`,
    signal,
  );
  return found.filter(isAlive);
}

/** The instances of a VPC that have these addresses, also those of others. */
export async function findInstancesAt(
  context: AwsContext,
  vpcId: string,
  addresses: readonly string[],
  signal?: AbortSignal,
): Promise<readonly FoundInstance[]> {
  if (addresses.length === 0) return [];
  const Filters = [
    { Name: "vpc-id", Values: [vpcId] },
    { Name: "private-ip-address", Values: [...addresses] },
  ];
  const found = await describeInstances(context, Filters, "find out whether the addresses are in use", signal);
  return found.filter(isAlive);
}

async function describeInstances(
  { client }: AwsContext,
  Filters: { Name: string; Values: string[] }[],
  purpose: string,
  signal: AbortSignal | undefined,
): Promise<readonly FoundInstance[]> {
  return await client.all("DescribeInstances", { Filters }, { purpose, signal }, ({ Reservations = [] }) =>
    Reservations.flatMap(({ Instances = [], OwnerId = "" }) =>
      Instances.map((instance) => describe(instance, OwnerId)),
    ),
  );
}

function describe(instance: Instance, owner: string): FoundInstance {
  const tags = (instance.Tags ?? []).map(({ Key = "", Value = "" }) => ({ Key, Value }));
  const volumes = (instance.BlockDeviceMappings ?? []).flatMap(({ DeviceName, Ebs }) =>
    DeviceName === undefined || Ebs?.VolumeId === undefined ? [] : ([[DeviceName, Ebs.VolumeId]] as const),
  );
  return {
    id: present(instance.InstanceId, "InstanceId"),
    machine: tagValue(tags, tagKeys.machine) ?? "",
    generation: Number(tagValue(tags, tagKeys.generation) ?? 0),
    lineage: tagValue(tags, tagKeys.lineage) ?? "",
    owner,
    state: instance.State?.Name ?? "unknown",
    token: instance.ClientToken ?? "",
    address: instance.PrivateIpAddress ?? "",
    ami: instance.ImageId ?? "",
    zone: instance.Placement?.AvailabilityZone ?? "",
    subnetId: instance.SubnetId ?? "",
    vpcId: instance.VpcId ?? "",
    instanceType: instance.InstanceType ?? "",
    keyName: instance.KeyName ?? null,
    profile: instance.IamInstanceProfile?.Arn?.replace(/^.*\//, "") ?? null,
    placementGroup: instance.Placement?.GroupName || null,
    groupIds: (instance.SecurityGroups ?? []).flatMap(({ GroupId }) => (GroupId === undefined ? [] : [GroupId])),
    rootDevice: instance.RootDeviceName ?? "",
    volumes: new Map(volumes),
    deletedWithIt: new Set(
      (instance.BlockDeviceMappings ?? []).flatMap(({ Ebs }) =>
        Ebs?.DeleteOnTermination === true && Ebs.VolumeId !== undefined ? [Ebs.VolumeId] : [],
      ),
    ),
    tags,
  };
}

/** Waits until it runs. @throws HaplanError `aws/not-running` when it was terminated at its start, with AWS's reason */
export async function untilRunning(
  context: AwsContext,
  { id, machine }: Pick<FoundInstance, "id" | "machine">,
  signal?: AbortSignal,
): Promise<FoundInstance> {
  const wait = { subject: machine, what: `the instance of ${machine} to run`, timeoutMs: bootTimeoutMs, signal };
  return await until(context, wait, async () => {
    const [found] = await findInstances(context, { id }, signal);
    if (found?.state === "running") return { done: found };
    if (found !== undefined && !isAlive(found)) {
      const advice = "Its state reason in the console says why: a KMS key that may not be used, or a limit of volumes";
      throw new HaplanError(
        "aws/not-running",
        `The instance of ${machine} (${id}) is ${found.state} instead of running\n${advice}`,
      );
    }
    return { waiting: found === undefined ? `AWS does not find ${id}` : `it is ${found.state}` };
  });
}

/** Starts an instance that is stopped, or is being stopped. */
export async function startInstance(
  context: AwsContext,
  { id, machine }: Pick<FoundInstance, "id" | "machine">,
  signal?: AbortSignal,
): Promise<void> {
  const wait = { subject: machine, what: `the instance of ${machine} to be stopped`, timeoutMs: bootTimeoutMs, signal };
  await until(context, wait, async () => {
    const [found] = await findInstances(context, { id }, signal);
    return found?.state === "stopping" ? { waiting: "it is stopping" } : { done: null };
  });
  // It changes nothing for one that runs or starts already.
  const options = { purpose: `start the instance of ${machine}`, signal };
  await context.client.call("StartInstances", { InstanceIds: [id] }, options);
  await untilRunning(context, { id, machine }, signal);
}

/** Terminates instances, and waits until they are gone and their addresses free. */
export async function terminateInstances(
  context: AwsContext,
  instances: readonly FoundInstance[],
  signal?: AbortSignal,
): Promise<void> {
  for (const { id, machine, state } of instances) {
    const purpose = `terminate the instance of ${machine}`;
    if (isAlive({ state })) {
      await context.client
        .call("TerminateInstances", { InstanceIds: [id] }, { purpose, signal })
        .catch((error: unknown) => {
          if (causeCode(error) !== "InvalidInstanceID.NotFound") throw error;
        });
    }
    const what = `the instance of ${machine} to be terminated`;
    const wait = { subject: machine, what, timeoutMs: terminateTimeoutMs, signal };
    await until(context, wait, async () => {
      const [found] = await findInstances(context, { id }, signal);
      return found === undefined || found.state === "terminated" ? { done: null } : { waiting: `it is ${found.state}` };
    });
  }
}

/** The status checks of AWS for instances that do not answer: what is wrong; null for one that is well. */
export async function findImpaired(
  { client }: AwsContext,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map();
  const options = { purpose: "ask for the status of instances that do not answer", signal };
  const input = { Filters: [{ Name: "instance-status.status", Values: ["impaired"] }], InstanceIds: [...ids] };
  const found = await client.all("DescribeInstanceStatus", input, options, ({ InstanceStatuses }) => InstanceStatuses);
  return new Map(
    found.flatMap(({ InstanceId, SystemStatus }) => {
      if (InstanceId === undefined) return [];
      const part = SystemStatus?.Status === "impaired" ? "the hardware below the instance" : "the instance";
      return [[InstanceId, `AWS's status check says that ${part} is impaired`] as const];
    }),
  );
}
