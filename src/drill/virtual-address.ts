/** Which load balancer has the virtual address, and whether it may move: pure. */
import type { VirtualAddressState } from "../providers/load-balancer.ts";

/** In the order of the spec, which is that of their priorities. */
export type BalancerState = { readonly name: string; readonly state: VirtualAddressState };

/** The one that has the address; null if none or several have it. */
export function holderOf(states: readonly BalancerState[]): string | null {
  const holders = states.filter(({ state }) => state === "holder");
  return holders.length === 1 ? holders[0]!.name : null;
}

/** Why the address may not move now; null if one has it and every other one could take it. */
export function addressAtStake(states: readonly BalancerState[]): string | null {
  const holder = holderOf(states);
  const holders = states.filter(({ state }) => state === "holder").map(({ name }) => name);
  if (holder === null)
    return holders.length === 0
      ? "no load balancer has the virtual address"
      : `${holders.join(", ")} have the virtual address at once`;
  const unfit = states.filter(({ name, state }) => name !== holder && state !== "backup").map(({ name }) => name);
  if (states.length < 2) return "there is no other load balancer";
  return unfit.length === 0 ? null : `${unfit.join(", ")} cannot take the virtual address`;
}

/**
 * The load balancers that have to give way for `wanted` to get the address: those that keepalived would prefer, and the holder last,
 * so that the address moves once.
 */
export function inTheWayOf(wanted: string, states: readonly BalancerState[]): readonly string[] {
  const holder = holderOf(states);
  const names = states.map(({ name }) => name);
  const preferred = names.slice(0, Math.max(0, names.indexOf(wanted))).filter((name) => name !== holder);
  return holder === null || holder === wanted ? preferred : [...preferred, holder];
}
