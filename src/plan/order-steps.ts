/**
 * Sorts steps topologically. Among ready steps, the one that was planned first goes first, so that equal plans are
 * equal to the byte.
 */
import { assert } from "../base/assert.ts";
import { unknownAddresses } from "../spec/address-reference.ts";
import type { Step } from "./step.ts";

/** Puts each step that refers to an unknown address after the step that creates the resource with that address. */
export function afterAddressesAreKnown(steps: readonly Step[]): readonly Step[] {
  const makers = new Map(
    steps.flatMap(({ id, action, addresses }) =>
      action.kind === "createMachine" || action.kind === "startLoadBalancer"
        ? addresses.map((address): readonly [string, string] => [address, id])
        : [],
    ),
  );
  return steps.map((step) => {
    const { kind } = step.action;
    const awaited = kind === "createMachine" ? [] : unknownAddresses(step.action);
    const ids = awaited.flatMap((owner) => makers.get(owner) ?? []).filter((id) => id !== step.id);
    return ids.length === 0 ? step : { ...step, after: [...new Set([...step.after, ...ids])] };
  });
}

/**
 * Puts the creation of a machine after the removal of another one at its address, unless that waits for the creation: what a host has for
 * its machines goes with the last of them, while the next one needs it. `addressOf`: of the machines that are removed.
 */
export function afterFormerMachines(
  steps: readonly Step[],
  addressOf: (machine: string) => string | undefined,
): readonly Step[] {
  const after = new Map(steps.map((step) => [step.id, step.after]));
  // Each step is visited once: many ways lead through a long plan.
  const waitsFor = (id: string, other: string, seen = new Set<string>()): boolean =>
    (after.get(id) ?? []).some((each) => {
      if (each === other) return true;
      if (seen.has(each)) return false;
      seen.add(each);
      return waitsFor(each, other, seen);
    });
  for (const { id, action } of steps) {
    if (action.kind !== "createMachine") continue;
    const isFormer = ({ action: each }: Step): boolean =>
      each.kind === "destroyMachine" &&
      each.generation === undefined &&
      each.machine !== action.machine &&
      addressOf(each.machine) === action.address;
    for (const former of steps.filter(isFormer))
      if (!waitsFor(former.id, id)) after.set(id, [...new Set([...after.get(id)!, former.id])]);
  }
  return steps.map((step) => ({ ...step, after: after.get(step.id)! }));
}

export function orderSteps(steps: readonly Step[]): readonly Step[] {
  const index = new Map(steps.map((step, position) => [step.id, position]));
  assert(index.size === steps.length, "step ids are unique");
  const waitsFor = steps.map((step) => step.after.length);
  const dependents: number[][] = steps.map(() => []);
  for (const [position, step] of steps.entries()) {
    for (const id of step.after) {
      const dependency = index.get(id);
      assert(dependency !== undefined, `step ${step.id} waits for a step of the plan, not for ${id}`);
      dependents[dependency]!.push(position);
    }
  }
  const free = steps.map((_, position) => position).filter((position) => waitsFor[position] === 0);
  const ordered: Step[] = [];
  while (free.length > 0) {
    const position = free.splice(free.indexOf(Math.min(...free)), 1)[0]!;
    ordered.push(steps[position]!);
    for (const dependent of dependents[position]!) {
      waitsFor[dependent]! -= 1;
      if (waitsFor[dependent] === 0) free.push(dependent);
    }
  }
  assert(ordered.length === steps.length, "no dependency cycle");
  return ordered;
}
