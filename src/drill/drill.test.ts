import { describe, expect, it } from "vitest";
import { fixtureMember, fixtureSpec } from "../../test/support/planned-cluster.ts";
import type { ObservedMembership } from "../plan/observed-cluster.ts";
import { faultableFollowers, missingAfter, quorumAtStake } from "./drill.ts";

const names = ["m1", "m2", "m3", "m4", "m5"];

function cluster(
  count: number,
  down: readonly string[] = [],
  more: Partial<ObservedMembership> = {},
): ObservedMembership {
  const voters = names.slice(0, count);
  const members = voters.map((name) =>
    fixtureMember(fixtureSpec(voters), name, { healthy: !down.includes(name), leader: name === "m1" }),
  );
  return { clusterId: "c", members, votersOutgoing: [], hasLeader: true, ...more };
}

describe("the guard of a drill", () => {
  it.each<[string, ObservedMembership | null, string | null]>([
    ["three healthy", cluster(3), null],
    ["five with one down", cluster(5, ["m5"]), null],
    ["three with one down", cluster(3, ["m2"]), "m2 is not healthy, and no further voter may fail"],
    ["five with two down", cluster(5, ["m4", "m5"]), "m4, m5 are not healthy, and no further voter may fail"],
    ["one", cluster(1), "with so few voters none may fail"],
    ["two", cluster(2), "with so few voters none may fail"],
    ["no quorum", cluster(3, ["m2", "m3"]), "there is no quorum"],
    ["no leader", cluster(3, [], { hasLeader: false }), "there is no leader"],
    ["a joint change", cluster(3, [], { votersOutgoing: ["x"] }), "a membership change is in progress"],
    ["no answer", null, "no member answers"],
  ])("%s", (_, membership, expected) => {
    expect(quorumAtStake(membership)).toBe(expected);
  });

  it("lets one voter miss while it is paused, and no more than the quorum can", () => {
    expect(quorumAtStake(cluster(3, ["m2"]), "m2")).toBeNull();
    expect(quorumAtStake(cluster(3, ["m2", "m3"]), "m2")).toBe("there is no quorum");
    expect(quorumAtStake(cluster(3, ["m3"]), "m2")).toBe("there is no quorum");
  });

  it("takes healthy followers alone", () => {
    const of = (membership: ObservedMembership, ...chosen: string[]): readonly string[] =>
      faultableFollowers(membership, chosen).map(({ name }) => name);
    expect(of(cluster(3, ["m2"]))).toEqual(["m3"]);
    expect(of(cluster(5), "m1", "m4")).toEqual(["m4"]);
  });

  it("finds who is missing, and all of them without a leader", () => {
    expect(missingAfter(cluster(3), cluster(3, ["m3"]))).toEqual(["m3"]);
    expect(missingAfter(cluster(3, ["m3"]), cluster(3, ["m3"]))).toEqual([]);
    expect(missingAfter(cluster(3), cluster(3, [], { hasLeader: false }))).toEqual(["m1", "m2", "m3"]);
  });
});
