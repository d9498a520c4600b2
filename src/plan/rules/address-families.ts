/** A master that gets an address of the other family joins members whose certificates do not hold what their hosts have in it. */
import { familyOf } from "../../base/ip-address.ts";
import { coversFamilies } from "../../spec/rules/address-families.ts";
import { agentUnitName } from "../../units/unit-definition.ts";
import { unitOf } from "../cluster-view.ts";
import type { Planning } from "../planning.ts";

/** The spec alone is checked when it is read: here, against the members that are there. */
export function checkAddressFamilies({ spec, view, restore, builder }: Planning): void {
  const { masters, tls } = spec.controlPlane;
  const isAdopting = masters.some(({ adoptedAt }) => adoptedAt !== undefined);
  // Recovered members are replaced all at once.
  if (view.phase !== "formed" || restore !== undefined || !tls.enabled || isAdopting) return;
  if (coversFamilies(tls.extraNames ?? [])) return;
  const present = [...view.machines.values()].filter((machine) => unitOf(machine, agentUnitName) !== undefined);
  for (const { name, address } of masters) {
    const family = familyOf(address);
    const other = present.find((each) => (familyOf(each.address) ?? family) !== family);
    if (family === null || other === undefined) continue;
    builder.refuse(
      "plan/address-families",
      `${name} gets the ${family} address ${address}, and ${other.name} has the ${familyOf(other.address)} address ${other.address}`,
      "A member accepts a peer only from the addresses in the peer's certificate, and a host connects to the other family from another address than the one in the spec. Write the former addresses again. If all hosts have both, apply controlPlane.tls.extraNames first, with the addresses of all hosts in both families, and then this spec.",
    );
    return;
  }
}
