import { describe, expect, it } from "vitest";
import type { ObservedMember, ObservedMembership } from "../../../src/plan/observed-cluster.ts";
import { fixtureSpec, settledObservation } from "../../../test/support/planned-cluster.ts";
import { isDead, watchedMasters } from "./watched-masters.ts";

const spec = fixtureSpec(["m1", "m2", "m3"]);
const { membership } = settledObservation(spec);
const silent: Partial<ObservedMember> = { healthy: false, raftIndex: null };

function withM2(...each: readonly Partial<ObservedMember>[]): ObservedMembership {
  const members = membership!.members.flatMap((member) =>
    member.name === "m2" ? each.map((more) => ({ ...member, ...more })) : [member],
  );
  return { ...membership!, members };
}

function withoutLeader(found: ObservedMembership): ObservedMembership {
  return { ...found, members: found.members.map((member) => ({ ...member, leader: false })) };
}

describe("a master", () => {
  it.each<[string, ObservedMembership | null, boolean]>([
    ["that does not answer is dead", withM2(silent), true],
    ["that answers is not", withM2({}), false],
    ["that answers with errors is not", withM2({ healthy: false }), false],
    ["that answers the leader alone is not", withM2({ ...silent, heardByLeader: true }), false],
    [
      "that is at work on its host is, if the leader does not hear it",
      withM2({ ...silent, answersItsHost: true }),
      true,
    ],
    [
      "that is at work on its host is not where no leader answers",
      withoutLeader(withM2({ ...silent, answersItsHost: true })),
      false,
    ],
    ["that is silent is where no leader answers", withoutLeader(withM2(silent)), true],
    ["whose new member votes is not", withM2(silent, { id: "9" }), false],
    ["whose new member does not vote yet is", withM2(silent, { id: "9", learner: true }), true],
    ["that does not vote is not", withM2({ ...silent, learner: true }), false],
    ["of which nothing is known is not", null, false],
  ])("%s", (_, found, dead) => {
    expect(isDead(found, "m2")).toBe(dead);
  });

  it("says why it is dead, and which spare host it is on", () => {
    const drift = { address: "haplan_raft_member.m2", reason: "its machine is unreachable" } as never;
    const masters = spec.controlPlane.masters.map((master) =>
      master.name === "m3" ? { ...master, standIn: { spare: "s1", instead: "10.0.0.3" } } : master,
    );
    const standing = { ...spec, controlPlane: { ...spec.controlPlane, masters } };
    expect(watchedMasters(standing, withM2(silent), [drift])).toMatchObject([
      { name: "m1", dead: null, onSpare: null },
      { name: "m2", dead: "its machine is unreachable" },
      { name: "m3", onSpare: "s1" },
    ]);
  });
});
