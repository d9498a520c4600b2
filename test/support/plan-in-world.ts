/** For tests: the plan of a spec for a whole world in memory. */
import { observeCluster } from "../../src/apply/observe-cluster.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { planChanges } from "../../src/plan/planner.ts";
import type { PlannerInput } from "../../src/plan/planner-input.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import type { FakeWorld } from "./fake-world.ts";
import { fixtureNowMs } from "./planned-cluster.ts";

/** What the planner is given beside the world's state; by default it observes the world. @throws Error with the reasons of a refusal */
export async function planInWorld(
  world: FakeWorld,
  spec: ClusterSpec,
  more: Partial<PlannerInput> = {},
): Promise<Plan> {
  const { state } = world.facts;
  const observed = more.observed ?? (await observeCluster(world.ports(), { spec, state }));
  const { plan, refusal } = planChanges({
    spec,
    specDigest: "d",
    state,
    observed,
    provider: world.model,
    mode: "apply",
    haplanVersion: "0.1.0",
    nowMs: fixtureNowMs,
    ...more,
  });
  if (refusal !== undefined) throw new Error(refusal.map(({ summary }) => summary).join("\n"));
  return plan;
}
