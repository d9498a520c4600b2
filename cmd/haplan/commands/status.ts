/** `haplan status [SPEC]`: the current status of the cluster; with `-watch` also as it changes. */
import type { CliContext, ExitCode } from "../cli-context.ts";
import { statusExitCode } from "../cluster-status.ts";
import { parseDuration } from "../duration.ts";
import { followSchedule } from "../follow-schedule.ts";
import { openCluster } from "../open-cluster.ts";
import { readStatus } from "../read-status.ts";
import { refuse } from "../refusal.ts";
import { lastScheduled } from "../scheduled-backups.ts";
import type { Session } from "../session.ts";
import { lastScheduledToJson, renderLastScheduled } from "../views/scheduled-view.ts";
import {
  type ClusterStatus,
  renderStatus,
  stateUnreadWarning,
  statusToJson,
  unreachableWarning,
} from "../views/status-view.ts";
import { statusWatchView } from "../views/status-watch-view.ts";
import { watchStatus } from "../watch-status.ts";

export type StatusFlags = {
  readonly json?: boolean;
  readonly detailedExitcode?: boolean;
  readonly stateOnly?: string;
  readonly watch?: boolean;
  readonly interval?: string;
};

const defaultInterval = "2s";
/** Each look asks every host. */
const intervalMsMin = 200;

export async function runStatus(
  context: CliContext,
  specArgument: string | undefined,
  flags: StatusFlags,
): Promise<ExitCode> {
  const intervalMs = intervalOf(flags);
  const session = await openCluster(context, { spec: specArgument, stateOnly: flags.stateOnly, withoutState: true });
  if (intervalMs !== null) return watch(context, session, flags, intervalMs);
  const { terminal, invocation, clock } = context;
  const [{ status, problems }, scheduled] = await Promise.all([
    readStatus(context, session, { withoutState: true }),
    lastScheduled(context, session),
  ]);
  if (flags.json) {
    const backups = scheduled === null ? null : lastScheduledToJson(scheduled);
    terminal.print(JSON.stringify({ ...statusToJson(status), last_scheduled_backup: backups }, null, 2));
  } else {
    terminal.print(renderStatus(status, terminal.paint, (command) => invocation.line(command)));
    if (scheduled !== null && status.members.length > 0)
      terminal.print(renderLastScheduled(scheduled, clock.now(), terminal.paint));
  }
  for (const warning of [stateUnreadWarning(status), unreachableWarning(status)])
    if (warning !== null) terminal.printError(terminal.errorPaint.yellow(warning));
  for (const { subject, message } of problems) terminal.printError(`Unknown (${subject}): ${message}`);
  return exitCode(status, flags);
}

async function watch(context: CliContext, session: Session, flags: StatusFlags, intervalMs: number): Promise<ExitCode> {
  const view = statusWatchView(context.terminal, {
    json: flags.json === true,
    lineOf: (command) => context.invocation.line(command),
  });
  return context.stop.untilStopped(async (signal) => {
    let last: ClusterStatus | null = null;
    const looks = watchStatus(context, session, { intervalMs, signal, withoutState: true });
    for await (const watched of followSchedule(context, looks)) {
      view.show(watched);
      last = watched.status;
    }
    view.close();
    return last === null ? 4 : exitCode(last, flags);
  });
}

function exitCode(status: ClusterStatus, { detailedExitcode = false }: StatusFlags): ExitCode {
  const code = statusExitCode(status);
  return code === 2 && !detailedExitcode ? 0 : code;
}

/** Null without `-watch`. @throws RefusalError */
function intervalOf({ watch = false, interval }: StatusFlags): number | null {
  if (!watch && interval !== undefined)
    throw refuse(
      "cli/interval-without-watch",
      "-interval says how often -watch looks",
      "Add -watch, or omit -interval.",
    );
  if (!watch) return null;
  const ms = parseDuration("-interval", interval ?? defaultInterval);
  if (ms >= intervalMsMin) return ms;
  throw refuse(
    "cli/short-interval",
    `-interval=${interval} is too short`,
    `Each look asks every member and host. Write at least ${intervalMsMin}ms.`,
  );
}
