/** Data volumes that are larger than the spec says, which AWS cannot make smaller. Pure. */
import type { Diagnostic } from "../../base/diagnostic.ts";
import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import type { FoundVolume } from "./data-volumes.ts";
import type { FoundInstance } from "./instances.ts";
import { wantedSize } from "./observed-attributes.ts";
import type { RecordedMachines } from "./recorded-machines.ts";
import { dataDeviceName } from "./user-data.ts";

/** Those that others have made larger. A spec with a smaller size than haplan has given is a change, which is refused. */
export function largerVolumes(
  { provider }: ClusterSpec,
  recorded: RecordedMachines,
  instances: readonly FoundInstance[],
  volumes: ReadonlyMap<string, FoundVolume>,
): readonly Diagnostic[] {
  const wanted = wantedSize(provider);
  return instances.flatMap(({ machine, volumes: devices }): Diagnostic[] => {
    const volume = volumes.get(devices.get(dataDeviceName) ?? "");
    const isOfSpec = (recorded.attributesOf(machine)["volume_size"] ?? wanted) === wanted;
    if (volume === undefined || volume.settings.Size <= wanted || !isOfSpec) return [];
    const { Size } = volume.settings;
    const address = `haplan_machine.${machine}`;
    return [
      {
        severity: "warning",
        code: "aws/larger-volume",
        summary: `The data volume of ${machine} has ${Size} GiB, not the ${wanted} GiB of the spec`,
        detail: `It was made larger outside of haplan. AWS makes no volume smaller, so it stays as it is. Write \`sizeGiB: ${Size}\` to give all masters this size, or \`-replace=${address}\` to give ${machine} another volume.`,
        address,
      },
    ];
  });
}
