/**
 * A member that did not answer, with a process or without. It may be back by itself before its step, such as after a pause or a restart
 * of its machine, and then it may be one that the quorum needs: it is asked once more before anything is done to it.
 */
import { desiredResources } from "../../plan/desired-resources.ts";
import { resourceAddress } from "../../plan/resource.ts";
import type { StepAction } from "../../plan/step.ts";
import { answersAgain, memberAnswers } from "../member-answers.ts";
import { leftAlone, type StepOutputs } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";
import { restartAgent } from "./agent-steps.ts";
import { endedAgents } from "./await-steps.ts";

/** A member without a quorum may not answer before the others are back: the wait for all of them is a step of its own. */
const followMs = 15_000;
/** On a host, that is one call. */
const askIntervalMs = 1_000;

/** @throws HaplanError `apply/answers-again` if it votes again, and would be started with other settings than it has */
export async function restartSilentAgent(
  context: StepContext,
  action: StepAction & { readonly kind: "restartAgent" },
): Promise<StepOutputs> {
  const { member } = action;
  context.detail("asking once more whether it answers");
  if (await memberAnswers(context, member)) {
    const kept = keepsSettings(context, member);
    if (kept) context.warn(`${member} answers again: its process was left alone`);
    if (kept) return leftAlone;
    if (!(await isLearner(context, member))) throw answersAgain(member);
  }
  const facts = await restartAgent(context, action);
  if (action.unlessAnswers === true) await follow(context, member);
  return facts;
}

/** Resolves once it answers, or its process has ended, or it has taken its time. */
async function follow(context: StepContext, member: string): Promise<void> {
  const { clock } = context.ports;
  const deadlineMs = clock.monotonicMs() + followMs;
  for (;;) {
    if (await memberAnswers(context, member)) return;
    if ((await endedAgents(context, [member])).length > 0 || clock.monotonicMs() >= deadlineMs) return;
    context.detail("restarted, and does not answer yet");
    await clock.sleep(askIntervalMs, context.signal);
  }
}

/** A process that works is changed by a step that keeps the quorum, which the next plan has. */
function keepsSettings({ plan, keeper, ports }: StepContext, member: string): boolean {
  const address = resourceAddress("haplan_agent", member);
  const wanted = desiredResources(plan.spec, ports.provider.model, plan.binding.artifact).find(
    (each) => each.address === address,
  );
  const known = keeper.find(address)?.attributes;
  return known !== undefined && known["configDigest"] === wanted?.attributes["configDigest"];
}

async function isLearner({ connection }: StepContext, name: string): Promise<boolean> {
  const membership = await (await connection.controlPlane()).observe();
  return membership?.members.some((member) => member.name === name && member.learner) === true;
}
