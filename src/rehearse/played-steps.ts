/**
 * The steps of the copy beside those of the real plan. They are the same step by their title: ids of members, which are part of
 * some ids of steps, differ, and so do generations: machines of the copy are the first ones of their names.
 */
import type { RehearsedStep, StepRun } from "./rehearsal.ts";

/** The steps of the copy, each with what the real plan says of it. */
export function stepsAsPlayed(
  planned: readonly RehearsedStep[],
  played: readonly Pick<StepRun, "id" | "title" | "kind">[],
): readonly RehearsedStep[] {
  const least = Math.min(...planned.map(({ canLose }) => canLose ?? 0));
  let added = planned.length;
  return played
    .map(({ id, title, kind }) => {
      const known = planned.find((step) => isSame(step, { title }));
      if (known !== undefined) return { ...known, id };
      added += 1;
      return { number: added, id, title, kind, canLose: least };
    })
    .sort((a, b) => a.number - b.number);
}

/** Steps that only one of the two plans has, as sentences. */
export function differingSteps(planned: readonly RehearsedStep[], played: readonly RehearsedStep[]): readonly string[] {
  const without = (steps: readonly RehearsedStep[], others: readonly RehearsedStep[]): string =>
    steps
      .filter((step) => !others.some((other) => isSame(step, other)))
      .map(({ title }) => title)
      .join("; ");
  const [missing, added] = [without(planned, played), without(played, planned)];
  return [
    ...(missing === "" ? [] : [`Steps that the copy's plan does not have: ${missing}.`]),
    ...(added === "" ? [] : [`Steps that only the copy's plan has: ${added}.`]),
  ];
}

type Titled = Pick<RehearsedStep, "title">;

function isSame(a: Titled, b: Titled): boolean {
  return withoutGeneration(a) === withoutGeneration(b);
}

function withoutGeneration({ title }: Titled): string {
  return title.replace(/ \(generation \d+\)$/, "");
}
