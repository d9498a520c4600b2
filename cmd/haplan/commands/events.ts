/** `haplan events [SPEC]`: what has happened to a cluster, from the logs of its members and the journal of applies. */
import type { CliContext, ExitCode } from "../cli-context.ts";
import { openCluster } from "../open-cluster.ts";
import { readTimeline } from "../read-timeline.ts";
import type { Session } from "../session.ts";
import { sinceOf } from "../since.ts";
import type { TimelineEvent } from "../timeline-events.ts";

export type EventFlags = {
  readonly follow?: boolean;
  readonly since?: string;
  readonly json?: boolean;
  readonly stateOnly?: string;
};

export async function runEvents(
  context: CliContext,
  specArgument: string | undefined,
  flags: EventFlags,
): Promise<ExitCode> {
  const sinceMs = flags.since === undefined ? null : sinceOf(flags.since, context.clock.now());
  const session = await openCluster(context, { spec: specArgument, stateOnly: flags.stateOnly });
  return context.stop.untilStopped((signal) =>
    showEvents(context, session, { sinceMs, follow: flags.follow === true, signal }),
  );
}

type Shown = { readonly sinceMs: number | null; readonly follow: boolean; readonly signal: AbortSignal };

async function showEvents(context: CliContext, session: Session, shown: Shown): Promise<ExitCode> {
  const unread = new Set<string>();
  const onUnread = (name: string): void => void unread.add(name);
  for await (const event of readTimeline(context, session, { ...shown, onUnread })) show(context, event);
  if (unread.size === 0 || shown.signal.aborted) return 0;
  const nodes = [...unread].join(", ");
  context.reporter.warn([
    {
      severity: "warning",
      code: "events/unreadable",
      summary: `The log of ${nodes} could not be read`,
      detail: "What happened there alone is missing. haplan logs shows why it is not reached.",
    },
  ]);
  return 1;
}

function show({ terminal, reporter }: CliContext, { timeMs, kind, member, text }: TimelineEvent): void {
  const time = new Date(timeMs).toISOString();
  if (reporter.json) reporter.event({ type: "event", message: text, event: { time, kind, member } });
  else terminal.print(`${terminal.paint.dim(time)} ${text}`);
}
