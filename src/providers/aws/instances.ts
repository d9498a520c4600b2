/** The cluster's EC2 instances: found by their tags, created with an idempotency token, and waited for. */
import type { Instance, RunInstancesCommandInput } from "@aws-sdk/client-ec2";
import { HaplanError } from "../../base/haplan-error.ts";
import type { Attributes } from "../../plan/resource.ts";
import { present } from "./aws-client.ts";
import { type AwsContext, ownerOf, until } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { clientToken, ownerTags, type Tag, tagKeys, tagValue } from "./aws-names.ts";
import { dataDeviceName, prepareDataVolume } from "./user-data.ts";

export type FoundInstance = {
  readonly id: string;
  readonly machine: string;
  readonly generation: number;
  readonly lineage: string;
  readonly state: string;
  readonly address: string;
  readonly ami: string;
  readonly zone: string;
  readonly subnetId: string;
  readonly instanceType: string;
  readonly keyName: string | null;
  readonly profile: string | null;
  readonly placementGroup: string | null;
  /** Security groups of its network interfaces. */
  readonly groupIds: readonly string[];
  /** By the names of their devices. */
  readonly volumes: ReadonlyMap<string, string>;
  readonly tags: readonly Tag[];
};

export type InstanceQuery = { readonly machine?: string; readonly generation?: number; readonly id?: string };

const bootTimeoutMs = 300_000;
const terminateTimeoutMs = 600_000;
/** How long AWS may take to find what it has just created. */
const findTimeoutMs = 60_000;
/** An address is free a while after its instance is gone. */
const addressTimeoutMs = 120_000;
/** As many instances of one generation may have been terminated by others within a day. */
const attemptsMax = 20;

/** Whether the instance exists, or will come back. */
export function isAlive({ state }: Pick<FoundInstance, "state">): boolean {
  return state === "pending" || state === "running" || state === "stopping" || state === "stopped";
}

/** Also those that were terminated within the last hour. */
export async function findInstances(
  { client, spec }: AwsContext,
  { machine, generation, id }: InstanceQuery,
  signal?: AbortSignal,
): Promise<readonly FoundInstance[]> {
  const Filters = [
    { Name: `tag:${tagKeys.cluster}`, Values: [spec.name] },
    ...(machine === undefined ? [] : [{ Name: `tag:${tagKeys.machine}`, Values: [machine] }]),
    ...(generation === undefined ? [] : [{ Name: `tag:${tagKeys.generation}`, Values: [String(generation)] }]),
    ...(id === undefined ? [] : [{ Name: "instance-id", Values: [id] }]),
  ];
  const purpose = machine === undefined ? "find the instances of the cluster" : `find the instance of ${machine}`;
  const found = await client.all("DescribeInstances", { Filters }, { purpose, signal }, ({ Reservations = [] }) =>
    Reservations.flatMap(({ Instances = [] }) => Instances),
  );
  return found.map(describe);
}

function describe(instance: Instance): FoundInstance {
  const tags = (instance.Tags ?? []).map(({ Key = "", Value = "" }) => ({ Key, Value }));
  const volumes = (instance.BlockDeviceMappings ?? []).flatMap(({ DeviceName, Ebs }) =>
    DeviceName === undefined || Ebs?.VolumeId === undefined ? [] : ([[DeviceName, Ebs.VolumeId]] as const),
  );
  return {
    id: present(instance.InstanceId, "InstanceId"),
    machine: tagValue(tags, tagKeys.machine) ?? "",
    generation: Number(tagValue(tags, tagKeys.generation) ?? 0),
    lineage: tagValue(tags, tagKeys.lineage) ?? "",
    state: instance.State?.Name ?? "unknown",
    address: instance.PrivateIpAddress ?? "",
    ami: instance.ImageId ?? "",
    zone: instance.Placement?.AvailabilityZone ?? "",
    subnetId: instance.SubnetId ?? "",
    instanceType: instance.InstanceType ?? "",
    keyName: instance.KeyName ?? null,
    profile: instance.IamInstanceProfile?.Arn?.replace(/^.*\//, "") ?? null,
    placementGroup: instance.Placement?.GroupName || null,
    groupIds: (instance.SecurityGroups ?? []).flatMap(({ GroupId }) => (GroupId === undefined ? [] : [GroupId])),
    volumes: new Map(volumes),
    tags,
  };
}

export type NewInstance = {
  readonly machine: string;
  readonly lineage: string;
  readonly generation: number;
  readonly address: string;
  readonly subnetId: string;
  readonly ami: string;
  readonly groupId: string;
  readonly attributes: Attributes;
  /** The data volume of the machine, which a former instance had; null for a new one, which is created with the instance. */
  readonly volumeId: string | null;
};

/** The instance of a machine: the one that exists, or a new one. It may still be booting. */
export async function ensureInstance(
  context: AwsContext,
  wanted: NewInstance,
  signal?: AbortSignal,
): Promise<FoundInstance> {
  const { machine, generation, lineage } = wanted;
  const known = await findInstances(context, { machine, generation }, signal);
  const existing = known.find((instance) => isAlive(instance) && instance.lineage === lineage);
  if (existing !== undefined) return existing;
  const wait = {
    subject: machine,
    what: `the address ${wanted.address} to be free`,
    timeoutMs: addressTimeoutMs,
    signal,
  };
  const id = await until(context, wait, async () => {
    try {
      return { done: await runInstance(context, wanted, signal) };
    } catch (error) {
      if (causeCode(error) !== "InvalidIPAddress.InUse" || !(await isLeaving(context, wanted.address, signal)))
        throw error;
      return { waiting: "its former instance is not gone yet" };
    }
  });
  return await untilFound(context, wanted, id, signal);
}

/** Whether an instance of the cluster that is being terminated has, or had, the address. */
async function isLeaving(context: AwsContext, address: string, signal: AbortSignal | undefined): Promise<boolean> {
  const found = await findInstances(context, {}, signal);
  return found.some((instance) => !isAlive(instance) && (instance.address === address || instance.address === ""));
}

/** AWS returns a terminated instance for the token of one: then the next token is used. */
async function runInstance(context: AwsContext, wanted: NewInstance, signal: AbortSignal | undefined): Promise<string> {
  const { machine, lineage, generation } = wanted;
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const token = clientToken(lineage, machine, generation, attempt);
    const input = runInput(context, wanted, token);
    const options = { purpose: `create the instance of ${machine}`, signal };
    const made = await context.client.call("RunInstances", input, options).then(
      ({ Instances = [] }) => Instances[0],
      (error: unknown) => {
        // The former instance of the machine, which has other settings, was created with this token.
        if (wanted.volumeId !== null && causeCode(error) === "IdempotentParameterMismatch") return null;
        throw error;
      },
    );
    if (made === null) continue;
    const state = made?.State?.Name ?? "pending";
    if (state !== "terminated" && state !== "shutting-down") return present(made?.InstanceId, "InstanceId");
  }
  throw new HaplanError(
    "aws/terminated",
    `AWS has terminated ${attemptsMax} instances of ${machine}: see their state reason in the console`,
  );
}

