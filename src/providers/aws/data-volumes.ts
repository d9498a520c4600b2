/** Volumes with the data of masters. They survive their instances, and are deleted with their machines. */
import type { Volume } from "@aws-sdk/client-ec2";
import { HaplanError } from "../../base/haplan-error.ts";
import type { Json } from "../../base/json.ts";
import type { Attributes } from "../../plan/resource.ts";
import { type AwsContext, until } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { type Tag, tagKeys, tagValue } from "./aws-names.ts";
import { type FoundInstance, findInstancesById, type InstanceQuery, isAlive } from "./instances.ts";
import { dataDeviceName } from "./user-data.ts";

type Settings = { readonly Size: number; readonly Iops: number; readonly Throughput: number };

export type FoundVolume = {
  readonly id: string;
  readonly state: string;
  /** The id of an instance; null if it is attached to none. */
  readonly attachedTo: string | null;
  readonly isAttached: boolean;
  readonly type: string;
  /** Zero where AWS does not say: not of every type. */
  readonly settings: Settings;
  /** The id of the snapshot that it was made from; empty for one that was created empty. */
  readonly snapshotId: string;
  readonly tags: readonly Tag[];
};

/** The type of data volumes. */
export const volumeType = "gp3";

const deleteTimeoutMs = 120_000;
const attachTimeoutMs = 300_000;
const modifyTimeoutMs = 600_000;

function describe({ VolumeId = "", State = "available", Attachments = [], ...volume }: Volume): FoundVolume {
  const [attachment] = Attachments;
  return {
    id: VolumeId,
    state: State,
    attachedTo: attachment?.InstanceId ?? null,
    isAttached: attachment?.State === "attached",
    type: volume.VolumeType ?? volumeType,
    settings: { Size: volume.Size ?? 0, Iops: volume.Iops ?? 0, Throughput: volume.Throughput ?? 0 },
    snapshotId: volume.SnapshotId ?? "",
    tags: (volume.Tags ?? []).map(({ Key = "", Value = "" }) => ({ Key, Value })),
  };
}

/** All volumes of a machine of this cluster, its root volume included. */
async function findVolumes(
  { client, spec, own }: AwsContext,
  { machine = "", generation }: InstanceQuery,
  signal: AbortSignal | undefined,
): Promise<readonly FoundVolume[]> {
  const Filters = [
    { Name: `tag:${tagKeys.cluster}`, Values: [spec.name] },
    { Name: `tag:${tagKeys.lineage}`, Values: [own.get()] },
    { Name: `tag:${tagKeys.machine}`, Values: [machine] },
    ...(generation === undefined ? [] : [{ Name: `tag:${tagKeys.generation}`, Values: [String(generation)] }]),
  ];
  const options = { purpose: `find the volumes of ${machine}`, signal };
  const found = await client.all("DescribeVolumes", { Filters }, options, ({ Volumes }) => Volumes);
  return found.map(describe);
}

type VolumesToDelete = {
  readonly machine: InstanceQuery;
  /** Ids of those that the state has. */
  readonly recorded: readonly string[];
  /** Ids of those that are known to be haplan's. */
  readonly own: ReadonlySet<string>;
  /** Ids of those that others have attached to the instance: they stay, whatever their tags. */
  readonly others: ReadonlySet<string>;
};

/**
 * Deletes the volumes of a machine whose instance is gone, also recorded ones that lack its tags. A root volume goes with its instance by itself. haplan creates data
 * volumes empty: one that was made from a snapshot, with the tags of the machine, is a copy of others.
 */
