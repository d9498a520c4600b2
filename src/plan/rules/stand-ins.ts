/** Tells which masters are on spare hosts: the file should say so as well. */
import type { MasterSpec } from "../../spec/cluster-spec.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";

export function noteStandIns({ spec, builder, mode }: Planning): void {
  if (mode === "destroy") return;
  for (const { name, standIn, ...place } of spec.controlPlane.masters) {
    if (standIn === undefined) continue;
    builder.warn(
      "plan/stand-in",
      `${resourceAddress("haplan_machine", name)} is on the spare host ${standIn.spare}`,
      `The spec has ${name} at ${standIn.instead}, whose place ${standIn.spare} has taken. Write the host's keys, without its name, for ${name} in controlPlane.masters (address: ${place.address}${zoneOf(place)}), and remove ${standIn.spare} from repair.replace.spares: that changes nothing else. As long as ${standIn.spare} is among the spares, ${name} stays there.`,
    );
  }
}

function zoneOf({ zone }: Pick<MasterSpec, "zone">): string {
  return zone === null ? "" : `, zone: ${zone}`;
}
