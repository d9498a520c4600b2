/**
 * The plan predicted a quorum; the gate checks it. Before each step that affects voters, the live membership goes
 * through the planner's own model of that step: a step that would lose the quorum now is not run.
 */
import { HaplanError } from "../base/haplan-error.ts";
import type { ObservedMembership } from "../plan/observed-cluster.ts";
import type { Plan } from "../plan/plan.ts";
import { canLose, type QuorumModel, quorumRow, simulateStep } from "../plan/quorum-model.ts";
import { specName } from "../plan/resource.ts";
import type { MemberRef, Step, StepAction } from "../plan/step.ts";
import { traitsOf } from "../plan/step-traits.ts";
import { memberAnswers } from "./member-answers.ts";
import { liveMembership, memberIdOf, type StepContext } from "./step-context.ts";

/** @throws HaplanError `apply/quorum-gate` if the step must not be taken now. */
export async function passQuorumGate(context: StepContext, step: Step): Promise<void> {
  if (!isGated(context.plan, step) || (await startsWhatIsDown(context, step.action))) return;
  const membership = await liveMembership(context);
  const before = liveModel(context, membership);
  const { during, after } = simulateStep(before, resolved(context, step.action));
  const working = canLose(before);
  const lost = canLose(during) === null || canLose(after) === null;
  const reason =
    working === null ? "there is no quorum" : lost ? "it would lose the quorum" : "a majority stays healthy throughout";
  const open = working !== null && !lost;
  const row = quorumRow(before, null, "now");
  const { voters, healthyVoters, quorum } = row;
  context.ports.emit({ kind: "quorumGate", step, open, voters, healthyVoters, quorum, canLose: row.canLose, reason });
  if (open) return;
  throw new HaplanError(
    "apply/quorum-gate",
    `Stopped before "${step.title}": ${reason} (${healthyVoters} of ${voters} voters are healthy, ${quorum} needed). ` +
      "This step changed nothing; plan again to see what the cluster needs.",
  );
}

/** Of such steps one runs at a time: two that pass the gate together might lose the quorum together. */
export function isGated({ mode, restore, spec }: Plan, { action }: Step): boolean {
  // A restore stops all members, as was approved.
  if (restore !== undefined) return false;
  const adopted = spec.controlPlane.masters.some((master) => master.adoptedAt !== undefined);
  // Adopted members outlive a destroy, and so must their quorum.
  return traitsOf(action).gated && (mode !== "destroy" || adopted);
}

/** Such a member has no vote that could be lost, and without it there may be no quorum. */
async function startsWhatIsDown(context: StepContext, action: StepAction): Promise<boolean> {
  if (action.kind !== "updateAgent" && action.kind !== "upgradeAgent") return false;
  return !(await memberAnswers(context, action.member));
}

function liveModel(context: StepContext, membership: ObservedMembership): QuorumModel {
  const named = new Map(
    context.keeper.state.resources
      .filter((resource) => resource.type === "haplan_raft_member")
      .map((resource) => [resource.attributes["memberId"], resource.name]),
  );
  return {
    members: membership.members.map((member) => ({
      key: member.id,
      // A renamed member has its former name until it restarts.
      name: specName(named.get(member.id) ?? member.name),
      up: member.healthy,
    })),
    voters: membership.members.filter((member) => !member.learner).map((member) => member.id),
    votersOutgoing: membership.votersOutgoing,
  };
}

/** The action with every member's id filled in from the live membership. */
function resolved(context: StepContext, action: StepAction): StepAction {
  if (action.kind !== "changeVoters") return action;
  const fill = (member: MemberRef): MemberRef => ({ name: member.name, memberId: memberIdOf(context, member) });
  return { ...action, from: action.from.map(fill), to: action.to.map(fill) };
}

/** Reports the membership after a change of it. */
export async function tellMembership(context: StepContext, step: Step): Promise<void> {
  const membership = await (await context.connection.controlPlane()).observe();
  if (membership === null) return;
  const known = new Map(
    context.keeper.state.resources.map((resource) => [resource.attributes["memberId"], resource.name]),
  );
  const nameOf = (id: string): string => {
    const member = membership.members.find((candidate) => candidate.id === id);
    return specName(member?.name || String(known.get(id) ?? id));
  };
  const ids = [...new Set([...membership.members.map(({ id }) => id), ...membership.votersOutgoing])];
  // While a master is replaced, two members have its name: the state has the one that joins.
  const name = (id: string): string => {
    const own = nameOf(id);
    const isNew = known.get(id) === own && ids.filter((each) => nameOf(each) === own).length > 1;
    return isNew ? `${own} (new)` : own;
  };
  const names = (learner: boolean): readonly string[] =>
    membership.members
      .filter((member) => member.learner === learner)
      .map((member) => name(member.id))
      .sort();
  context.ports.emit({
    kind: "membershipChange",
    step,
    voters: names(false),
    votersOutgoing: membership.votersOutgoing.map(name).sort(),
    learners: names(true),
  });
}
