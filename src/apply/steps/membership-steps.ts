/** Membership changes, made by the members themselves; each returns once it is in effect. */
import type { StepAction } from "../../plan/step.ts";
import type { StepOutputs } from "../state-edits.ts";
import { memberIdOf, type StepContext } from "../step-context.ts";

type Of<Kind extends StepAction["kind"]> = StepAction & { readonly kind: Kind };

export async function addLearner(context: StepContext, action: Of<"addLearner">): Promise<StepOutputs> {
  const controlPlane = await context.connection.controlPlane();
  const { memberId } = await controlPlane.addLearner({ name: action.member, peerUrl: action.peerUrl });
  return { memberId };
}

export async function changeVoters(context: StepContext, action: Of<"changeVoters">): Promise<StepOutputs> {
  const ids = (members: Of<"changeVoters">["to"]): readonly string[] =>
    members.map((member) => memberIdOf(context, member)).sort();
  await (await context.connection.controlPlane()).changeVoters({ from: ids(action.from), to: ids(action.to) });
  return {};
}

export async function removeMember(context: StepContext, action: Of<"removeMember">): Promise<StepOutputs> {
  await (await context.connection.controlPlane()).removeMember(action.memberId);
  return {};
}

export async function updateMember(context: StepContext, action: Of<"updateMember">): Promise<StepOutputs> {
  const { memberId, peerUrl } = action;
  await (await context.connection.controlPlane()).updateMember({ memberId, peerUrl });
  return {};
}

export async function moveLeader(context: StepContext, action: Of<"moveLeader">): Promise<StepOutputs> {
  await (await context.connection.controlPlane()).moveLeader(memberIdOf(context, action.to));
  return {};
}
