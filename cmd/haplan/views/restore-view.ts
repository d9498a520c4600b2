/** What a restore brings back and what it loses, as text and as an event. */
import type { BackupFacts } from "../../../src/backup/open-backup.ts";
import type { PlannedRestore } from "../../../src/plan/restore-request.ts";
import type { Paint } from "../paint.ts";
import { ageText } from "./age-text.ts";
import { contentText } from "./backups-view.ts";
import type { UiLine } from "./ui-line.ts";

export type ShownRestore = {
  readonly cluster: string;
  readonly restore: PlannedRestore;
  readonly facts: BackupFacts;
  readonly nowMs: number;
};

export function renderRestore({ cluster, restore, facts, nowMs }: ShownRestore, paint: Paint): string {
  const { backup, inPlace, createdAtMs, presentRevision } = restore;
  const taken = createdAtMs === null ? "when it was taken is unknown" : `taken ${ageText(nowMs - createdAtMs)} ago`;
  return [
    paint.bold(`Restore of ${backup} ${inPlace ? "in place of the data of" : "into the new"} cluster ${cluster}`),
    `  backup:  ${contentText(facts)}; ${taken}`,
    ...(inPlace
      ? [
          `  cluster: ${presentRevision === null ? "its revision is unknown, no member answers" : `revision ${presentRevision}`}`,
          `  ${paint.red("lost:")}    ${lossText(restore)}`,
        ]
      : []),
    `  after:   revision ${nextRevision(restore)}; all before it is compacted, so that watches and caches list anew`,
  ].join("\n");
}

/** Of the data, not of time: revisions of the cluster that the backup does not have. */
function lossText({ presentRevision, revision }: PlannedRestore): string {
  if (presentRevision === null) return "everything written since the backup";
  const lost = presentRevision - revision;
  if (lost === 1) return `everything written since the backup: revision ${presentRevision}`;
  if (lost > 0) return `everything written since the backup: ${lost} revisions, ${revision + 1} to ${presentRevision}`;
  return lost === 0
    ? "nothing: the cluster has the backup's revision"
    : "all present data: it is older than the backup";
}

function nextRevision({ revision, bumpRevision }: PlannedRestore): number {
  return revision + bumpRevision;
}

export function restoreQuestion(cluster: string, { bold }: Paint): string {
  return [
    bold(`Do you really want to replace the data of cluster "${cluster}"?`),
    "  haplan will close the load balancer, stop all members and give them the data of the backup.",
    `  What is lost is shown above. Only the cluster's name, ${cluster}, will be accepted to approve.`,
  ].join("\n");
}

export function restoreLine({ cluster, restore, facts }: ShownRestore): UiLine {
  const { backup, inPlace, presentRevision, createdAtMs } = restore;
  return {
    type: "restore_planned",
    message: `Restore of ${backup} ${inPlace ? "in place" : "into a new cluster"}: ${inPlace ? lossText(restore) : "nothing is lost"}`,
    restore: {
      backup,
      cluster,
      in_place: inPlace,
      revision: facts.revision,
      keys: facts.keys,
      leases: facts.leases,
      users: facts.users,
      created_at: createdAtMs === null ? null : new Date(createdAtMs).toISOString(),
      present_revision: presentRevision,
      lost_revisions: inPlace && presentRevision !== null ? Math.max(0, presentRevision - facts.revision) : null,
      next_revision: nextRevision(restore),
    },
  };
}
