// Three and five masters, every one of them healthy, stopped, unreachable, or unreachable and serving, while the settings
// of all of them change. The walk below knows only what each step says.

import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { type PlanResult, planChanges } from "./planner.ts";
import type { Step } from "./step.ts";

type Condition = "healthy" | "stopped" | "away" | "serving";
const everyCondition = ["healthy", "stopped", "away", "serving"] as const;
/** Of five masters. */
const conditions = process.env["HAPLAN_TEST_EVERYTHING"] === undefined ? everyCondition.slice(0, 3) : everyCondition;
type Case = { readonly masters: readonly Condition[]; readonly leader: number | null };

const runs = (condition: Condition): boolean => condition === "healthy" || condition === "serving";
const canBeReached = (condition: Condition): boolean => condition === "healthy" || condition === "stopped";

function* mixes(count: number, from: readonly Condition[]): Generator<readonly Condition[]> {
  if (count === 0) return void (yield []);
  for (const rest of mixes(count - 1, from)) for (const each of from) yield [each, ...rest];
}

/** With a quorum, the first and the last of those that run lead in turn. */
function* cases(count: number, from: readonly Condition[]): Generator<Case> {
  for (const masters of mixes(count, from)) {
    const running = masters.flatMap((condition, index) => (runs(condition) ? [index] : []));
    if (running.length * 2 < count) yield { masters, leader: null };
    else for (const leader of new Set([running[0]!, running.at(-1)!])) yield { masters, leader };
  }
}

function observed(spec: ClusterSpec, { masters, leader }: Case): ObservedCluster {
  const settled = settledObservation(spec);
  const conditionOf = (name: string): Condition => masters[Number(name.slice(1)) - 1] ?? "healthy";
  const machines = settled.machines.flatMap((machine) => {
    const condition = conditionOf(machine.name);
    const units = machine.units.map((unit) => ({ ...unit, running: false, pid: null }));
    if (!canBeReached(condition)) return [];
    return [condition === "stopped" ? { ...machine, units } : machine];
  });
  const members = settled.membership!.members.map((member, index) => {
    const up = runs(masters[index]!);
    return { ...member, healthy: up && leader !== null, leader: index === leader, raftIndex: up ? 100 : null };
  });
  const away = spec.controlPlane.masters.filter(({ name }) => !canBeReached(conditionOf(name)));
  return {
    ...settled,
    machines,
    unreachable: away.map(({ name }) => ({ name, reason: "no route to host" })),
    membership: { ...settled.membership!, members, hasLeader: leader !== null },
  };
}

/** What is wrong with the steps, or null; `up` are the masters that run, and those that run afterwards. */
function walk(steps: readonly Step[], up: Set<string>, count: number): string | null {
  for (const { id, action } of steps) {
    const before = up.size * 2 > count;
    if (action.kind === "awaitQuorum") for (const name of action.members) up.add(name);
    else if (action.kind === "updateAgent") up.delete(action.member);
    else if (action.kind !== "restartAgent" && action.kind !== "moveLeader" && action.kind !== "recordState")
      return `${id} is no step of an update`;
    if ((action.kind === "updateAgent" || action.kind === "moveLeader") && !before) return `${id} without a quorum`;
    if (before && up.size * 2 <= count) return `${id} loses the quorum`;
  }
  return null;
}

const namesOf = (masters: readonly Condition[], which: (condition: Condition) => boolean): readonly string[] =>
  masters.flatMap((condition, index) => (which(condition) ? [`m${index + 1}`] : []));

/** What is wrong with the plan for a cluster, or null. */
function problem({ masters }: Case, { plan, refusal }: PlanResult): string | null {
  const up = new Set(namesOf(masters, runs));
  const stopped = namesOf(masters, (condition) => condition === "stopped");
  const healthy = namesOf(masters, (condition) => condition === "healthy");
  const isMajority = (some: number): boolean => some * 2 > masters.length;
  // Once those that haplan can start are up, one of them may restart.
  const mayUpdate = isMajority(up.size + stopped.length - 1);
  const canVote = namesOf(masters, (condition) => condition !== "away").length;
  // It would wait, and do nothing else.
  if (refusal?.every(({ code }) => code === "plan/quorum-lost") === true)
    return stopped.length === 0 && !isMajority(canVote) ? null : `refused: ${refusal[0]?.summary}`;
  if (refusal !== undefined) {
    if (stopped.length > 0 || mayUpdate || healthy.length === 0) return `refused: ${refusal[0]?.summary}`;
    return refusal.every(({ code }) => code === "plan/quorum-at-risk") ? null : `refused: ${refusal[0]?.code}`;
  }
  const acted = (kind: Step["action"]["kind"]): string =>
    plan.steps
      .flatMap(({ action }) => (action.kind === kind && "member" in action ? [action.member] : []))
      .sort()
      .join();
  if (acted("restartAgent") !== stopped.join()) return "it does not start all that can be started";
  if (acted("updateAgent") !== (mayUpdate ? healthy.join() : "")) return `it updates ${acted("updateAgent") || "none"}`;
  const isPostponed = plan.warnings.some(({ code }) => code === "plan/postponed");
  if (isPostponed !== (!mayUpdate && healthy.length > 0)) return "it does not say what it postpones";
  return walk(plan.steps, up, masters.length);
}

describe("planChanges, over every outage with an update pending", () => {
  it.each([
    [3, everyCondition, 96],
    [5, conditions, conditions === everyCondition ? 1536 : 294],
  ])("B3: repairs what it can of %i masters, and updates what the quorum allows", (count, from, total) => {
    const spec = fixtureSpec(
      Array.from({ length: count }, (_, index) => `m${index + 1}`),
      { tls: false, workers: 0 },
    );
    const wanted = { ...spec, controlPlane: { ...spec.controlPlane, heartbeatIntervalMs: 50 } };
    const state = settledState(spec);
    let looked = 0;
    for (const each of cases(count, from)) {
      const result = planChanges(fixtureInput(wanted, { state, observed: observed(spec, each) }));
      const wrong = problem(each, result);
      if (wrong !== null) {
        const steps = result.plan?.steps.map(({ id }) => id).join("\n");
        throw new Error(`${wrong}\n${JSON.stringify(each)}\n${steps}`);
      }
      looked += 1;
    }
    expect(looked).toBe(total);
  });
});
