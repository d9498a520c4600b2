/** Warns where a plan leaves the cluster without a spare voter, and would not if the unreachable members answered. */
import { majorityOf } from "../../base/majority.ts";
import { isUnreachable } from "../cluster-view.ts";
import type { Planning } from "../planning.ts";
import { canLose, modelOf, type QuorumModel, simulateStep } from "../quorum-model.ts";
import type { Step } from "../step.ts";

export function warnOfNoSpareVoter({ view, builder, mode, restore }: Planning, steps: readonly Step[]): void {
  if (mode === "destroy" || restore !== undefined || view.phase !== "formed") return;
  const away = view.members.filter(({ name, voter, answers }) => voter && !answers && isUnreachable(view, name));
  const names = away.map(({ name }) => name).sort();
  const start = modelOf(view);
  // Without a spare voter now, the plan takes none away.
  if (names.length === 0 || (canLose(start) ?? 0) === 0) return;
  let model = start;
  let first: { readonly number: number; readonly step: Step; readonly model: QuorumModel } | null = null;
  for (const [position, step] of steps.entries()) {
    const { during, after } = simulateStep(model, step.action);
    const worst = [during, after].find((each) => isWithoutSpare(each, names));
    if (first === null && worst !== undefined) first = { number: position + 1, step, model: worst };
    model = after;
  }
  if (first === null) return;
  const [is, answer] = names.length === 1 ? ["is", `${names[0]} answers`] : ["are", "they answer"];
  const lasts = isWithoutSpare(model, names)
    ? `This lasts until ${answer}.`
    : "It lasts until a later step of this plan.";
  builder.warn(
    "plan/no-spare-voter",
    `Step ${first.number} (${first.step.title}) leaves no spare voter while ${names.join(", ")} ${is} unreachable`,
    `${census(first.model)}: writes stop if another one fails. ${lasts} Apply once ${answer}, or remove what is unreachable rather than a member that answers.`,
  );
}

function isWithoutSpare(model: QuorumModel, away: readonly string[]): boolean {
  const members = model.members.map((each) => (away.includes(each.name) ? { ...each, up: true } : each));
  return canLose(model) === 0 && (canLose({ ...model, members }) ?? 0) > 0;
}

/** Of the half with fewer voters to spare. */
function census({ members, voters, votersOutgoing }: QuorumModel): string {
  const healthyOf = (half: readonly string[]): number =>
    members.filter(({ key, up }) => up && half.includes(key)).length;
  const halves = votersOutgoing.length === 0 ? [voters] : [votersOutgoing, voters];
  const spare = (half: readonly string[]): number => healthyOf(half) - majorityOf(half.length);
  const [least = []] = halves.toSorted((a, b) => spare(a) - spare(b));
  return `${healthyOf(least)} of ${least.length} voters are healthy then, and ${majorityOf(least.length)} are needed`;
}