export async function deleteVolumes(
  context: AwsContext,
  { machine, recorded, own, others }: VolumesToDelete,
  signal?: AbortSignal,
): Promise<void> {
  const isOwn = ({ id, snapshotId }: FoundVolume): boolean => own.has(id) || (!others.has(id) && snapshotId === "");
  const what = `the volumes of ${machine.machine} to be gone`;
  const subject = machine.machine ?? "";
  await until(context, { subject, what, timeoutMs: deleteTimeoutMs, signal }, async () => {
    const known = await findVolumesById(context, recorded, signal);
    const untagged = [...known.values()].filter(({ tags }) => tagValue(tags, tagKeys.lineage) === null);
    const all = new Map([...untagged, ...(await findVolumes(context, machine, signal))].map((each) => [each.id, each]));
    const found = [...all.values()].filter((volume) => volume.state !== "deleting" && isOwn(volume));
    const free = found.filter(({ state }) => state === "available" || state === "error");
    for (const { id } of free) {
      const purpose = `delete the volume ${id} of ${machine.machine}`;
      await context.client.call("DeleteVolume", { VolumeId: id }, { purpose, signal }).catch((error: unknown) => {
        if (causeCode(error) !== "InvalidVolume.NotFound") throw error;
      });
    }
    const left = found.length - free.length;
    return left === 0 ? { done: null } : { waiting: `${left} are still in use` };
  });
}

