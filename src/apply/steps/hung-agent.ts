/**
 * A member whose process runs and says nothing. It may answer again at any time, such as after a pause of its machine, and then it may
 * be one that the quorum needs: it is asked once more before it is stopped, and followed until it answers.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import { desiredResources } from "../../plan/desired-resources.ts";
import { resourceAddress } from "../../plan/resource.ts";
import type { StepAction } from "../../plan/step.ts";
import { clientUrl } from "../../units/addresses.ts";
import { agentUnitName } from "../../units/unit-definition.ts";
import { leftAlone, type StepOutputs } from "../state-edits.ts";
import { pollIntervalMs, type StepContext } from "../step-context.ts";
import { restartAgent } from "./agent-steps.ts";
import { endedAgents, unhealthyOf } from "./await-steps.ts";

/** A member without a quorum may not answer before the others are back: the wait for all of them is a step of its own. */
const followMs = 15_000;
/** On a host, that is one call. */
const askIntervalMs = 1_000;

/** @throws HaplanError `apply/answers-again` if it answers, and would have been started with other settings */
export async function restartHungAgent(
  context: StepContext,
  action: StepAction & { readonly kind: "restartAgent" },
): Promise<StepOutputs> {
  const { member } = action;
  context.detail("asking once more whether it answers");
  if (await answers(context, member)) {
    if (hasOtherSettings(context, member)) throw answersAgain(member);
    context.warn(`${member} answers again: its process was left alone`);
    return leftAlone;
  }
  const facts = await restartAgent(context, action);
  await follow(context, member);
  return facts;
}

/** Resolves once it answers, or its process has ended, or it has taken its time. */
async function follow(context: StepContext, member: string): Promise<void> {
  const { clock } = context.ports;
  const deadlineMs = clock.monotonicMs() + followMs;
  for (;;) {
    if (await answers(context, member)) return;
    if ((await endedAgents(context, [member])).length > 0 || clock.monotonicMs() >= deadlineMs) return;
    context.detail("restarted, and does not answer yet");
    await clock.sleep(Math.max(askIntervalMs, pollIntervalMs), context.signal);
  }
}

/** To haplan, or on its own host: without a quorum no member is healthy. */
async function answers(context: StepContext, member: string): Promise<boolean> {
  const { ports, connection, keeper, plan, signal } = context;
  const membership = await (await connection.controlPlane()).observe();
  if (unhealthyOf(context, membership, [member]).length === 0) return true;
  const known = keeper.find(resourceAddress("haplan_raft_member", member))?.attributes["clientUrl"];
  const master = plan.spec.controlPlane.masters.find(({ name }) => name === member);
  const url = typeof known === "string" ? known : master === undefined ? null : clientUrl(plan.spec, master);
  return url !== null && (await ports.provider.answersLocally(member, agentUnitName, url, signal));
}

/** A process that works is changed by a step that keeps the quorum, which the next plan has. */
function hasOtherSettings({ plan, keeper, ports }: StepContext, member: string): boolean {
  const address = resourceAddress("haplan_agent", member);
  const wanted = desiredResources(plan.spec, ports.provider.model, plan.binding.artifact).find(
    (each) => each.address === address,
  );
  const known = keeper.find(address)?.attributes;
  return known !== undefined && known["configDigest"] !== wanted?.attributes["configDigest"];
}

function answersAgain(member: string): HaplanError {
  return new HaplanError(
    "apply/answers-again",
    `${member} answers again, and the spec changes its settings. It was left alone: plan again, so that it is restarted as one that works`,
  );
}
