// Every start in 1..7 voters, every mix of what can have become of them, learners, every valid target. Members that
// differ in nothing that the planner looks at are interchangeable, so mixes are counted as multisets, not as sequences.
// The walk below is a second, independent account of what steps do; it shares no code with the guard.

import { describe, expect, it } from "vitest";
import {
  emptyObservation,
  fixtureInput,
  fixtureMachine,
  fixtureMember,
  fixtureSpec,
  settledState,
} from "../../test/support/planned-cluster.ts";
import { localModel } from "../providers/local/local-model.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { agentUnitName, loadBalancerUnitName } from "../units/unit-definition.ts";
import { type DesiredResource, desiredResources } from "./desired-resources.ts";
import type { ObservedMachine, ObservedMember } from "./observed-cluster.ts";
import { decideSteps } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { State } from "./state.ts";
import type { MemberRef, Step } from "./step.ts";

type Health = "healthy" | "stopped" | "wiped";
type Kind = { readonly health: Health; readonly stays: boolean };
// Who stays comes first, so that few specs serve many cases.
const kinds: readonly Kind[] = [true, false].flatMap((stays) =>
  (["healthy", "stopped", "wiped"] as const).map((health) => ({ health, stays })),
);
type LearnerKind = "none" | "caughtUpWanted" | "neverStartedWanted" | "healthyStray" | "deadStray";
const learnerKinds: readonly LearnerKind[] = [
  "none",
  "caughtUpWanted",
  "neverStartedWanted",
  "healthyStray",
  "deadStray",
];

function* multisets(size: number, from = 0): Generator<readonly Kind[]> {
  if (size === 0) return void (yield []);
  for (let index = from; index < kinds.length; index += 1) {
    for (const rest of multisets(size - 1, index)) yield [kinds[index]!, ...rest];
  }
}

type Case = {
  readonly voters: readonly Kind[];
  readonly leader: number | null;
  readonly learner: LearnerKind;
  readonly target: number;
};

/** A leader of each kind that may lead: with a quorum one of the healthy, staying or leaving. */
function leaders(voters: readonly Kind[]): readonly (number | null)[] {
  const healthy = voters.filter((voter) => voter.health === "healthy").length;
  if (healthy <= voters.length / 2) return [null];
  const at = (stays: boolean): number =>
    voters.findIndex((voter) => voter.health === "healthy" && voter.stays === stays);
  return [at(true), at(false)].filter((index) => index !== -1);
}

function* cases(size: number): Generator<Case> {
  for (const voters of multisets(size)) {
    const staying = voters.filter((voter) => voter.stays).length;
    for (const target of [3, 5, 7]) {
      if (staying > target) continue;
      for (const learner of learnerKinds) {
        if (learner.endsWith("Wanted") && staying === target) continue;
        for (const leader of leaders(voters)) yield { voters, leader, learner, target };
      }
    }
  }
}

/** Specs that many cases share, with what is costly to make of them. */
type Prepared = { readonly spec: ClusterSpec; readonly desired: readonly DesiredResource[]; readonly state: State };
const prepared = new Map<string, Prepared>();
function prepare(names: readonly string[]): Prepared {
  const key = names.join();
  const known = prepared.get(key);
  if (known !== undefined) return known;
  const spec = fixtureSpec(names, { tls: false, workers: 0 });
  const made = { spec, desired: desiredResources(spec, localModel), state: settledState(spec) };
  prepared.set(key, made);
  return made;
}

type Built = {
  readonly desired: readonly DesiredResource[];
  readonly input: PlannerInput;
  readonly target: readonly string[];
  readonly voters: ReadonlyMap<string, Health>;
};

function build({ voters, leader, learner, target }: Case): Built {
  const names = voters.map((_, index) => `m${index + 1}`);
  const staying = names.filter((_, index) => voters[index]!.stays);
  const added = Array.from({ length: target - staying.length }, (_, index) => `m${20 + index}`);
  const wanted = [...staying, ...added];
  const { spec, desired } = prepare(wanted);
  const all = fixtureSpec([...new Set([...names, ...wanted, "m40"])], { tls: false, workers: 0 });
  const machines: ObservedMachine[] = [];
  const members: ObservedMember[] = [];
  const put = (name: string, health: Health, more: Partial<ObservedMember>, data = health !== "wiped"): void => {
    const running = health === "healthy";
    const address = all.controlPlane.masters.find((master) => master.name === name)!.address;
    const units = [{ name: agentUnitName, running, pid: running ? 1 : null, definitionDigest: `digest-${name}` }];
    machines.push(fixtureMachine(name, address, agentUnitName, { hasData: data, units }));
    members.push(fixtureMember(all, name, { healthy: running, raftIndex: running ? 1 : null, ...more }));
  };
  const quorum = leader !== null;
  for (const [index, name] of names.entries()) {
    const { health } = voters[index]!;
    put(name, health, { leader: index === leader, healthy: quorum && health === "healthy" });
  }
  if (learner === "caughtUpWanted") put(added[0]!, "healthy", { learner: true, healthy: quorum });
  if (learner === "neverStartedWanted") put(added[0]!, "stopped", { learner: true, name: "", healthy: false }, false);
  if (learner === "healthyStray") put("m40", "healthy", { learner: true, healthy: quorum });
  if (learner === "deadStray") put("m40", "wiped", { learner: true, healthy: false });
  const balancer = fixtureMachine("load-balancer", "127.0.1.100", loadBalancerUnitName);
  const { state } = prepare(names);
  return {
    desired,
    target: wanted,
    voters: new Map(names.map((name, index) => [name, voters[index]!.health])),
    input: fixtureInput(spec, {
      state,
      observed: {
        ...emptyObservation,
        machines: [...machines, balancer],
        backends: names.map((name) => ({ name, attributes: {} })),
        membership: { clusterId: "c1", members, votersOutgoing: [], hasLeader: quorum },
      },
    }),
  };
}

