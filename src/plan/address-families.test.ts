/** A change of addresses from one family to the other would join members that reject each other. */
import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { planChanges } from "./planner.ts";

type Tls = Partial<ClusterSpec["controlPlane"]["tls"]>;

function at(addresses: readonly string[], tls: Tls = {}): ClusterSpec {
  const { controlPlane, ...rest } = fixtureSpec(["m1", "m2", "m3"], { workers: 0 });
  const masters = controlPlane.masters.map((master, place) => ({ ...master, address: addresses[place]! }));
  return { ...rest, controlPlane: { ...controlPlane, masters, tls: { ...controlPlane.tls, ...tls } } };
}

const four = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const six = ["fd97::1", "fd97::2", "fd97::3"];
const mixed = ["fd97::1", "10.0.0.2", "10.0.0.3"];
const both = { extraNames: [...four, ...six] };

function refusalOf(from: ClusterSpec, to: ClusterSpec): readonly string[] {
  const before = { state: settledState(from), observed: settledObservation(from) };
  return (planChanges(fixtureInput(to, before)).refusal ?? []).map(({ code }) => code);
}

describe("a master that gets an address of the other family", () => {
  it.each<[string, ClusterSpec, ClusterSpec]>([
    ["one of them", at(four), at(mixed)],
    ["all of them", at(four), at(six)],
    ["all of them, from IPv6", at(six), at(four)],
  ])("is refused: %s", (_, from, to) => {
    expect(refusalOf(from, to).filter((code) => code === "plan/address-families")).toHaveLength(1);
  });

  it.each<[string, ClusterSpec, ClusterSpec]>([
    ["the certificates hold both", at(four, both), at(six, both)],
    ["the family stays", at(four), at(["10.0.0.11", "10.0.0.2", "10.0.0.3"])],
    ["there are no certificates", at(four, { enabled: false }), at(mixed, { enabled: false })],
    ["it gets a name", at(four), at(["m1.example.com", "10.0.0.2", "10.0.0.3"])],
  ])("is not refused where %s", (_, from, to) => {
    expect(refusalOf(from, to)).not.toContain("plan/address-families");
  });
});
