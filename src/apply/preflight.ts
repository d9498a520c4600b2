/** Everything that would go wrong on the machines, found out before anything is touched and said all at once. */
import type { Diagnostic } from "../base/diagnostic.ts";
import type { Plan } from "../plan/plan.ts";
import type { JoinFacts, StepAction } from "../plan/step.ts";
import type { MachineIdentity, Provider } from "../providers/provider.ts";
import { agentBlueprint } from "../units/agent-unit.ts";
import { loadBalancerBlueprint } from "../units/load-balancer-unit.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";
import { workerBlueprint } from "../units/worker-unit.ts";

export async function preflightPlan(plan: Plan, lineage: string, provider: Provider): Promise<readonly Diagnostic[]> {
  if (plan.mode === "destroy") return [];
  const actions = plan.steps.map((step) => step.action);
  const machines = actions.flatMap((action): readonly MachineIdentity[] =>
    action.kind === "createMachine"
      ? [{ name: action.machine, address: action.address, zone: action.zone, lineage, generation: action.generation }]
      : [],
  );
  const units = actions.flatMap((action) => unitsOf(plan, lineage, action));
  return machines.length === 0 && units.length === 0 ? [] : provider.preflight({ machines, units });
}

/** Whom it will find is read when it starts; no preflight needs it. */
const joining: JoinFacts = { clusterState: "existing", initialCluster: [] };

/** Without certificates: they are not made yet, and no preflight needs them. */
function unitsOf(plan: Plan, lineage: string, action: StepAction): readonly UnitDefinition[] {
  switch (action.kind) {
    case "startAgent":
      return [agentBlueprint(plan.spec, action.member, { ...(action.join ?? joining), token: lineage }).definition];
    case "startLoadBalancer":
      return [loadBalancerBlueprint(plan.spec, action).definition];
    case "startWorker":
      return [workerBlueprint(plan.spec, action.worker).definition];
    default:
      return [];
  }
}
