/** Whether a plan is no more than the repair that was decided. Pure; the plan was made under the lock, after the decision. */
import type { Plan } from "../../../src/plan/plan.ts";
import { parseAddress, specName } from "../../../src/plan/resource.ts";
import type { MemberRef, StepAction } from "../../../src/plan/step.ts";
import type { Repair, RepairKind } from "./decide-repair.ts";

type StepKind = StepAction["kind"];

/** A dead unit may have a certificate that is due as well: it starts with a new one. */
const shared: readonly StepKind[] = [
  "awaitQuorum",
  "checkMembers",
  "recordState",
  "renewAuthority",
  "issueCertificate",
];

/**
 * None of the first two changes the membership, a machine or a running master. The steps of the control plane are planned
 * together: a master that runs may get a certificate that is due, or was not handed out, when another one is started.
 */
const permitted: Readonly<Record<RepairKind, ReadonlySet<StepKind>>> = {
  restart: new Set<StepKind>([
    ...shared,
    "restartAgent",
    "reloadAgent",
    "startWorker",
    "startLoadBalancer",
    "updateLoadBalancer",
  ]),
  renew: new Set<StepKind>([...shared, "reloadAgent", "startWorker", "updateLoadBalancer"]),
  replace: new Set<StepKind>([...shared, "reloadAgent", "updateLoadBalancer", "takeSnapshot"]),
  clean: new Set<StepKind>([...shared, "updateLoadBalancer"]),
};

/** Why the plan is not carried out without asking; null if it may be. */
export function repairObjection(plan: Plan, { kind, address }: Pick<Repair, "kind" | "address">): string | null {
  const name = specName(parseAddress(address).name);
  const isPermitted = ({ action }: Plan["steps"][number]): boolean =>
    permitted[kind].has(action.kind) ||
    (kind === "replace" && isOfNewMember(action, name)) ||
    (kind === "clean" && isOfFormerMember(action, name));
  const other = plan.steps.find((step) => !isPermitted(step));
  if (other !== undefined) return `its step "${other.title}" is more than a ${kind}`;
  const [now, ...later] = plan.timeline;
  const voted = kind === "clean" ? later.find(({ voters }) => voters !== now?.voters) : undefined;
  if (voted !== undefined) return `its step "${voted.title}" changes the votes`;
  const worst = later.find(({ canLose }) => canLose === null || canLose < (now?.canLose ?? 0));
  if (worst === undefined) return null;
  return `after its step "${worst.title}" ${worst.canLose === null ? "there would be no quorum" : "fewer voters could fail than now"}`;
}

/** Whether a step makes the master's new member, moves its vote, or removes its former one: it concerns no other master. */
function isOfNewMember(action: StepAction, master: string): boolean {
  switch (action.kind) {
    case "createMachine":
    case "destroyMachine":
      return action.machine === master;
    case "startAgent":
    case "restartAgent":
    case "stopAgent":
    case "addLearner":
    case "awaitCatchUp":
    case "removeMember":
      return action.member === master;
    case "changeVoters":
      return sameVoters(action.from, action.to, master);
    default:
      return false;
  }
}

/** The generation tells the former machine of a name from the current one. Its member has no vote any more. */
function isOfFormerMember(action: StepAction, master: string): boolean {
  if (action.kind === "removeMember") return action.member === master;
  if (action.kind === "stopAgent") return action.member === master && action.generation !== undefined;
  return action.kind === "destroyMachine" && action.machine === master && action.generation !== undefined;
}

/** Reports whether all voters but those named after the master stay. */
function sameVoters(from: readonly MemberRef[], to: readonly MemberRef[], master: string): boolean {
  const others = (voters: readonly MemberRef[]): string =>
    voters
      .filter(({ name }) => name !== master)
      .map(({ name, memberId }) => `${name} ${memberId}`)
      .toSorted()
      .join();
  return others(from) === others(to);
}
