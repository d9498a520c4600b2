/** The instance of a master whose data volume exists: its member goes on with its data, whatever has become of the instance. */
import type { AwsContext } from "./aws-context.ts";
import { ensureInstance, type NewInstance } from "./create-instance.ts";
import { attachVolume } from "./data-volumes.ts";
import {
  type FoundInstance,
  findInstances,
  isAlive,
  startInstance,
  terminateInstances,
  untilRunning,
} from "./instances.ts";
import { keepOnTermination } from "./kept-on-termination.ts";

export type KeptMachine = NewInstance & { readonly volumeId: string };

/**
 * The instance as it is wanted, running, with the data volume: the one that there is, started if it is stopped; or a new one at the
 * same address, once the former one is terminated. Terminating leaves the volume, and only one instance can have it.
 */
export async function ensureKept(
  context: AwsContext,
  wanted: KeptMachine,
  signal?: AbortSignal,
): Promise<FoundInstance> {
  const { machine, generation, lineage } = wanted;
  const found = await findInstances(context, { machine, generation }, signal);
  const own = found.filter((instance) => isAlive(instance) && instance.lineage === lineage);
  const unlike = own.filter((instance) => !isLike(instance, wanted));
  const leaving = found.filter(({ state }) => state === "shutting-down");
  for (const instance of unlike) await keepOnTermination(context, instance, wanted.volumeId, signal);
  await terminateInstances(context, [...unlike, ...leaving], signal);
  const [stopped] = own.filter((instance) => !unlike.includes(instance) && instance.state.startsWith("stop"));
  if (stopped !== undefined) await startInstance(context, stopped, signal);
  const running = await untilRunning(context, await ensureInstance(context, wanted, signal), signal);
  await attachVolume(context, running, wanted.volumeId, signal);
  if (running.deletedWithIt.has(wanted.volumeId)) await keepOnTermination(context, running, wanted.volumeId, signal);
  return running;
}

/** Whether it has what can be chosen only when an instance is created. */
export function isLike(instance: FoundInstance, { attributes, ami }: Pick<KeptMachine, "attributes" | "ami">): boolean {
  const has = (value: string | null, name: string): boolean => value === (attributes[name] ?? null);
  return (
    instance.ami === ami &&
    has(instance.instanceType, "instance_type") &&
    has(instance.keyName, "key_name") &&
    has(instance.profile, "iam_instance_profile") &&
    has(instance.placementGroup, "placement_group")
  );
}
