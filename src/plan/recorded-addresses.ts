/** Addresses that were not known when the spec was written, as the state has them by now. */
import { type AddressOwner, addressesAwaited, withAddresses } from "../spec/late-address.ts";
import { loadBalancerAddress } from "./desired-resources.ts";
import type { PlannerInput } from "./planner-input.ts";
import { type Attributes, type ResourceAddress, resourceAddress } from "./resource.ts";
import { lineagesFound } from "./world.ts";

export type KnownAddress = { readonly address: ResourceAddress; readonly attributes: Attributes };

/** What state and observation tell of addresses. What an interrupted apply has made may be in the observation alone. */
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

/** `value` with the addresses that `resources` tell; `except`: owners whose address will be another one. */
export function withRecordedAddresses<Value>(
  value: Value,
  resources: readonly KnownAddress[],
  except: ReadonlySet<AddressOwner> = new Set(),
): Value {
  return withAddresses(value, (owner) => {
    const known = resources.find((resource) => resource.address === owner)?.attributes["address"];
    const isKnown = typeof known === "string" && addressesAwaited(known).length === 0;
    return isKnown && !except.has(owner) ? known : undefined;
  });
}
