/**
 * Brings programs to the machines of a plan before its first step: a host that cannot take them, for lack of space or because it does
 * not answer, is found out while everything is as it was, and no step waits for an upload with a member down.
 */
import type { Diagnostic } from "../base/diagnostic.ts";
import type { Plan } from "../plan/plan.ts";
import type { StepAction } from "../plan/step.ts";
import { balancerOf } from "../units/load-balancer-unit.ts";
import type { ApplyPorts } from "./ports.ts";

/** Where the provider does not distinguish versions, there is nothing to bring. */
export async function prepareMachines(
  plan: Plan,
  { provider, emit }: Pick<ApplyPorts, "provider" | "emit">,
  signal: AbortSignal,
): Promise<readonly Diagnostic[]> {
  const machines = plan.mode === "destroy" || plan.binding.artifact === undefined ? [] : machinesToPrepare(plan);
  if (machines.length === 0) return [];
  emit({ kind: "preparing", machines });
  const failures = await provider.prepare(machines, signal);
  return failures.map(({ host, reason }) => ({
    severity: "error",
    code: "apply/not-prepared",
    summary: `${host} cannot get haplan's programs`,
    detail: `${reason}\nNo step was begun, and everything runs as before. Fix the cause, then run the same command again.`,
  }));
}

/** Machines that exist, and whose units are started, with the programs that plan has. New ones get them when they are made. */
function machinesToPrepare({ steps }: Plan): readonly string[] {
  const created = new Set(steps.flatMap(({ action }) => (action.kind === "createMachine" ? [action.machine] : [])));
  const started = new Set(steps.flatMap(({ action }) => startedOn(action)));
  return [...started].filter((name) => !created.has(name)).toSorted();
}

function startedOn(action: StepAction): readonly string[] {
  switch (action.kind) {
    case "startAgent":
    case "updateAgent":
    case "upgradeAgent":
    case "reloadAgent":
    case "restartAgent":
    case "restoreMember":
      return [action.member];
    case "startLoadBalancer":
    case "updateLoadBalancer":
      return [balancerOf(action)];
    case "startWorker":
      return [action.worker];
    case "updateMachine":
      return [action.machine];
    case "writeKubeadmConfig":
      return [action.host];
    default:
      return [];
  }
}
