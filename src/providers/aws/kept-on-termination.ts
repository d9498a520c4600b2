/** The data volume of a master survives its instance: AWS deletes with an instance the volumes of which it was told so. */
import { type AwsContext, until } from "./aws-context.ts";
import { type FoundInstance, findInstances, isAlive } from "./instances.ts";

const keepTimeoutMs = 60_000;

/**
 * Makes AWS keep the volume when the instance is terminated, and returns once AWS says that it does: right before a
 * termination, since others may have changed it at any time.
 */
export async function keepOnTermination(
  context: AwsContext,
  { id, machine }: Pick<FoundInstance, "id" | "machine">,
  volumeId: string,
  signal?: AbortSignal,
): Promise<void> {
  const what = `the data volume of ${machine} to be kept when its instance is terminated`;
  const wait = { subject: machine, what, timeoutMs: keepTimeoutMs, intervalMs: 1_000, signal };
  await until(context, wait, async () => {
    const [found] = await findInstances(context, { id }, signal);
    if (found === undefined || !isAlive(found) || !found.deletedWithIt.has(volumeId)) return { done: null };
    const [device] = [...found.volumes].find(([, volume]) => volume === volumeId) ?? [];
    const input = {
      InstanceId: id,
      BlockDeviceMappings: [{ DeviceName: device, Ebs: { VolumeId: volumeId, DeleteOnTermination: false } }],
    };
    const purpose = `keep the data volume ${volumeId} of ${machine}`;
    await context.client.call("ModifyInstanceAttribute", input, { purpose, signal });
    return { waiting: `AWS would delete ${volumeId} with ${id}` };
  });
}
