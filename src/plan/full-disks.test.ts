import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import { planChanges } from "./planner.ts";

const spec = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });

function warningsWhere(freeBytes: Readonly<Record<string, number>>): readonly string[] {
  const settled = settledObservation(spec);
  const machines = settled.machines.map((machine) => {
    const free = freeBytes[machine.name];
    return free === undefined ? machine : { ...machine, freeBytes: free };
  });
  const { plan } = planChanges(fixtureInput(spec, { state: settledState(spec), observed: { ...settled, machines } }));
  return plan!.warnings.map(({ summary }) => summary);
}

describe("a disk that is almost full", () => {
  it.each([
    ["no free space", { m3: 0 }, ["Disk almost full: m3 has 0 MiB free"]],
    [
      "two of three",
      { m1: 255 * 2 ** 20, m2: 1, m3: 2 ** 30 },
      ["Disk almost full: m1 has 255 MiB free, m2 has 0 MiB free"],
    ],
    ["just enough", { m3: 256 * 2 ** 20 }, []],
    ["a machine without a member", { w1: 0 }, []],
    ["a provider that does not tell", {}, []],
  ])("is told in each plan: %s", (_, freeBytes, warnings) => {
    expect(warningsWhere(freeBytes)).toEqual(warnings);
  });
});
