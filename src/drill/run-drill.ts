/** Does the faults of a drill one after the other, each only while the quorum may lose a voter, and waits until the cluster is as before. */
import type { WriteAvailability } from "../apply/apply-event.ts";
import { errorText } from "../base/haplan-error.ts";
import { type DrillFault, type DrillResult, quorumAtStake } from "./drill.ts";
import type { DrillRequest } from "./drill-request.ts";
import { failAddressOver } from "./fail-over.ts";
import { moveLeadership, pauseMember, restartMember } from "./member-faults.ts";

const memberFaults = { restart: restartMember, pause: pauseMember, leader: moveLeadership } as const;

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
  const unwritten = request.probe === null ? null : whyUnwritten(availability);
  for (const { id, result } of taken) {
    const gap = availability?.steps.find((step) => step.id === id)?.longestGapMs ?? 0;
    const longestGapMs = availability === null || unwritten !== null ? null : gap;
    results.push({ ...result, problem: result.problem ?? unwritten, longestGapMs });
  }
  return results;
}

/** Why nothing is known of gaps; null once a client has written. Writes that all fail, or none of which ends, have no gap between them. */
export function whyUnwritten(availability: WriteAvailability | null): string | null {
  if (availability === null) return "no client could write: no write came to an end";
  const { attempts, failed, firstFailure } = availability;
  return failed < attempts ? null : `no client could write: ${firstFailure ?? "no write was tried"}`;
}

/** @returns what was wrong; null if the cluster is as before */
async function oneFault(request: DrillRequest, { kind, member }: DrillFault): Promise<string | null> {
  const before = await request.controlPlane.observe();
  const atStake = quorumAtStake(before);
  if (before === null || atStake !== null) return `not begun: ${atStake}`;
  if (kind === "vip") return await failAddressOver(request, member);
  const target = before.members.find(({ name }) => name === member);
  if (target?.healthy !== true || target.leader) return `not begun: ${member} is no healthy follower now`;
  return await memberFaults[kind]({ request, before, target });
}
