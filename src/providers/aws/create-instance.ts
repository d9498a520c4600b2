/** The instance of a machine: created with an idempotency token, and with its data volume. */
import type { RunInstancesCommandInput } from "@aws-sdk/client-ec2";
import { HaplanError } from "../../base/haplan-error.ts";
import type { Attributes } from "../../plan/resource.ts";
import { present } from "./aws-client.ts";
import { type AwsContext, ownerOf, until } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { clientToken, ownerTags, tagKeys } from "./aws-names.ts";
import { volumeType } from "./data-volumes.ts";
import { type FoundInstance, findInstances, isAlive } from "./instances.ts";
import { dataDeviceName, prepareDataVolume } from "./user-data.ts";

/** How long AWS may take to find what it has just created. */
const findTimeoutMs = 60_000;
/** An address is free a while after its instance is gone. */
const addressTimeoutMs = 120_000;
/** As many instances of one generation may have been terminated by others within a day. */
export const attemptsMax = 20;

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
  // One at another address has copied tags.
  const existing = known.find(
    (instance) => isAlive(instance) && instance.lineage === lineage && instance.address === wanted.address,
  );
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

/** Whether the instance that was created with a token exists. */
async function isAliveWith(context: AwsContext, token: string, signal: AbortSignal | undefined): Promise<boolean> {
  return (await findInstances(context, { token }, signal)).some(isAlive);
}

/**
 * AWS remembers tokens for a day, those of terminated instances too: it returns the terminated instance, or says that the
 * settings are others. Then the next token is used.
 */
async function runInstance(context: AwsContext, wanted: NewInstance, signal: AbortSignal | undefined): Promise<string> {
  const { machine, lineage, generation } = wanted;
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const token = clientToken(lineage, machine, generation, attempt);
    const input = runInput(context, wanted, token);
    const options = { purpose: `create the instance of ${machine}`, signal };
    const made = await context.client.call("RunInstances", input, options).then(
      ({ Instances = [] }) => Instances[0],
      (error: unknown) => {
        if (error instanceof HaplanError && causeCode(error) === "IdempotentParameterMismatch") return error;
        throw error;
      },
    );
    if (made instanceof HaplanError) {
      // An instance with other settings was created with this token: a former one of the machine, which is gone, or that of an
      // apply that was killed, and AWS has not found it yet.
      if (await isAliveWith(context, token, signal)) throw made;
      continue;
    }
    const state = made?.State?.Name ?? "pending";
    if (state !== "terminated" && state !== "shutting-down") return present(made?.InstanceId, "InstanceId");
  }
  throw new HaplanError(
    "aws/terminated",
    `AWS has terminated ${attemptsMax} instances of ${machine}: see their state reason in the console`,
  );
}

/**
 * Asks AWS whether the instance could be created, without creating it: permissions, image, profile, key pair and the rest of the
 * request. AWS does not tell whether it has the capacity.
 * @throws HaplanError with what is wrong
 */
export async function assertCreatable(
  context: AwsContext,
  wanted: Omit<NewInstance, "groupId"> & { readonly groupId: string | null },
  signal?: AbortSignal,
): Promise<void> {
  // The present instance has the address, and a token stands for one request.
  const {
    PrivateIpAddress: _,
    ClientToken: __,
    SecurityGroupIds,
    Placement,
    ...input
  } = runInput(context, { ...wanted, groupId: wanted.groupId ?? "" }, "");
  const inGroups = { SecurityGroupIds, ...(Placement === undefined ? {} : { Placement }) };
  const purpose = `be sure that the instance of ${wanted.machine} can be created`;
  const dryRun = { ...input, ...(wanted.groupId === null ? {} : inGroups), DryRun: true };
  await context.client.call("RunInstances", dryRun, { purpose, signal }).catch((error: unknown) => {
    if (causeCode(error) !== "DryRunOperation") throw error;
  });
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
    VolumeType: volumeType,
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
