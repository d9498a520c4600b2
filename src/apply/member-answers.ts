/** Whether a member answers right now, asked before its process is touched. */
import { HaplanError } from "../base/haplan-error.ts";
import { resourceAddress } from "../plan/resource.ts";
import { clientUrl } from "../units/addresses.ts";
import { agentUnitName } from "../units/unit-definition.ts";
import type { StepContext } from "./step-context.ts";
import { unhealthyOf } from "./steps/await-steps.ts";

/**
 * Answers haplan, or on its own host: without a quorum no member is healthy.
 * @throws HaplanError if it does not answer haplan, and its host cannot be asked
 */
export async function memberAnswers(context: StepContext, member: string): Promise<boolean> {
  const { ports, connection, keeper, plan, signal } = context;
  const membership = await (await connection.controlPlane()).observe();
  if (unhealthyOf(context, membership, [member]).length === 0) return true;
  const known = keeper.find(resourceAddress("haplan_raft_member", member))?.attributes["clientUrl"];
  const master = plan.spec.controlPlane.masters.find(({ name }) => name === member);
  const url = typeof known === "string" ? known : master === undefined ? null : clientUrl(plan.spec, master);
  return url !== null && (await ports.provider.answersLocally(member, agentUnitName, url, signal));
}

/** Of a member that would lose its vote for a while in a step that takes it for one without. */
export function answersAgain(member: string): HaplanError {
  return new HaplanError(
    "apply/answers-again",
    `${member} answers again, and would get other settings. It was left alone: plan again, so that it is restarted as one that works`,
  );
}
