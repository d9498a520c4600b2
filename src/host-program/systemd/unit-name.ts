import { basename } from "node:path";
import type { UnitPlace } from "../../providers/supervisor.ts";

/** Names of the units that haplan made begin with this. */
export const unitPrefix = "haplan-";

/** Name of a unit's systemd unit, without `.service`. `@` would make it a template's instance. */
export function systemdName({ root, machine, unit }: Pick<UnitPlace, "root" | "machine" | "unit">): string {
  return `${unitPrefix}${basename(root)}-${machine.replaceAll("@", ":")}-${unit}`;
}
