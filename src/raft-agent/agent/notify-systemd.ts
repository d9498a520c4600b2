/**
 * Tells systemd that the member serves, for units with `Type=notify` (etcd's are). The notice goes through systemd's own
 * tool, since Node has no datagram sockets in the file system. systemd takes it as the member's own when that runs as
 * root; for another user the unit needs `NotifyAccess=all`.
 */
import { spawn } from "node:child_process";

/** Does nothing outside such a unit. `onProblem` gets a sentence for the log. */
export function notifySystemd(
  environment: Readonly<Record<string, string | undefined>>,
  onProblem: (text: string) => void,
): void {
  if (!environment["NOTIFY_SOCKET"]) return;
  const child = spawn("systemd-notify", ["--ready", `--pid=${process.pid}`], { stdio: "ignore", env: environment });
  child.once("error", (error) => onProblem(`cannot tell systemd that the member serves: ${error.message}`));
  child.once("exit", (code) => {
    if (code !== 0) onProblem(`cannot tell systemd that the member serves: systemd-notify ended with code ${code}`);
  });
}
