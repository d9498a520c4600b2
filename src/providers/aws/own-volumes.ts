/** Which volumes are haplan's: the root volume of an instance and its data volume. Others may attach more of them. Pure. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { FoundInstance } from "./instances.ts";
import { dataDeviceName } from "./user-data.ts";

/** `dataVolume`: null for a machine that has none. */
export function ownVolumeIds(
  { volumes, rootDevice }: Pick<FoundInstance, "volumes" | "rootDevice">,
  dataVolume: string | null,
): readonly string[] {
  const root = volumes.get(rootDevice);
  return [...(root === undefined ? [] : [root]), ...(dataVolume === null ? [] : [dataVolume])];
}

/** The id of the volume that an instance has in place of its data volume; null if it has none, or its own. */
export function otherDataVolume(
  { volumes }: Pick<FoundInstance, "volumes">,
  recorded: string | null | undefined,
): string | null {
  const present = volumes.get(dataDeviceName);
  return present === undefined || recorded == null || present === recorded ? null : present;
}

/** A member with the data of before has forgotten entries and votes, and the others count on them. */
export function otherVolumeError(
  { id, machine }: Pick<FoundInstance, "id" | "machine">,
  { present, recorded }: { readonly present: string; readonly recorded: string },
): HaplanError {
  const advice = [
    `A member whose data is exchanged forgets entries and votes that it has acknowledged, so haplan does nothing with ${machine}.`,
    `Stop its agent and put ${recorded} back at ${dataDeviceName} of ${id}, or replace the machine with -replace=haplan_machine.${machine}:`,
    `a new member joins and copies the data, ${recorded} is deleted, and ${present} stays.`,
  ].join(" ");
  return new HaplanError(
    "aws/other-volume",
    `The data volume of ${machine} is ${present}, another volume than recorded: ${recorded}\n${advice}`,
  );
}
