/** Volumes with the data of masters. They survive their instances, and are deleted with their machines. */

import { type AwsContext, until } from "./aws-context.ts";
import { causeCode } from "./aws-failure.ts";
import { tagKeys } from "./aws-names.ts";
import type { FoundInstance, InstanceQuery } from "./instances.ts";
import { dataDeviceName } from "./user-data.ts";

type FoundVolume = { readonly id: string; readonly state: string };

const deleteTimeoutMs = 120_000;

/** All volumes of a machine, its root volume included. */
async function findVolumes(
  { client, spec }: AwsContext,
  { machine = "", generation }: InstanceQuery,
  signal: AbortSignal | undefined,
): Promise<readonly FoundVolume[]> {
  const Filters = [
    { Name: `tag:${tagKeys.cluster}`, Values: [spec.name] },
    { Name: `tag:${tagKeys.machine}`, Values: [machine] },
    ...(generation === undefined ? [] : [{ Name: `tag:${tagKeys.generation}`, Values: [String(generation)] }]),
  ];
  const options = { purpose: `find the volumes of ${machine}`, signal };
  const found = await client.all("DescribeVolumes", { Filters }, options, ({ Volumes }) => Volumes);
  return found.map(({ VolumeId = "", State = "available" }) => ({ id: VolumeId, state: State }));
}

/** Deletes the volumes of a machine whose instance is gone. A root volume goes with its instance by itself. */
export async function deleteVolumes(context: AwsContext, machine: InstanceQuery, signal?: AbortSignal): Promise<void> {
  const what = `the volumes of ${machine.machine} to be gone`;
  const subject = machine.machine ?? "";
  await until(context, { subject, what, timeoutMs: deleteTimeoutMs, signal }, async () => {
    const found = (await findVolumes(context, machine, signal)).filter(({ state }) => state !== "deleting");
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

/** Attaches the data volume of an instance that was detached from it. Does nothing if there is none left to attach. */
export async function attachVolume(context: AwsContext, instance: FoundInstance, signal?: AbortSignal): Promise<void> {
  const { id, machine, generation } = instance;
  if (instance.volumes.has(dataDeviceName)) return;
  const found = await findVolumes(context, { machine, generation }, signal);
  const free = found.find(({ state }) => state === "available");
  if (free === undefined) return;
  const input = { InstanceId: id, VolumeId: free.id, Device: dataDeviceName };
  await context.client.call("AttachVolume", input, { purpose: `attach the data volume of ${machine}`, signal });
}
