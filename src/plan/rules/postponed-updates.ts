/**
 * Changes that stop a healthy master wait while they would lose the quorum because others are down: the plan brings back
 * the members that haplan can start, and a later plan makes these changes, once the rest answers. A plan that would have
 * nothing else to do is refused, since a change that is not made must not look like success.
 */

import { majorityOf } from "../../base/majority.ts";
import { type ClusterView, isUncalled, isUnreachable } from "../cluster-view.ts";
import { whyUnreachable } from "../observed-cluster.ts";
import type { Postponement } from "../plan-builder.ts";
import type { Planning } from "../planning.ts";
import { canLose, type ModelMember, modelOf, type QuorumModel, simulateStep } from "../quorum-model.ts";
import { type ResourceAddress, resourceAddress } from "../resource.ts";
import type { Step } from "../step.ts";
import { machineAddress } from "./machines.ts";
import type { KeptMaster } from "./masters.ts";
import { isRequested } from "./requested-replacements.ts";

export type WaitingChange = {
  /** The resources that it changes. */
  readonly changes: readonly ResourceAddress[];
  /** The resources that have the spec's values only afterwards. */
  readonly keeps: readonly ResourceAddress[];
};

/**
 * Postpones the change that would stop this master now, after the steps planned so far, if it has to wait for members
 * that are down. Returns whether it has. What `-replace` names is wanted now: the guard refuses it.
 */
export function postpones(
  planning: Planning,
  { name, voter }: Pick<KeptMaster, "name" | "voter">,
  { changes, keeps }: WaitingChange,
): boolean {
  const { view, builder, restore } = planning;
  // A restore stops all members.
  if (restore !== undefined) return false;
  const own = (["haplan_raft_member", "haplan_agent", "haplan_machine"] as const).map((type) =>
    resourceAddress(type, name),
  );
  // A renamed one is rebuilt under another address, and the former one cannot stay in this plan.
  if (name !== voter.name || own.some((address) => isRequested(planning, address))) return false;
  const now = builder.steps.reduce((model, { action }) => simulateStep(model, action).after, modelOf(view));
  const stopped = simulateStep(now, { kind: "stopAgent", member: voter.name }).during;
  const down = votersDown(now).filter((member) => member.name !== voter.name);
  if (canLose(stopped) !== null || down.length === 0) return false;
  const away = down.map((member) => member.name).sort();
  const reason = `postponed: it would lose the quorum ${whileDown(away)}`;
  builder.leaveAsRecorded(keeps);
  builder.postpone({ addresses: changes, reason, away, quorum: quorumText(now, stopped) });
  return true;
}

function votersDown({ members, voters }: QuorumModel): readonly ModelMember[] {
  return members.filter(({ key, up }) => voters.includes(key) && !up);
}

function quorumText(now: QuorumModel, stopped: QuorumModel): string {
  const { length } = now.voters;
  const healthy = (model: QuorumModel): number => length - votersDown(model).length;
  return `${healthy(now)} healthy of ${length} voters, ${healthy(stopped)} during the update, ${majorityOf(length)} needed`;
}

/** Warns of what was postponed, as far as the plan is about it; refuses a plan of `steps` that would change nothing. */
export function tellPostponed(planning: Planning, steps: readonly Step[]): void {
  const { builder, target = [], refreshOnly = false } = planning;
  if (refreshOnly) return;
  const found = builder.postponements.filter(
    ({ addresses }) => target.length === 0 || addresses.some((address) => target.includes(address)),
  );
  if (found.length === 0) return;
  if (steps.every(({ action }) => action.kind === "awaitQuorum")) refuseAlone(planning, found);
  else warn(planning, found);
}

function warn({ view, builder }: Planning, found: readonly Postponement[]): void {
  const away = awayIn(found);
  const [what, waits] =
    found.length === 1 ? ["The update of", "is postponed: it"] : ["The updates of", "are postponed: they"];
  builder.warn(
    "plan/postponed",
    `${what} ${namesOf(found)} ${waits} would lose the quorum ${whileDown(away)}`,
    `${causes(view, away)}\nRun haplan apply again once ${answer(away)}.`,
  );
}

function refuseAlone({ view, builder }: Planning, found: readonly Postponement[]): void {
  const away = awayIn(found);
  const lost = away.filter((name) => isUnreachable(view, name) && !isUncalled(view, name));
  const replaced = lost.map((name) => `-replace=${machineAddress(name)}`);
  const way = view.hasLeader ? ["apply", ...replaced] : ["recover"];
  const it = lost.length === 1 ? `${lost[0]} is` : "they are";
  builder.refuse(
    "plan/quorum-at-risk",
    `Updating ${namesOf(found)} would lose the quorum ${whileDown(away)}: ${found[0]!.quorum}`,
    `${causes(view, away)}\nThis plan has nothing else to do. Bring ${away.join(", ")} back, and apply again once ${answer(away)}.${lost.length === 0 ? "" : ` If ${it} lost for good, run:`}`,
    null,
    lost.length === 0 ? [] : [way],
  );
}

function namesOf(found: readonly Postponement[]): string {
  return [...new Set(found.flatMap(({ addresses }) => addresses))].sort().join(", ");
}

function awayIn(found: readonly Postponement[]): readonly string[] {
  return [...new Set(found.flatMap(({ away }) => away))].sort();
}

function whileDown(away: readonly string[]): string {
  return `while ${away.join(", ")} ${away.length === 1 ? "is" : "are"} down`;
}

function answer(away: readonly string[]): string {
  return away.length === 1 ? `${away[0]} answers` : "they answer";
}

function causes(view: ClusterView, away: readonly string[]): string {
  return away.map((name) => cause(view, name)).join("\n");
}

function cause(view: ClusterView, name: string): string {
  const reason = whyUnreachable(view.unreachable, name);
  if (reason !== null && isUncalled(view, name)) return `haplan cannot call ${name}: ${reason}.`;
  if (reason !== null) return `${name} does not answer, and its machine is unreachable: ${reason}.`;
  const member = view.members.find((each) => each.voter && each.name === name);
  return member?.adopted === true
    ? `${name} was adopted and is not healthy: haplan does not start it.`
    : `${name} is not healthy.`;
}
