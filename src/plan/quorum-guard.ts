/**
 * Simulates a plan's steps and rejects every order that could lose the quorum, after a step or during it. Also computes
 * the quorum timeline. The guard is independent of how plans are made.
 */

import { assert } from "../base/assert.ts";
import type { Diagnostic } from "../base/diagnostic.ts";
import { majorityOf } from "../base/majority.ts";
import type { QuorumRow } from "./plan.ts";
import { canLose, type QuorumModel, quorumRow, simulateStep } from "./quorum-model.ts";
import type { Step } from "./step.ts";
import { traitsOf } from "./step-traits.ts";

export type GuardResult = {
  readonly timeline: readonly QuorumRow[];
  /** The first step that must not be taken; null if all may be. */
  readonly refusal: Diagnostic | null;
};

export type GuardOptions = {
  /** Turns refusals off: losing the quorum was requested. */
  readonly destroying: boolean;
  /** A real etcd may pass through an even number of voters. */
  readonly allowEvenSteps: boolean;
};

export function guardQuorum(
  start: QuorumModel,
  steps: readonly Step[],
  { destroying, allowEvenSteps }: GuardOptions,
): GuardResult {
  const timeline: QuorumRow[] = [quorumRow(start, null, "now")];
  let model = start;
  for (const [position, step] of steps.entries()) {
    const { during, after } = simulateStep(model, step.action);
    if (!destroying) {
      const even = allowEvenSteps ? null : checkEvenStep(start, { before: model, after, step, position });
      const refusal = even ?? checkMoment(model, during, after, step, position);
      if (refusal !== null) return { timeline, refusal };
    }
    if (traitsOf(step.action).touchesQuorum) {
      if (during.votersOutgoing.length > 0) timeline.push(quorumRow(during, position, `${step.title} (joint)`));
      timeline.push(quorumRow(after, position, step.title));
    }
    model = after;
  }
  return { timeline, refusal: null };
}

/**
 * A real etcd moves one vote at a time. An even number on the way is allowed without the policy only if it is worse
 * than the present in no respect: when a voter leaves that is down anyway.
 */
function checkEvenStep(
  start: QuorumModel,
  { before, after, step, position }: { before: QuorumModel; after: QuorumModel; step: Step; position: number },
): Diagnostic | null {
  const { action } = step;
  const direct = action.kind === "removeMember" || (action.kind === "changeVoters" && action.manner === "direct");
  const [from, to] = [before.voters.length, after.voters.length];
  if (!direct || from === to || to % 2 === 1 || to === 0) return null;
  const gone = before.voters.filter((key) => !after.voters.includes(key));
  // The plan itself may have stopped it.
  const wasDown = gone.length > 0 && start.members.every((member) => !gone.includes(member.key) || !member.up);
  if (wasDown) return null;
  return refusal(
    "plan/even-step",
    `Step ${position + 1} (${step.title}) would pass through ${to} voters, an even number`,
    `A real etcd changes one voter at a time. ${to} voters tolerate the loss of ${to - majorityOf(to)}, and a network partition ${to / 2}|${to / 2} stops both halves for as long as it lasts. To allow it, write "policy: { allowEvenSteps: true }"; haplan's own engine (agent) changes all votes in one joint step.`,
  );
}

function checkMoment(
  before: QuorumModel,
  during: QuorumModel,
  after: QuorumModel,
  step: Step,
  position: number,
): Diagnostic | null {
  const number = position + 1;
  const { action } = step;
  if (action.kind === "changeVoters" && action.manner === "joint") {
    assert(action.to.length > 0, "a change of voters leaves some");
    if (action.to.length % 2 === 0) {
      return refusal(
        "plan/even-voters",
        `Step ${number} (${step.title}) would leave ${action.to.length} voters, an even number`,
        "An even number tolerates no more failures than one less and can be partitioned into halves. Write 3, 5 or 7 masters.",
      );
    }
  }
  const working = canLose(before) !== null;
  if (!working && traitsOf(action).needsQuorum) {
    return refusal(
      "plan/no-quorum",
      `Step ${number} (${step.title}) needs a quorum, but there would be none: ${census(before)}`,
      "Bring members back first: start those that are down, or apply the spec that still lists them, then change the membership.",
    );
  }
  if (working && (canLose(during) === null || canLose(after) === null)) {
    const worst = canLose(during) === null ? during : after;
    return refusal(
      "plan/quorum-at-risk",
      `Step ${number} (${step.title}) would lose the quorum: ${census(worst)}`,
      "Bring the members that are down back first, or change less at once, so that a majority stays up at every step.",
    );
  }
  return null;
}

function census(model: QuorumModel): string {
  const up = new Set(model.members.filter((member) => member.up).map((member) => member.key));
  const half = (voters: readonly string[]): string =>
    `${voters.filter((key) => up.has(key)).length} healthy of ${voters.length} voters, ${majorityOf(voters.length)} needed`;
  if (model.votersOutgoing.length === 0) return half(model.voters);
  return `${half(model.votersOutgoing)} before the change; ${half(model.voters)} after it`;
}

function refusal(code: string, summary: string, detail: string): Diagnostic {
  return { severity: "error", code, summary, detail };
}
