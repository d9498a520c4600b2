import { describe, expect, it } from "vitest";
import type { Plan, QuorumRow } from "../../../src/plan/plan.ts";
import type { StepAction } from "../../../src/plan/step.ts";
import { repairObjection } from "./repair-objection.ts";

/** Steps as their kinds, or with what they act on. */
function actions(...steps: readonly object[]): Plan {
  return { steps: steps.map((action) => ({ title: JSON.stringify(action), action })), timeline: [] } as unknown as Plan;
}

const [m1, m2, m3] = [1, 2, 3].map((number) => ({ name: `m${number}`, memberId: `${number}` }));
const moveVote = (to: readonly object[]): object => ({ kind: "changeVoters", from: [m1, m2, m3], to });

function plan(kinds: readonly StepAction["kind"][], ...canLose: readonly (number | null)[]): Plan {
  const steps = kinds.map((kind) => ({ title: kind, action: { kind } }));
  const timeline = canLose.map((each, at): Partial<QuorumRow> => ({ title: `row ${at}`, canLose: each }));
  return { steps, timeline } as unknown as Plan;
}

describe("a plan is carried out without asking", () => {
  it.each([
    ["that restarts a dead master", plan(["restartAgent", "awaitQuorum"], 0, 0, 1), "restart"],
    [
      "that restarts one with a certificate that is due",
      plan(["issueCertificate", "restartAgent"], 0, 0, 1),
      "restart",
    ],
    [
      "that hands a running master the certificate that another one waits for",
      plan(["reloadAgent", "restartAgent", "awaitQuorum"], 0, 0, 1),
      "restart",
    ],
    ["that renews a certificate without a restart", plan(["issueCertificate", "reloadAgent"], 1, 1, 1), "renew"],
    ["without a timeline", plan(["startWorker"]), "restart"],
  ] as const)("%s", (_, repair, kind) => {
    expect(repairObjection(repair, { kind, address: "haplan_raft_member.m2" })).toBeNull();
  });
});

describe("a plan is not carried out without asking", () => {
  it.each([
    ["that replaces a member", plan(["restartAgent", "addLearner", "changeVoters"], 0, 1), "restart", /addLearner/],
    ["that restarts a running master", plan(["issueCertificate", "updateAgent"], 1, 1), "renew", /updateAgent/],
    [
      "that gives a dead master another version",
      plan(["upgradeAgent", "awaitQuorum"], 0, 1),
      "restart",
      /upgradeAgent/,
    ],
    ["that destroys a machine", plan(["destroyMachine"], 1, 1), "restart", /destroyMachine/],
    ["after which fewer may fail", plan(["reloadAgent"], 1, 0, 1), "renew", /fewer voters could fail/],
    ["that loses the quorum", plan(["restartAgent"], 0, null), "restart", /no quorum/],
  ] as const)("%s", (_, repair, kind, text) => {
    expect(repairObjection(repair, { kind, address: "haplan_raft_member.m2" })).toMatch(text);
  });
});

describe("a replacement", () => {
  it.each<[string, Plan, RegExp | null]>([
    [
      "makes a new member and moves the vote to it",
      actions(
        { kind: "createMachine", machine: "m2" },
        { kind: "issueCertificate" },
        { kind: "addLearner", member: "m2" },
        { kind: "startAgent", member: "m2" },
        { kind: "awaitCatchUp", member: "m2" },
        moveVote([m1!, m3!, { name: "m2", memberId: null }]),
        { kind: "removeMember", member: "m2" },
        { kind: "destroyMachine", machine: "m2", generation: 1 },
        { kind: "updateLoadBalancer" },
      ),
      null,
    ],
    ["restarts no other master", actions({ kind: "restartAgent", member: "m1" }), /restartAgent/],
    ["destroys no other machine", actions({ kind: "destroyMachine", machine: "m1" }), /destroyMachine/],
    ["takes no other vote", actions(moveVote([m1!, m2!])), /changeVoters/],
    ["adds no other vote", actions(moveVote([m1!, m3!, { name: "m4", memberId: null }])), /changeVoters/],
    ["changes no settings", actions({ kind: "updateAgent", member: "m2" }), /updateAgent/],
  ])("%s", (_, repair, text) => {
    const objection = repairObjection(repair, { kind: "replace", address: "haplan_raft_member.m2" });
    if (text === null) expect(objection).toBeNull();
    else expect(objection).toMatch(text);
  });

  it("is cleaned up after on the former host alone", () => {
    const former = { machine: "m2", member: "m2", generation: 1 };
    const clean = (...steps: readonly object[]): string | null =>
      repairObjection(actions(...steps), { kind: "clean", address: "haplan_machine.m2@1" });
    expect(clean({ kind: "stopAgent", ...former }, { kind: "destroyMachine", ...former })).toBeNull();
    expect(clean({ kind: "removeMember", ...former }, { kind: "destroyMachine", ...former })).toBeNull();
    expect(clean({ kind: "destroyMachine", machine: "m2" })).toMatch(/destroyMachine/);
    expect(clean({ kind: "stopAgent", ...former, member: "m1" })).toMatch(/stopAgent/);
    const steps = actions({ kind: "removeMember", ...former }).steps;
    const timeline = [3, 2].map((voters) => ({ title: "remove member m2", voters, canLose: 1 }));
    const takesVote = { steps, timeline } as unknown as Plan;
    const address = "haplan_machine.m2@1";
    expect(repairObjection(takesVote, { kind: "clean", address })).toMatch(/changes the votes/);
  });
});
