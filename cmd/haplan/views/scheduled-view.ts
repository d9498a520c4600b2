/** The last backup of the schedule, as text and as JSON. */
import type { Paint } from "../paint.ts";
import { ageText } from "./age-text.ts";

export type ScheduledOutcome = {
  readonly member: string;
  readonly timeMs: number;
  /** Null: the backup was taken. */
  readonly failure: string | null;
};

export type LastScheduled = {
  /** Null if no log has one. */
  readonly outcome: ScheduledOutcome | null;
  /** How far back the logs were read. */
  readonly withinMs: number;
  /** Members whose logs could not be read. */
  readonly unread: readonly string[];
};

export function renderLastScheduled({ outcome, withinMs, unread }: LastScheduled, nowMs: number, paint: Paint): string {
  const rest = unread.length === 0 ? "" : paint.yellow(` The log of ${unread.join(", ")} could not be read.`);
  if (outcome === null)
    return `${paint.yellow(`Scheduled backups: no member has taken one in the last ${ageText(withinMs)}.`)}${rest}`;
  const { member, timeMs, failure } = outcome;
  const age = `${ageText(nowMs - timeMs)} ago`;
  if (failure === null) return `Scheduled backups: ${member} took the last one ${age}.${rest}`;
  return `${paint.red(`Scheduled backups: the last one failed on ${member}, ${age}: ${failure}`)}${rest}`;
}

export function lastScheduledToJson({ outcome, unread }: LastScheduled): object {
  const found =
    outcome === null
      ? { member: null, time: null, failure: null }
      : { member: outcome.member, time: new Date(outcome.timeMs).toISOString(), failure: outcome.failure };
  return { ...found, unread };
}
