/**
 * Which trials there are, and their order. With a time budget the end is left out, so that the order decides what is tried:
 * first every step once, the steps that change the quorum before the others, then every step with the next fault.
 */

import type { StepAction } from "../plan/step.ts";
import { traitsOf } from "../plan/step-traits.ts";
import { type Fault, type FaultKind, faultKinds, type RehearsedStep, type Trial } from "./rehearsal.ts";

export type TrialRequest = {
  readonly steps: readonly RehearsedStep[];
  /** Members that may run at any step: present ones and new ones. */
  readonly members: readonly string[];
  readonly faults: readonly FaultKind[];
};

type FaultTrial = NonNullable<Trial>;

/** All trials, in their order; the first one is without a fault. */
export function orderTrials({ steps, members, faults }: TrialRequest): readonly Trial[] {
  const possible = faultKinds
    .filter((kind) => faults.includes(kind))
    .flatMap((kind): readonly Fault[] =>
      kind === "haplan" ? [{ kind }] : members.map((member) => ({ kind, member })),
    );
  const weighty = steps.filter(({ kind }) => isWeighty(kind));
  const others = steps.filter(({ kind }) => !isWeighty(kind));
  // At each round another fault meets a step, and another member than at the step before.
  const rounds = possible.map(
    (_, round) =>
      (step: RehearsedStep, at: number): FaultTrial => ({
        step,
        fault: possible[(round * stride(possible.length) + at) % possible.length]!,
      }),
  );
  const inRounds = (some: readonly RehearsedStep[]): readonly FaultTrial[] =>
    rounds.flatMap((trialOf) => some.map(trialOf));
  return [null, ...inRounds(weighty), ...inRounds(others)];
}

/** A step between two rounds that meets every fault once: no common divisor with their number. */
function stride(count: number): number {
  let step = Math.max(1, Math.floor(count / 2));
  while (greatestCommonDivisor(step, count) !== 1) step += 1;
  return step;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function isWeighty(kind: StepAction["kind"]): boolean {
  const { touchesQuorum, delaysWrites } = traitsOf({ kind } as StepAction);
  return touchesQuorum || delaysWrites;
}

/**
 * The steps that `-steps` selects: numbers, ranges of them and kinds of steps, such as `3,5-7,changeVoters`.
 * @returns null for a word that selects none, with that word
 */
export function selectSteps(
  steps: readonly RehearsedStep[],
  words: readonly string[],
): { readonly steps: readonly RehearsedStep[] } | { readonly unknown: string } {
  const chosen = new Set<RehearsedStep>();
  for (const word of words) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(word) ?? [];
    const meant = steps.filter(({ number, kind }) =>
      first === undefined ? kind === word : number >= Number(first) && number <= Number(last),
    );
    if (meant.length === 0) return { unknown: word };
    for (const step of meant) chosen.add(step);
  }
  return { steps: steps.filter((step) => chosen.has(step)) };
}

/** `kill m2 at step 4`, or `no fault`. */
export function trialName(trial: Trial): string {
  if (trial === null) return "no fault";
  return `${faultName(trial.fault)} at step ${trial.step.number}`;
}

export function faultName(fault: Fault): string {
  return fault.kind === "haplan" ? "kill haplan" : `${fault.kind === "cut" ? "cut off" : fault.kind} ${fault.member}`;
}
