/** Masters, workers and the load balancer are all machines; a name identifies one of them. */
import { findingAt, formatPointer, type SpecFinding } from "../finding.ts";
import { loadBalancerName, reservedNames, sharedBalancerName } from "../reserved-names.ts";
import type { LocatedValue } from "../schema/located.ts";
import type { SpecRule } from "./rule.ts";

export const checkUniqueNames: SpecRule = ({ hosts, loadBalancer }) => {
  const taken = new Map<string, string>(Object.entries(reservedNames));
  for (const host of loadBalancer?.entries.hosts?.items ?? []) {
    const name = host?.entries.address === null ? host.entries.name : null;
    if (name !== null) taken.set(sharedBalancerName(name.value), `the load balancer on ${name.value}`);
  }
  return hosts.flatMap(({ kind, name }) => {
    // A single load balancer that becomes one of several may keep its name, and with it its machine.
    if (name === null || (kind === "load balancer" && name.value === loadBalancerName)) return [];
    const owner = taken.get(name.value);
    if (owner !== undefined) return [duplicate(name, owner)];
    taken.set(name.value, `the ${kind} at ${formatPointer(name.pointer)}`);
    return [];
  });
};

function duplicate(name: LocatedValue<string>, owner: string): SpecFinding {
  return findingAt(name.pointer, {
    code: "spec/duplicate-name",
    summary: `The name "${name.value}" is already taken by ${owner}`,
    detail: "Masters, workers, spare hosts and haplan's own machines share one namespace. Write another name.",
  });
}
