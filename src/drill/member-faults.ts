/** Faults of members: each returns what was wrong, or null once the cluster is as before. Whatever happens, each has its way back. */
import { errorText } from "../base/haplan-error.ts";
import type { ObservedMember, ObservedMembership } from "../plan/observed-cluster.ts";
import { agentUnitName } from "../units/unit-definition.ts";
import { missingAfter, quorumAtStake } from "./drill.ts";
import { type DrillRequest, pollMs, recoveryMs, untilNull } from "./drill-request.ts";

export type MemberFault = {
  readonly request: DrillRequest;
  /** The cluster before the fault. */
  readonly before: ObservedMembership;
  /** A healthy follower. */
  readonly target: ObservedMember;
};

export async function restartMember({ request, before, target }: MemberFault): Promise<string | null> {
  const failure = await request.provider
    .disturbUnit(target.name, agentUnitName, { kind: "restart" })
    .then(() => null, errorText);
  const missing = await untilAsBefore(request, before);
  return joined(failure, missing);
}

export async function pauseMember(fault: MemberFault): Promise<string | null> {
  const { request, before, target } = fault;
  const { provider, pauseMs } = request;
  const disturb = (kind: "pause" | "resume"): Promise<string | null> =>
    provider
      .disturbUnit(target.name, agentUnitName, kind === "pause" ? { kind, forMs: pauseMs } : { kind })
      .then(() => null, errorText);
  const failure = await disturb("pause");
  const seen = failure === null ? await watchPause(fault).catch(errorText) : null;
  // Also where the pause has failed: it may have begun.
  const notResumed = await disturb("resume");
  return joined(failure ?? seen ?? notResumed, await untilAsBefore(request, before));
}

/** Ends early when another voter is missing as well, or the run is to stop. */
async function watchPause({ request, before, target }: MemberFault): Promise<string | null> {
  const { clock, pauseMs, signal } = request;
  const others = request.connectTo(before.members.filter(({ id }) => id !== target.id));
  try {
    const untilMs = clock.monotonicMs() + pauseMs;
    while (clock.monotonicMs() < untilMs && !signal.aborted) {
      const atStake = quorumAtStake(await others.observe(), target.name);
      if (atStake !== null) return `${atStake}: ${target.name} was resumed early`;
      await clock.sleep(Math.min(pollMs, Math.max(1, untilMs - clock.monotonicMs())), signal).catch(() => undefined);
    }
    return null;
  } finally {
    others.close();
  }
}

/** To the follower and back, also where the run is to stop or the move has failed: it may have happened. */
export async function moveLeadership({ request, before, target }: MemberFault): Promise<string | null> {
  const leader = before.members.find((member) => member.leader);
  if (leader === undefined) return "not begun: the leader does not answer";
  const { controlPlane, clock } = request;
  const failure = await controlPlane
    .moveLeader(target.id)
    .then(() => untilAsBefore(request, before))
    .catch(errorText);
  const leadsAgain = async (): Promise<null> => {
    const now = await controlPlane.observe();
    if (now?.members.find((member) => member.leader)?.id !== leader.id) await controlPlane.moveLeader(leader.id);
    return null;
  };
  const elsewhere = await untilNull(clock, recoveryMs, () =>
    leadsAgain().catch((error: unknown) => `${leader.name} does not lead again: ${errorText(error)}`),
  );
  return joined(failure ?? elsewhere, await untilAsBefore(request, before));
}

async function untilAsBefore(
  { controlPlane, clock }: DrillRequest,
  before: ObservedMembership,
): Promise<string | null> {
  return await untilNull(clock, recoveryMs, async () => {
    const missing = missingAfter(before, await controlPlane.observe());
    return missing.length === 0 ? null : `not healthy after ${recoveryMs / 1000} s: ${missing.join(", ")}`;
  });
}

/** Both: what went wrong, and what is left of it. */
function joined(first: string | null, second: string | null): string | null {
  return first === null || second === null || first === second ? (first ?? second) : `${first}; ${second}`;
}