function runInput(context: AwsContext, wanted: NewInstance, token: string): RunInstancesCommandInput {
  const { attributes, machine, lineage, generation, address, subnetId, ami, groupId, volumeId } = wanted;
  const text = (name: string): string | null => {
    const value = attributes[name];
    return typeof value === "string" ? value : null;
  };
  const tags = [
    ...ownerTags(ownerOf(context, lineage), `${context.spec.name}-${machine}`),
    { Key: tagKeys.machine, Value: machine },
    { Key: tagKeys.generation, Value: String(generation) },
  ];
  const [keyName, profile, group] = [text("key_name"), text("iam_instance_profile"), text("placement_group")];
  const isMaster = attributes["volume_size"] !== undefined;
  return {
    ImageId: ami,
    InstanceType: present(
      text("instance_type") ?? undefined,
      "instance_type",
    ) as RunInstancesCommandInput["InstanceType"],
    MinCount: 1,
    MaxCount: 1,
    ClientToken: token,
    SubnetId: subnetId,
    PrivateIpAddress: address,
    SecurityGroupIds: [groupId],
    ...(keyName === null ? {} : { KeyName: keyName }),
    ...(profile === null ? {} : { IamInstanceProfile: { Name: profile } }),
    ...(group === null ? {} : { Placement: { GroupName: group } }),
    MetadataOptions: { HttpEndpoint: "enabled", HttpTokens: "required", HttpPutResponseHopLimit: 1 },
    ...(isMaster
      ? {
          UserData: Buffer.from(prepareDataVolume).toString("base64"),
          ...(volumeId === null
            ? {
                BlockDeviceMappings: [
                  { DeviceName: dataDeviceName, Ebs: dataVolume(attributes, text("volume_kms_key")) },
                ],
              }
            : {}),
        }
      : {}),
    TagSpecifications: (["instance", "volume", "network-interface"] as const).map((ResourceType) => ({
      ResourceType,
      Tags: tags,
    })),
  };
}

type EbsOf<Input> = Input extends { BlockDeviceMappings?: (infer Mapping)[] | undefined }
  ? Mapping extends { Ebs?: infer Ebs }
    ? Ebs
    : never
  : never;

/** It is created with the instance, in one call, and survives it. */
function dataVolume(attributes: Attributes, kmsKey: string | null): NonNullable<EbsOf<RunInstancesCommandInput>> {
  return {
    VolumeType: "gp3",
    VolumeSize: Number(attributes["volume_size"]),
    Iops: Number(attributes["volume_iops"]),
    Throughput: Number(attributes["volume_throughput"]),
    Encrypted: true,
    ...(kmsKey === null ? {} : { KmsKeyId: kmsKey }),
    DeleteOnTermination: false,
  };
}

/** Right after it was created, AWS may not find it yet. */
async function untilFound(
  context: AwsContext,
  { machine }: NewInstance,
  id: string,
  signal: AbortSignal | undefined,
): Promise<FoundInstance> {
  const what = `the instance of ${machine} to be found`;
  const wait = { subject: machine, what, timeoutMs: findTimeoutMs, intervalMs: 1_000, signal };
  return await until(context, wait, async () => {
    const [found] = await findInstances(context, { id }, signal);
    return found === undefined ? { waiting: `AWS does not find ${id} yet` } : { done: found };
  });
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
