/** For providers where an address belongs to one machine. */
import type { HostDraft } from "../draft.ts";
import { findingAt, formatPointer, type SpecFinding } from "../finding.ts";
import type { LocatedValue } from "../schema/located.ts";

/** Reports each host with the address of an earlier one. */
export function findSharedAddresses(hosts: readonly HostDraft[]): readonly SpecFinding[] {
  const taken = new Map<string, string>();
  return hosts.flatMap(({ kind, address }) => {
    if (address === null || address.value === "") return [];
    const other = taken.get(address.value);
    taken.set(address.value, other ?? `${kind} at ${formatPointer(address.pointer)}`);
    return other === undefined ? [] : [duplicate(address, other)];
  });
}

function duplicate(address: LocatedValue<string>, other: string): SpecFinding {
  return findingAt(address.pointer, {
    code: "spec/duplicate-address",
    summary: `The address ${address.value} is already used by the ${other}`,
    detail: "Two machines cannot share an address: give each machine its own.",
  });
}
