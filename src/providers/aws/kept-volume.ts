/** The instance of a master whose data volume exists: its member goes on with its data, whatever has become of the instance. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { AwsContext } from "./aws-context.ts";
import { assertCreatable, ensureInstance, type NewInstance } from "./create-instance.ts";
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
import { otherDataVolume, otherVolumeError } from "./own-volumes.ts";

export type KeptMachine = NewInstance & {
  readonly volumeId: string;
  /** What becomes of an instance that is not as wanted: it stays so, it is terminated, or the call is refused. */
  readonly otherInstance: "stays" | "isReplaced" | "isRefused";
};

/**
 * The instance as it is wanted, running, with the data volume: the one that there is, started if it is stopped; or a new one at the
 * same address, once the former one is terminated. Terminating leaves the volume, and only one instance can have it.
 * @throws HaplanError `aws/not-replaced`, `aws/other-volume`
 */
export async function ensureKept(
  context: AwsContext,
  wanted: KeptMachine,
  signal?: AbortSignal,
): Promise<FoundInstance> {
  const { machine, generation, lineage } = wanted;
  const found = await findInstances(context, { machine, generation }, signal);
  const isOwn = (instance: FoundInstance): boolean =>
    instance.lineage === lineage && instance.address === wanted.address;
  const own = found.filter((instance) => isAlive(instance) && isOwn(instance));
  for (const instance of own) refuseOtherVolume(instance, wanted.volumeId);
  const unlike =
    wanted.otherInstance === "stays" ? [] : own.filter((instance) => unlikeIn(instance, wanted).length > 0);
  if (wanted.otherInstance === "isRefused") for (const instance of unlike) refuseReplacement(instance, wanted);
  const leaving = found.filter(({ state, lineage: other }) => state === "shutting-down" && other === lineage);
  // An instance that cannot be replaced is not terminated.
  if (unlike.length > 0) await assertCreatable(context, wanted, signal);
  for (const instance of unlike) await keepOnTermination(context, instance, wanted.volumeId, signal);
  await terminateInstances(context, [...unlike, ...leaving], signal);
  const [stopped] = own.filter((instance) => !unlike.includes(instance) && instance.state.startsWith("stop"));
  if (stopped !== undefined) await startInstance(context, stopped, signal);
  const running = await untilRunning(context, await ensureInstance(context, wanted, signal), signal);
  await attachVolume(context, running, wanted.volumeId, signal);
  if (running.deletedWithIt.has(wanted.volumeId)) await keepOnTermination(context, running, wanted.volumeId, signal);
  return running;
}

/** The data on the volume that it has now would be lost to the member. */
function refuseOtherVolume(instance: FoundInstance, recorded: string): void {
  const present = otherDataVolume(instance, recorded);
  if (present !== null) throw otherVolumeError(instance, { present, recorded });
}

/** Names of what it has otherwise, of what can be chosen only when an instance is created. */
export function unlikeIn(
  instance: FoundInstance,
  { attributes, ami }: Pick<KeptMachine, "attributes" | "ami">,
): readonly string[] {
  const present = {
    instance_type: instance.instanceType,
    key_name: instance.keyName,
    placement_group: instance.placementGroup,
  };
  const names = Object.entries(present).flatMap(([name, value]) =>
    value === (attributes[name] ?? null) ? [] : [name],
  );
  return instance.ami === ami ? names : ["image", ...names];
}

/** The instance runs a member, and nothing has stopped it or made sure that the others can do without. */
function refuseReplacement(instance: FoundInstance, wanted: KeptMachine): never {
  const names = unlikeIn(instance, wanted).join(", ");
  throw new HaplanError(
    "aws/not-replaced",
    `The instance ${instance.id} of ${instance.machine} has another ${names} than this step is to leave it with\nIt was not terminated: only the steps of a replacement do that. Plan again`,
  );
}
