/** Machines of the cluster on which nothing runs: their instance is stopped, has not got their volume back, or is gone. */
import type { ObservedMachine } from "../../plan/observed-cluster.ts";
import type { Attributes } from "../../plan/resource.ts";
import type { MachineIdentity } from "../provider.ts";
import type { AwsContext } from "./aws-context.ts";
import { findUsable } from "./data-volumes.ts";
import type { FoundInstance } from "./instances.ts";
import type { RecordedMachines } from "./recorded-machines.ts";

export type DownMachine = MachineIdentity & {
  /** Null: it is gone, and the data volume is there. */
  readonly instance: FoundInstance | null;
};

export type DownQuery = {
  readonly lineage: string | null;
  /** The instances of the cluster. */
  readonly own: readonly FoundInstance[];
  /** Names of machines whose hosts were asked. */
  readonly answered: ReadonlySet<string>;
};

/**
 * Those that an apply has completed, or found. What is pending has nothing yet: creating its machine adopts it.
 */
export async function findDown(
  context: AwsContext,
  recorded: RecordedMachines,
  { lineage, own, answered }: DownQuery,
  signal: AbortSignal | undefined,
): Promise<readonly DownMachine[]> {
  const found: DownMachine[] = [];
  for (const instance of own.filter((each) => lineage === null || each.lineage === lineage)) {
    const { machine: name, generation, address, zone } = instance;
    const isStopped = instance.state === "stopped" || instance.state === "stopping";
    const isEmpty = instance.state === "running" && recorded.volumeOf(name, generation) !== null;
    if (!answered.has(name) && (isStopped || isEmpty))
      found.push({ name, generation, address, zone, lineage: instance.lineage, instance });
  }
  if (lineage === null) return found;
  const withoutInstance = findWithoutInstance(recorded, lineage, own);
  const ids = withoutInstance.map(({ volumeId }) => volumeId);
  const usable = await findUsable(context, lineage, ids, signal);
  return [...found, ...withoutInstance.filter(({ volumeId }) => usable.has(volumeId))];
}

function findWithoutInstance(
  recorded: RecordedMachines,
  lineage: string,
  own: readonly FoundInstance[],
): readonly (DownMachine & { readonly volumeId: string })[] {
  return recorded.all().flatMap(({ name, generation, attributes, leftBehind = false }) => {
    const volumeId = recorded.volumeOf(name, generation);
    const exists = own.some(
      (instance) => instance.machine === name && instance.generation === generation && instance.lineage === lineage,
    );
    if (exists || leftBehind || volumeId === null) return [];
    const zone = attributes["availability_zone"];
    return [
      {
        ...{ name, generation, address: String(attributes["address"]), lineage, instance: null, volumeId },
        zone: typeof zone === "string" ? zone : null,
      },
    ];
  });
}

/** Its data is on its volume; nothing runs on it. */
export function observedDown(
  { name, address, lineage, generation, instance }: DownMachine,
  attributesOf: (instance: FoundInstance) => Attributes,
): ObservedMachine {
  const attributes = instance === null ? { instance_state: "terminated" } : attributesOf(instance);
  return { name, address, lineage, generation, hasData: true, units: [], attributes };
}
