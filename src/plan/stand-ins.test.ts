import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec, HostSpec } from "../spec/cluster-spec.ts";
import { planChanges } from "./planner.ts";
import { hasOtherStandIns, withStandIn, withStandIns } from "./stand-ins.ts";

const spare = (name: string, more: Partial<HostSpec> = {}): HostSpec => ({
  name,
  zone: null,
  address: `127.0.1.2${name.slice(1)}`,
  ...more,
});

function withSpares(...spares: readonly HostSpec[]): ClusterSpec {
  const replace = { afterMs: 600_000, replacementsPerDay: 1, spares };
  const repair = { restart: false, renewCertificates: false, waitMs: 0, repairsPerHour: 3, replace };
  return { ...fixtureSpec(["m1", "m2", "m3"]), repair };
}

const spec = withSpares(spare("s1"), spare("s2"));
const moved = withStandIn(spec, { master: "m2", spare: spare("s1") });
const placeOf = ({ controlPlane }: ClusterSpec): string => controlPlane.masters[1]!.address;

describe("a master that the state has on a spare host", () => {
  it("is there in the spec that is in force, and the host is no spare any more", () => {
    const inForce = withStandIns(spec, settledState(moved));
    expect(inForce).toEqual(moved);
    expect(inForce.controlPlane.masters[1]).toMatchObject({
      name: "m2",
      address: "127.0.1.21",
      standIn: { spare: "s1", instead: placeOf(spec) },
    });
    expect(inForce.repair?.replace?.spares.map(({ name }) => name)).toEqual(["s2"]);
    expect([spec, inForce].map((each) => hasOtherStandIns(each, settledState(moved)))).toEqual([true, false]);
  });

  it("is not planned back to where the file has it; the plan tells what to write", () => {
    const input = { state: settledState(moved), observed: settledObservation(moved) };
    const { plan } = planChanges(fixtureInput(withStandIns(spec, settledState(moved)), input));
    expect(plan?.steps).toEqual([]);
    expect(plan?.warnings.map(({ code, summary }) => [code, summary])).toContainEqual([
      "plan/stand-in",
      "haplan_machine.m2 is on the spare host s1",
    ]);
    expect(plan?.warnings.find(({ code }) => code === "plan/stand-in")?.detail).toContain("address: 127.0.1.21");
  });

  it("is no change once that is written", () => {
    const { standIn: _, ...written } = moved.controlPlane.masters[1]!;
    const masters = moved.controlPlane.masters.map((each) => (each.name === "m2" ? written : each));
    const file = { ...moved, controlPlane: { ...moved.controlPlane, masters } };
    expect(withStandIns(file, settledState(moved))).toEqual(file);
    const input = { state: settledState(moved), observed: settledObservation(moved) };
    expect(planChanges(fixtureInput(file, input)).plan?.steps).toEqual([]);
  });

  it("moves on to the next spare host, and remembers where the file has it", () => {
    const again = withStandIn(moved, { master: "m2", spare: spare("s2") });
    expect(again.controlPlane.masters[1]?.standIn).toEqual({ spare: "s2", instead: placeOf(spec) });
    expect(withStandIns(spec, settledState(again)).controlPlane.masters).toEqual(again.controlPlane.masters);
  });

  it("has the host's zone and keys, and its own zone where the host has none", () => {
    const settings = { ssh: { hostKey: "k" } };
    const zoned = withStandIn(spec, { master: "m2", spare: spare("s1", { zone: "z", settings }) });
    expect(zoned.controlPlane.masters[1]).toMatchObject({ zone: "z", settings });
    expect(moved.controlPlane.masters[1]?.zone).toBe(spec.controlPlane.masters[1]?.zone);
  });
});

it.each([
  ["without a state", spec, null],
  ["whose masters are where the file has them", spec, settledState(spec)],
  ["that lists the host no longer", withSpares(spare("s2")), settledState(moved)],
])("a spec %s is in force as it is", (_, file, state) => {
  expect(withStandIns(file, state)).toBe(file);
});
