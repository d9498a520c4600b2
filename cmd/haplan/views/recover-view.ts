/** Which survivor has what, what is kept and what may be lost, as text and as an event. */
import type { PlannedRecovery, Survivor } from "../../../src/plan/recover-request.ts";
import type { PlannedRestore } from "../../../src/plan/restore-request.ts";
import type { Paint } from "../paint.ts";
import { snakeKeys } from "./snake-keys.ts";
import type { UiLine } from "./ui-line.ts";

export type RecoveryView = {
  readonly cluster: string;
  readonly restore: PlannedRestore & { readonly recovery: PlannedRecovery };
};

export function renderRecovery({ cluster, restore }: RecoveryView, paint: Paint): string {
  const { recovery, bumpRevision } = restore;
  const { from, survivors, lost, rebuilt, later } = recovery;
  const rows = [
    ...survivors.map((survivor) => [survivor.master, survivorText(survivor, survivor.master === from)] as const),
    ...lost.map(({ master, reason }) => [master, `${paint.red("lost")}: ${firstLine(reason)}`] as const),
  ];
  const width = Math.max(...rows.map(([name]) => name.length), 5);
  const row = (name: string, text: string): string => `  ${name.padEnd(width)}  ${text}`;
  return [
    paint.bold(`Recovery of cluster ${cluster} from the data of ${from}`),
    ...rows.map(([name, text]) => row(name, text)),
    row("kept", keptText(recovery)),
    row("lost", recovery.mayHaveLost ? paint.red(lossText(recovery)) : lossText(recovery)),
    row(
      "after",
      `a new cluster of ${rebuilt.join(", ")}, which no former member can join; revisions are raised by ${bumpRevision}, so that watches and caches list anew`,
    ),
    ...(later.length === 0 ? [] : [row("later", `${later.join(", ")}: with haplan apply`)]),
  ].join("\n");
}

function survivorText({ lastIndex, lastTerm, commitIndex, revision, isLearner }: Survivor, isBest: boolean): string {
  const best = isBest ? "has the most: " : "";
  const learner = isLearner ? ", a learner" : "";
  return `${best}entry ${lastIndex} of term ${lastTerm}, committed up to ${commitIndex} as far as it knows, revision ${revision}${learner}`;
}

function keptText({ from, uncommitted }: PlannedRecovery): string {
  if (uncommitted === 0) return `everything that ${from} has`;
  const entries = uncommitted === 1 ? "1 entry" : `${uncommitted} entries`;
  return `everything that ${from} has; ${entries} at its end, which it does not know to be committed, ${uncommitted === 1 ? "counts" : "count"} as committed from now on`;
}

function lossText({ from, lost, mayHaveLost }: PlannedRecovery): string {
  if (!mayHaveLost) return `nothing that was acknowledged: ${from} has every entry that a majority could have had`;
  const names = lost.map(({ master }) => master).join(", ");
  return `writes that ${names} acknowledged and ${from} had not received, if there were any; their number is unknown`;
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? text;
}

export function recoverQuestion(cluster: string, { bold }: Paint): string {
  return [
    bold(`Do you really want to rebuild cluster "${cluster}" from this data?`),
    "  haplan will close the load balancer, stop all members that it reaches and rebuild them as a new cluster.",
    "  A lost member must not run any more: where it does, clients that reach it may still write to the former cluster.",
    `  Only the cluster's name, ${cluster}, will be accepted to approve.`,
  ].join("\n");
}

/** What is left to do; null if nothing is. */
export function joinsLater({ later }: PlannedRecovery): string | null {
  if (later.length === 0) return null;
  const [verb, object, subject] = later.length === 1 ? ["is", "it", "it"] : ["are", "them", "they"];
  return `${later.join(", ")} ${verb} not in the cluster yet: haplan apply adds ${object} once ${subject} can be reached, or with -replace=haplan_machine.NAME once the spec has another host.`;
}

export function recoveryLine({ cluster, restore }: RecoveryView): UiLine {
  const { recovery, bumpRevision } = restore;
  return {
    type: "recovery_planned",
    message: `Recovery from the data of ${recovery.from}: ${lossText(recovery)}`,
    recovery: { cluster, ...(snakeKeys(recovery) as object), bump_revision: bumpRevision },
  };
}
