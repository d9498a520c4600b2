/** What the page shows, as JSON: what `status -json -watch` prints, with what may fail next and the backups of directories. */

import { backupBucket } from "../backup-places.ts";
import type { CliContext } from "../cli-context.ts";
import { clusterBackups, recordedBackup, scheduledElsewhere } from "../cluster-backups.ts";
import type { WatchedSchedule } from "../follow-schedule.ts";
import { backupsToJson } from "../views/backups-view.ts";
import { watchedToJson } from "../views/status-watch-view.ts";
import type { TimelineItem } from "./page-timeline.ts";
import { possibleFailures } from "./possible-failures.ts";

export function statusForPage(context: CliContext, watched: WatchedSchedule): object {
  const { session, status, problems, scheduled } = watched;
  const { directories, backups } = clusterBackups(context, session);
  return {
    ...watchedToJson(watched),
    engine: session.spec.controlPlane.engine,
    haplan_version: context.version,
    problems: problems.map(({ subject, message }) => ({ subject, message })),
    possible_failures: possibleFailures(status),
    backups: backupsToJson({
      cluster: session.spec.name,
      directories,
      bucket: backupBucket(session)?.place ?? null,
      backups: backups.map(recordedBackup),
      nowMs: context.clock.now(),
      elsewhere: scheduledElsewhere(session),
      scheduled,
    }),
  };
}

export function itemToJson({ timeMs, ...item }: TimelineItem): object {
  return { time: new Date(timeMs).toISOString(), ...item };
}
