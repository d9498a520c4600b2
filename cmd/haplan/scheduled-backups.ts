/** The last backup that a member took by itself, or could not take, from the logs of the members: they alone have the reason. */
import type { LogEntry } from "../../src/providers/log-entry.ts";
import { mergeLogs } from "../../src/providers/merge-logs.ts";
import { ownMasters } from "../../src/spec/machine-hosts.ts";
import { agentUnitName } from "../../src/units/unit-definition.ts";
import type { CliContext } from "./cli-context.ts";
import { logFields } from "./log-fields.ts";
import type { Session } from "./session.ts";
import type { LastScheduled, ScheduledOutcome } from "./views/scheduled-view.ts";

const minuteMs = 60_000;
/** Two intervals: a member that is down at the start of one has not taken a backup. */
const intervalsRead = 2;
/** A host that is not reached says nothing. */
const patienceMs = 10_000;

/** Null without a schedule. */
export async function lastScheduled(context: CliContext, session: Session): Promise<LastScheduled | null> {
  const { spec, provider } = session;
  const schedule = spec.backup?.schedule;
  if (schedule === undefined) return null;
  const withinMs = intervalsRead * schedule.everyMinutes * minuteMs;
  const sinceMs = context.clock.now() - withinMs;
  const signal = AbortSignal.any([context.stop.signal, AbortSignal.timeout(patienceMs)]);
  const request = { unit: agentUnitName, lines: null, sinceMs, follow: false };
  const logs = ownMasters(spec).map(({ name }) => provider.logs(name, request, signal));
  const unread: string[] = [];
  let outcome: ScheduledOutcome | null = null;
  const onFailure = (index: number): void => void unread.push(ownMasters(spec)[index]!.name);
  for await (const entry of mergeLogs(logs, { onFailure }))
    if (entry !== "current") outcome = outcomeInLog(entry) ?? outcome;
  return { outcome, withinMs, unread };
}

/** Null for a line that says nothing of a backup. */
export function outcomeInLog({ machine, timeMs, message }: LogEntry): ScheduledOutcome | null {
  const { msg, error } = logFields(message);
  if (msg === "took a backup") return { member: machine, timeMs, failure: null };
  return msg === "could not take a backup" ? { member: machine, timeMs, failure: String(error ?? "unknown") } : null;
}
