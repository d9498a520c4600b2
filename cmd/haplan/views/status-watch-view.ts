/**
 * The status as it changes: repainted in a terminal, with the latest changes below it; in a log, the first status and then a
 * line for each change; for programs, one JSON object per look.
 */
import type { CommandWords } from "../../../src/base/command-words.ts";
import type { StatusChange } from "../status-changes.ts";
import type { Terminal } from "../terminal.ts";
import type { WatchedStatus } from "../watch-status.ts";
import { renderStatus, stateUnreadWarning, statusToJson } from "./status-view.ts";

type LineOf = (command: CommandWords) => string;

const changesShownMax = 8;

export type StatusWatchView = { show(watched: WatchedStatus): void; close(): void };

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
      const body = renderStatus(status, terminal.paint, lineOf);
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
function logged(terminal: Terminal, lineOf: LineOf): (watched: WatchedStatus) => void {
  let first = true;
  return ({ status, changes, timeMs }) => {
    if (first) terminal.print(renderStatus(status, terminal.paint, lineOf));
    first = false;
    for (const change of changes) terminal.print(changeLine(timeMs, change));
  };
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
}: Pick<WatchedStatus, "status" | "changes" | "timeMs">): object {
  return { "@timestamp": new Date(timeMs).toISOString(), ...statusToJson(status), changes };
}