/** The volumes with these ids that exist, by their ids. */
export async function findVolumesById(
  { client }: AwsContext,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, FoundVolume>> {
  if (ids.length === 0) return new Map();
  const Filters = [{ Name: "volume-id", Values: [...ids] }];
  const options = { purpose: "find the volumes of instances", signal };
  const found = await client.all("DescribeVolumes", { Filters }, options, ({ Volumes }) => Volumes);
  return new Map(found.map(describe).map((volume) => [volume.id, volume]));
}

/** The volumes with the tags of these machines that no instance has. */
export async function findFreeVolumes(
  { client, spec }: AwsContext,
  lineage: string,
  machines: readonly string[],
  signal?: AbortSignal,
): Promise<readonly FoundVolume[]> {
  const Filters = [
    { Name: `tag:${tagKeys.cluster}`, Values: [spec.name] },
    { Name: `tag:${tagKeys.lineage}`, Values: [lineage] },
    { Name: `tag:${tagKeys.machine}`, Values: [...machines] },
    { Name: "status", Values: ["available"] },
  ];
  const options = { purpose: "find volumes of masters that the state does not have", signal };
  const found = await client.all("DescribeVolumes", { Filters }, options, ({ Volumes }) => Volumes);
  return found.map(describe);
}

function hasSettings({ settings }: FoundVolume, wanted: Settings): boolean {
  const names = ["Size", "Iops", "Throughput"] as const;
  return names.every((name) => settings[name] === 0 || settings[name] === wanted[name]);
}

/** The data volume with an id; null if it does not exist. */
async function findVolume({ client }: AwsContext, id: string, signal?: AbortSignal): Promise<FoundVolume | null> {
  const Filters = [{ Name: "volume-id", Values: [id] }];
  const options = { purpose: `find the volume ${id}`, signal };
  const [found] = await client.all("DescribeVolumes", { Filters }, options, ({ Volumes }) => Volumes);
  return found === undefined ? null : describe(found);
}

/** Of the volumes with these ids those of this lineage that exist, and that an instance may have. */
export async function findUsable(
  { client }: AwsContext,
  lineage: string,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const Filters = [
    { Name: "volume-id", Values: [...ids] },
    { Name: `tag:${tagKeys.lineage}`, Values: [lineage] },
  ];
  const options = { purpose: "find the data volumes of masters without an instance", signal };
  const found = await client.all("DescribeVolumes", { Filters }, options, ({ Volumes }) => Volumes);
  const usable = found.map(describe).filter(({ state }) => state === "available" || state === "in-use");
  return new Set(usable.map(({ id }) => id));
}

/** Attaches the data volume of a machine to its instance, once its former instance has released it. */
export async function attachVolume(
  context: AwsContext,
  instance: FoundInstance,
  volumeId: string,
  signal?: AbortSignal,
): Promise<void> {
  const { id, machine } = instance;
  if (instance.volumes.get(dataDeviceName) === volumeId) return;
  const purpose = `attach the data volume ${volumeId} of ${machine}`;
  const what = `the data volume of ${machine} to be attached`;
  await until(context, { subject: machine, what, timeoutMs: attachTimeoutMs, signal }, async () => {
    const volume = await findVolume(context, volumeId, signal);
    if (volume === null) {
      const advice = `Its data is lost: apply again with -replace=haplan_machine.${machine}`;
      throw new HaplanError("aws/no-volume", `The data volume ${volumeId} of ${machine} does not exist\n${advice}`);
    }
    if (volume.attachedTo === id) return volume.isAttached ? { done: null } : { waiting: "it is attaching" };
    if (volume.isAttached && volume.attachedTo !== null) await refuseHolder(context, instance, volume, signal);
    const holder = volume.attachedTo === null ? "" : `, attached to ${volume.attachedTo}`;
    if (volume.state !== "available") return { waiting: `it is ${volume.state}${holder}` };
    const input = { InstanceId: id, VolumeId: volumeId, Device: dataDeviceName };
    await context.client.call("AttachVolume", input, { purpose, signal });
    return { waiting: "it is attaching" };
  });
}

/** A former instance releases the volume when it is gone. One that goes on keeps it for as long as others want. */
async function refuseHolder(
  context: AwsContext,
  { id, machine }: FoundInstance,
  { id: volumeId, attachedTo }: FoundVolume,
  signal: AbortSignal | undefined,
): Promise<void> {
  const [holder] = await findInstancesById(context, [attachedTo ?? ""], signal);
  if (holder === undefined || !isAlive(holder)) return;
  const name = tagValue(holder.tags, "Name");
  const where = `${holder.id} (${[...(name === null ? [] : [name]), holder.address].join(", ")})`;
  throw new HaplanError(
    "aws/volume-elsewhere",
    `The data volume ${volumeId} of ${machine} is attached to another instance: ${where}\nDetach it there, and apply again: haplan attaches it to ${id}`,
  );
}

/**
 * Brings type, size and performance of a data volume to what is wanted, while it is in use. The file system on it is not changed.
 * A volume that others have made larger stays as large as it is; `formerSize`: what haplan has given it.
 * @returns whether it has become larger
 * @throws HaplanError `aws/volume-shrinks`
 */
export async function modifyVolume(
  context: AwsContext,
  machine: string,
  volumeId: string,
  { formerSize, attributes }: { readonly formerSize: Json | undefined; readonly attributes: Attributes },
  signal?: AbortSignal,
): Promise<boolean> {
  const volume = await findVolume(context, volumeId, signal);
  if (volume === null) return false;
  const { Size } = volume.settings;
  const size = Number(attributes["volume_size"]);
  if (size < Size && formerSize !== attributes["volume_size"])
    throw new HaplanError(
      "aws/volume-shrinks",
      `The data volume of ${machine} has ${Size} GiB, and cannot have ${size} GiB\nAWS makes volumes larger only. Write \`sizeGiB: ${Size}\` or more`,
    );
  const wanted = {
    Size: Math.max(size, Size),
    Iops: Number(attributes["volume_iops"]),
    Throughput: Number(attributes["volume_throughput"]),
  };
  const isOfType = volume.type === volumeType;
  if (isOfType && hasSettings(volume, wanted)) return false;
  const purpose = `change the data volume of ${machine}`;
  await context.client.call(
    "ModifyVolume",
    { VolumeId: volumeId, ...(isOfType ? {} : { VolumeType: volumeType }), ...wanted },
    { purpose, signal },
  );
  const wait = {
    subject: machine,
    what: `the data volume of ${machine} to change`,
    timeoutMs: modifyTimeoutMs,
    signal,
  };
  await until(context, wait, async () => {
    const { VolumesModifications: [last] = [] } = await context.client.call(
      "DescribeVolumesModifications",
      { VolumeIds: [volumeId] },
      { purpose, signal },
    );
    // It has its new size from "optimizing" on.
    const state = last?.ModificationState ?? "completed";
    if (state === "failed") {
      throw new HaplanError("aws/volume-unchanged", `Cannot ${purpose}: AWS says ${last?.StatusMessage ?? state}`);
    }
    return state === "modifying" ? { waiting: `it is ${state}` } : { done: null };
  });
  return wanted.Size > Size;
}
