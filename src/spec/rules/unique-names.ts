/** Masters, workers and the load balancer are all machines; a name means one of them. */
import type { Draft, HostDraft } from "../draft.ts";
import { findingAt, pointerForPeople } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkUniqueNames: SpecRule = ({ hosts }) => {
  // The load balancer's name is given by haplan, so it is the other one that has to give way.
  const ordered = hosts.toSorted((left, right) => Number(isOurs(right)) - Number(isOurs(left)));
  const taken = new Map<string, { readonly host: HostDraft; readonly name: Draft<string> }>();
  return ordered.flatMap((host) => {
    if (host.name === null) return [];
    const other = taken.get(host.name.value);
    if (other === undefined) {
      taken.set(host.name.value, { host, name: host.name });
      return [];
    }
    const owner = isOurs(other.host)
      ? "the load balancer"
      : `the ${other.host.kind} at ${pointerForPeople(other.name.pointer)}`;
    return [
      findingAt(host.name.pointer, {
        code: "spec/duplicate-name",
        summary: `The name "${host.name.value}" is already taken by ${owner}`,
        detail: "Masters, workers and the load balancer share one set of names. Give this one another name.",
      }),
    ];
  });
};

function isOurs(host: HostDraft): boolean {
  return host.kind === "load balancer";
}
