/**
 * Names of systemd's units. Those of two clusters may be the same: machine `x-m1` of cluster `brk` and machine `m1` of cluster `brk-x`.
 * A unit belongs to the cluster whose directory its file names.
 */
import { basename } from "node:path";
import type { UnitPlace } from "./supervisor.ts";

/** Names of the units that haplan made begin with this. */
export const unitPrefix = "haplan-";

/** Variable that marks each process of a unit with the unit's directory. */
export const unitMarker = "HAPLAN_UNIT";

/** Name of a unit's systemd unit, without `.service`. `@` would make it a template's instance. */
export function systemdName({ root, machine, unit }: Pick<UnitPlace, "root" | "machine" | "unit">): string {
  return `${unitPrefix}${basename(root)}-${machine.replaceAll("@", ":")}-${unit}`;
}
