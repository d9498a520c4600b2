/**
 * Tells systemd that the member serves, for units with `Type=notify` (etcd's are). The notice goes through systemd's own
 * tool, since Node has no datagram sockets in the file system. systemd takes it as the member's own when that runs as
 * root; for another user the unit needs `NotifyAccess=all`.
 */
import { spawn } from "node:child_process";

/** systemd answers within milliseconds. A tool that waits longer is ended, and that is told. */
const toolTimeoutMs = 10_000;

/** Does nothing outside such a unit. `onProblem` gets a sentence for the log. */
export function notifySystemd(
  environment: Readonly<Record<string, string | undefined>>,
  onProblem: (text: string) => void,
): void {
  if (!environment["NOTIFY_SOCKET"]) return;
  const problem = (text: string): void => onProblem(`cannot tell systemd that the member serves: ${text}`);
  const options = { stdio: "ignore", env: environment, timeout: toolTimeoutMs } as const;
  const child = spawn("systemd-notify", ["--ready", `--pid=${process.pid}`], options);
  child.once("error", (error) => problem(error.message));
  child.once("exit", (code, signal) => {
    if (signal !== null) problem(`systemd-notify was ended by ${signal}`);
    else if (code !== 0) problem(`systemd-notify ended with code ${code}`);
  });
}
