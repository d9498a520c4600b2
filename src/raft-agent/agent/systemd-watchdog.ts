/**
 * Tells systemd that the member's event loop turns, for units with `WatchdogSec=`: systemd restarts a member that hangs. A
 * small shell sends the notices with systemd's own tool, and the member only writes a line to it: starting a process for each
 * notice would copy the page tables of a member with gigabytes of memory every few seconds.
 */
import { spawn } from "node:child_process";
import type { Socket } from "node:net";

/** Notices for each time limit: one that comes late is made up for by the next. */
const noticesPerLimit = 3;
const script = "while read -r _; do systemd-notify WATCHDOG=1; done";

/**
 * Sends notices until the function that it returns is called; sends none outside such a unit. `onProblem` gets a sentence for
 * the log.
 */
export function startWatchdog(
  environment: Readonly<Record<string, string | undefined>>,
  onProblem: (text: string) => void,
): () => void {
  const limitMs = Number(environment["WATCHDOG_USEC"]) / 1000;
  if (!environment["NOTIFY_SOCKET"] || !(limitMs > 0)) return () => undefined;
  const pauseMs = limitMs / noticesPerLimit;
  const child = spawn("sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"], env: environment });
  const notices = child.stdin as Socket;
  const timer = setInterval(() => notices.write("\n"), pauseMs).unref();
  let stop = (): void => {
    clearInterval(timer);
    child.removeAllListeners();
    notices.end();
  };
  const startAgain = (why: string): void => {
    stop();
    onProblem(`cannot tell systemd's watchdog that the member runs: ${why}`);
    const again = setTimeout(() => {
      stop = startWatchdog(environment, onProblem);
    }, pauseMs).unref();
    stop = () => clearTimeout(again);
  };
  notices.on("error", () => undefined);
  child.once("error", (error) => startAgain(error.message));
  child.once("exit", () => startAgain("the shell that tells it has ended"));
  // Neither keeps a member from ending.
  child.unref();
  notices.unref();
  notices.write("\n");
  return () => stop();
}
