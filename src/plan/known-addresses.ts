/** Resolves references to addresses from the state and the observation. */
import { type AddressOwner, resolveAddresses, unknownAddresses } from "../spec/address-reference.ts";
import { lineagesFound } from "./cluster-view.ts";
import { loadBalancerAddress } from "./desired-resources.ts";
import type { PlannerInput } from "./planner-input.ts";
import { type Attributes, type ResourceAddress, resourceAddress } from "./resource.ts";

export type KnownAddress = { readonly address: ResourceAddress; readonly attributes: Attributes };

/** Addresses in the state and the observation: an interrupted apply may have created a machine that the state lacks. */
export function knownAddresses({ state, observed }: PlannerInput): readonly KnownAddress[] {
  const recorded = state?.resources ?? [];
  const found = lineageOf({ state, observed });
  const made = observed.machines
    .filter(({ lineage }) => lineage === found)
    .toSorted((a, b) => b.generation - a.generation)
    .map(({ name, address }) => ({ address: resourceAddress("haplan_machine", name), attributes: { address } }));
  const standsThere = ({ address, attributes }: KnownAddress): boolean =>
    made.some((machine) => machine.address === address && machine.attributes.address === attributes["address"]);
  return [...recorded.filter(standsThere), ...made, ...balancerIn(observed), ...recorded];
}

function balancerIn({ loadBalancer }: PlannerInput["observed"]): readonly KnownAddress[] {
  if (loadBalancer === undefined || loadBalancer === null) return [];
  return [{ address: loadBalancerAddress, attributes: { address: loadBalancer.address } }];
}

function lineageOf({ state, observed }: Pick<PlannerInput, "state" | "observed">): string | null {
  return state?.lineage ?? lineagesFound(observed)[0] ?? null;
}

/** Replaces references in `value` by the addresses of `resources`; `except`: resources whose address is going to change. */
export function resolveKnownAddresses<Value>(
  value: Value,
  resources: readonly KnownAddress[],
  except: ReadonlySet<AddressOwner> = new Set(),
): Value {
  return resolveAddresses(value, (owner) => {
    const known = resources.find((resource) => resource.address === owner)?.attributes["address"];
    const isKnown = typeof known === "string" && unknownAddresses(known).length === 0;
    return isKnown && !except.has(owner) ? known : undefined;
  });
}
