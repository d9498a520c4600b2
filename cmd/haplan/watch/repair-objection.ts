/** Whether a plan is no more than the repair that was decided. Pure; the plan was made under the lock, after the decision. */
import type { Plan } from "../../../src/plan/plan.ts";
import type { StepAction } from "../../../src/plan/step.ts";
import type { RepairKind } from "./decide-repair.ts";

type StepKind = StepAction["kind"];

/** A dead unit may have a certificate that is due as well: it starts with a new one. */
const shared: readonly StepKind[] = [
  "awaitQuorum",
  "checkMembers",
  "recordState",
  "renewAuthority",
  "issueCertificate",
];

/** None of them changes the membership, a machine or a running master. */
const permitted: Readonly<Record<RepairKind, ReadonlySet<StepKind>>> = {
  restart: new Set<StepKind>([...shared, "restartAgent", "startWorker", "startLoadBalancer", "updateLoadBalancer"]),
  renew: new Set<StepKind>([...shared, "reloadAgent", "startWorker", "updateLoadBalancer"]),
};

/** Why the plan is not carried out without asking; null if it may be. */
export function repairObjection(plan: Plan, kind: RepairKind): string | null {
  const other = plan.steps.find(({ action }) => !permitted[kind].has(action.kind));
  if (other !== undefined) return `its step "${other.title}" is more than a ${kind}`;
  const [now, ...later] = plan.timeline;
  const worst = later.find(({ canLose }) => canLose === null || canLose < (now?.canLose ?? 0));
  if (worst === undefined) return null;
  return `after its step "${worst.title}" ${worst.canLose === null ? "there would be no quorum" : "fewer voters could fail than now"}`;
}
