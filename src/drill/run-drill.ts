/** Does the faults of a drill one after the other, each only while the quorum may lose a voter, and waits until the cluster is as before. */
import type { RunningProbe } from "../apply/ports.ts";
import type { Clock } from "../base/clock.ts";
import { errorText } from "../base/haplan-error.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import type { ObservedMembership } from "../plan/observed-cluster.ts";
import type { Provider } from "../providers/provider.ts";
import { agentUnitName } from "../units/unit-definition.ts";
import { type DrillFault, type DrillResult, missingAfter, quorumAtStake } from "./drill.ts";

export type DrillRequest = {
  readonly faults: readonly DrillFault[];
  readonly pauseMs: number;
  readonly controlPlane: ControlPlane;
  readonly provider: Pick<Provider, "disturbUnit">;
  /** Null: gaps are not measured. */
  readonly probe: RunningProbe | null;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly tell: (fault: DrillFault, phase: "begins" | "ends", problem: string | null) => void;
};

const pollMs = 250;
/** How long the cluster may take to be as before. */
const recoveryMs = 30_000;
/** A member that is paused or restarts is noticed within this time. */
const effectMs = 1_000;

/** Stops after the first fault that was not held, and when the signal is aborted. */
export async function runDrill(request: DrillRequest): Promise<readonly DrillResult[]> {
  const results: DrillResult[] = [];
  const taken: { readonly id: string; readonly result: Omit<DrillResult, "longestGapMs"> }[] = [];
  for (const [at, fault] of request.faults.entries()) {
    if (request.signal.aborted) break;
    const id = String(at);
    const startedMs = request.clock.monotonicMs();
    request.tell(fault, "begins", null);
    request.probe?.setPace("dense");
    request.probe?.markStep(id, "started");
    const problem = await oneFault(request, fault).catch(errorText);
    request.probe?.markStep(id, "ended");
    request.probe?.setPace("steady");
    request.tell(fault, "ends", problem);
    taken.push({ id, result: { fault, problem, elapsedMs: Math.round(request.clock.monotonicMs() - startedMs) } });
    if (problem !== null) break;
  }
  const availability = (await request.probe?.stop()) ?? null;
  for (const { id, result } of taken) {
    const gap = availability?.steps.find((step) => step.id === id)?.longestGapMs ?? 0;
    results.push({ ...result, longestGapMs: availability === null ? null : gap });
  }
  return results;
}

/** @returns what was wrong; null if the cluster is as before */
async function oneFault(request: DrillRequest, fault: DrillFault): Promise<string | null> {
  const before = await request.controlPlane.observe();
  const atStake = quorumAtStake(before);
  if (before === null || atStake !== null) return `not begun: ${atStake}`;
  const target = before.members.find(({ name }) => name === fault.member);
  if (target?.healthy !== true || target.leader) return `not begun: ${fault.member} is no healthy follower now`;
  if (fault.kind === "leader") {
    const leader = before.members.find((member) => member.leader);
    await request.controlPlane.moveLeader(target.id);
    const problem = await untilAsBefore(request, before);
    // Back, also where the run is to stop.
    if (leader !== undefined) await request.controlPlane.moveLeader(leader.id);
    return problem;
  }
  const disturb = request.provider.disturbUnit;
  if (disturb === undefined) return "not begun: this provider cannot do it";
  if (fault.kind === "restart") {
    await disturb(fault.member, agentUnitName, { kind: "restart" });
    await request.clock.sleep(effectMs);
    return await untilAsBefore(request, before);
  }
  await disturb(fault.member, agentUnitName, { kind: "pause", forMs: request.pauseMs });
  try {
    const problem = await watchPause(request, fault.member);
    if (problem !== null) return problem;
  } finally {
    await disturb(fault.member, agentUnitName, { kind: "resume" });
  }
  return await untilAsBefore(request, before);
}

/** Ends early when another voter is missing as well, or the run is to stop. */
async function watchPause(
  { controlPlane, clock, pauseMs, signal }: DrillRequest,
  member: string,
): Promise<string | null> {
  const untilMs = clock.monotonicMs() + pauseMs;
  while (clock.monotonicMs() < untilMs && !signal.aborted) {
    const atStake = quorumAtStake(await controlPlane.observe(), member);
    if (atStake !== null) return `${atStake}: ${member} was resumed early`;
    await clock.sleep(Math.min(pollMs, Math.max(1, untilMs - clock.monotonicMs())), signal).catch(() => undefined);
  }
  return null;
}

async function untilAsBefore(
  { controlPlane, clock }: DrillRequest,
  before: ObservedMembership,
): Promise<string | null> {
  const deadlineMs = clock.monotonicMs() + recoveryMs;
  for (;;) {
    const missing = missingAfter(before, await controlPlane.observe());
    if (missing.length === 0) return null;
    if (clock.monotonicMs() >= deadlineMs) return `not healthy after ${recoveryMs / 1000} s: ${missing.join(", ")}`;
    await clock.sleep(pollMs);
  }
}