type Member = { name: string; votes: boolean; up: boolean };

/** Follows the plan with nothing but what each step says; returns what is wrong with it, or null. */
function walk(steps: readonly Step[], built: Built): string | null {
  const { members: observed } = built.input.observed.membership!;
  const members = new Map<string, Member>(
    observed.map((member) => {
      const running = built.input.observed.machines.some(
        (machine) => `id-${machine.name}` === member.id && machine.units[0]?.running === true,
      );
      return [member.id, { name: member.id.slice(3), votes: !member.learner, up: running }];
    }),
  );
  const keyOf = (ref: MemberRef): string => ref.memberId ?? `new-${ref.name}`;
  const majorityOf = (keys: readonly string[]): boolean =>
    keys.filter((key) => members.get(key)?.up === true).length * 2 > keys.length;
  const voting = (): string[] => [...members].filter(([, member]) => member.votes).map(([key]) => key);
  const byName = (name: string, votes?: boolean): Member[] =>
    [...members.values()].filter((member) => member.name === name && (votes === undefined || member.votes === votes));
  let had = majorityOf(voting());
  const startedEven = voting().length % 2 === 0;
  const done = new Set<string>();
  for (const step of steps) {
    if (!step.after.every((id) => done.has(id))) return `${step.id} comes before what it waits for`;
    done.add(step.id);
    const { action } = step;
    const decides = ["addLearner", "changeVoters", "removeMember", "moveLeader"].includes(action.kind);
    if (decides && !had) return `${step.id} without a quorum`;
    switch (action.kind) {
      case "addLearner":
        members.set(`new-${action.member}`, { name: action.member, votes: false, up: false });
        break;
      case "awaitCatchUp":
        if (action.memberId !== null) members.get(action.memberId)!.up = true;
        else members.get(`new-${action.member}`)!.up = true;
        break;
      case "awaitQuorum":
        for (const name of action.members) for (const member of byName(name)) member.up = true;
        break;
      case "updateAgent":
      case "stopAgent":
        for (const member of byName(action.member)) member.up = false;
        break;
      case "destroyMachine":
        for (const member of byName(action.machine)) member.up = false;
        break;
      case "changeVoters": {
        const to = action.to.map(keyOf);
        if (action.from.map(keyOf).sort().join() !== voting().sort().join())
          return `${step.id} starts from other voters`;
        if (to.some((key) => !members.has(key))) return `${step.id} names a non-member`;
        if (!majorityOf(to)) return `${step.id} without a majority of the new half`;
        if (to.length % 2 === 0) return `${step.id} ends at an even number`;
        for (const [key, member] of members) member.votes = to.includes(key);
        break;
      }
      case "removeMember":
        if (members.get(action.memberId)?.votes !== false) return `${step.id} removes a voter, or no member`;
        members.delete(action.memberId);
        break;
      case "moveLeader":
        if (members.get(keyOf(action.to))?.up !== true) return `${step.id} to one that is down`;
        break;
      default:
        break;
    }
    const has = majorityOf(voting());
    if (had && !has) return `${step.id} loses the quorum`;
    had = has;
    if (voting().length % 2 === 0 && !startedEven) return `${step.id} passes an even number`;
  }
  const end = [...members.values()];
  const wanted = [...built.target].sort().join();
  if (
    end
      .map((member) => member.name)
      .sort()
      .join() !== wanted
  )
    return `ends with ${end.map((member) => member.name)}`;
  if (end.some((member) => !member.votes || !member.up)) return "ends with a member that does not vote or is down";
  return null;
}

/** When a plan must exist: a majority of today's voters is up or, being wanted, can be started where it is. */
function mustBePossible({ voters }: Case): boolean {
  const able = voters.filter(({ health, stays }) => health === "healthy" || (health === "stopped" && stays)).length;
  return able * 2 > voters.length;
}

/** Of the cases, the first is looked at, the one `stride` further and so on: all of them with HAPLAN_TEST_EVERYTHING. */
const stride = process.env["HAPLAN_TEST_EVERYTHING"] === undefined ? 5 : 1;

describe("planChanges, over every start, health and target", () => {
  let total = 0;
  let refused = 0;
  it.each([1, 2, 3, 4, 5, 6, 7])(
    "keeps the quorum at every step and ends at the target from %i voters, or refuses",
    (size) => {
      for (const each of cases(size)) {
        total += 1;
        if (total % stride !== 0) continue;
        const built = build(each);
        const result = decideSteps(built.input, built.desired);
        if (result.refusal.length > 0) {
          refused += 1;
          if (mustBePossible(each))
            throw new Error(`${JSON.stringify(each)} was refused: ${result.refusal[0]?.summary}`);
          for (const { code, detail } of result.refusal) {
            const known = ["plan/quorum-lost", "plan/no-quorum", "plan/quorum-at-risk"].includes(code);
            if (!known || !/back|restore/.test(detail ?? "")) throw new Error(`${code} names no way out: ${detail}`);
          }
          continue;
        }
        const wrong = walk(result.steps, built);
        if (wrong !== null)
          throw new Error(`${wrong}\n${JSON.stringify(each)}\n${result.steps.map((step) => step.id).join("\n")}`);
      }
    },
    // A second or two, and more on a machine that is busy.
    90_000,
  );

  it("has looked at all of them", () => {
    expect(total).toBe(23_305);
    if (stride === 1) expect(refused).toBe(11_890);
    else expect(refused).toBeGreaterThan(0);
  });
});
