/**
 * The status as it changes: repainted in a terminal, with the latest changes below it; in a log, the first status and then a
 * line for each change; for programs, one JSON object per look.
 */
import type { CommandWords } from "../../../src/base/command-words.ts";
import type { WatchedSchedule } from "../follow-schedule.ts";
import type { StatusChange } from "../status-changes.ts";
import type { Terminal } from "../terminal.ts";
import { lastScheduledToJson, renderLastScheduled } from "./scheduled-view.ts";
import { renderStatus, stateUnreadWarning, statusToJson } from "./status-view.ts";

type LineOf = (command: CommandWords) => string;

const changesShownMax = 8;

export type StatusWatchView = { show(watched: WatchedSchedule): void; close(): void };

export function statusWatchView(
  terminal: Terminal,
  { json, lineOf }: { readonly json: boolean; readonly lineOf: LineOf },
): StatusWatchView {
  if (json) return { show: (watched) => terminal.print(JSON.stringify(watchedToJson(watched))), close: () => {} };
  if (!terminal.live) return { show: logged(terminal, lineOf), close: () => {} };
  const latest: string[] = [];
  let shown = "";
  return {
    show: (watched) => {
      latest.push(...watched.changes.map((change) => changeLine(watched.timeMs, change)));
      latest.splice(0, latest.length - changesShownMax);
      const { status, problems, timeMs } = watched;
      const body = statusText(terminal, watched, lineOf);
      const warning = stateUnreadWarning(status);
      const unread = warning === null ? [] : [terminal.paint.yellow(warning)];
      const unknown = problems.map(({ subject, message }) => terminal.paint.yellow(`Unknown (${subject}): ${message}`));
      shown = [
        body,
        ...unread,
        ...unknown,
        ...(latest.length === 0 ? [] : ["", terminal.paint.bold("Changes"), ...latest]),
      ].join("\n");
      terminal.showStatus([...shown.split("\n"), "", terminal.paint.dim(`${clockTime(timeMs)}, Ctrl-C to stop`)]);
    },
    // The last one stays on the screen.
    close: () => {
      if (shown !== "") terminal.print(shown);
    },
  };
}

/** Prints the first status whole. */
function logged(terminal: Terminal, lineOf: LineOf): (watched: WatchedSchedule) => void {
  let first = true;
  return (watched) => {
    if (first) terminal.print(statusText(terminal, watched, lineOf));
    first = false;
    for (const change of watched.changes) terminal.print(changeLine(watched.timeMs, change));
  };
}

/** As `haplan status` prints it. */
function statusText({ paint }: Terminal, { status, scheduled, timeMs }: WatchedSchedule, lineOf: LineOf): string {
  const schedule =
    scheduled === null || status.members.length === 0 ? [] : [renderLastScheduled(scheduled, timeMs, paint)];
  return [renderStatus(status, paint, lineOf), ...schedule].join("\n");
}

function changeLine(timeMs: number, { text }: StatusChange): string {
  return `${clockTime(timeMs)} ${text}`;
}

function clockTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}

/** One look, for programs. */
export function watchedToJson({
  status,
  changes,
  timeMs,
  scheduled,
}: Pick<WatchedSchedule, "status" | "changes" | "timeMs" | "scheduled">): object {
  return {
    "@timestamp": new Date(timeMs).toISOString(),
    ...statusToJson(status),
    last_scheduled_backup: scheduled === null ? null : lastScheduledToJson(scheduled),
    changes,
  };
}
