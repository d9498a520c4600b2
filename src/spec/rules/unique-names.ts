/** Masters, workers and the load balancer are all machines; a name identifies one of them. */
import { findingAt, formatPointer, type SpecFinding } from "../finding.ts";
import { reservedNames } from "../reserved-names.ts";
import type { LocatedValue } from "../schema/located.ts";
import type { SpecRule } from "./rule.ts";

export const checkUniqueNames: SpecRule = ({ hosts }) => {
  const taken = new Map<string, string>(Object.entries(reservedNames));
  return hosts.flatMap(({ kind, name }) => {
    if (name === null) return [];
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
    detail: "Masters, workers and haplan's own machines share one namespace. Write another name.",
  });
}
