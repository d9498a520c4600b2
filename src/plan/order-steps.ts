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
