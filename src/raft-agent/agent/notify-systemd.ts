/**
 * Notifies systemd that the member serves, for units with `Type=notify` (like etcd's). The notification is sent with
 * systemd's own tool, since Node has no Unix datagram sockets. systemd accepts it as the member's own when that runs
 * as root; for another user the unit needs `NotifyAccess=all`.
 */
import { spawn } from "node:child_process";

/** systemd responds within milliseconds. A slower tool is killed, and that is reported. */
const toolTimeoutMs = 10_000;

/** Does nothing outside such a unit. `onProblem` gets a message for the log. */
export function notifySystemd(
  environment: Readonly<Record<string, string | undefined>>,
  onProblem: (text: string) => void,
): void {
  if (!environment["NOTIFY_SOCKET"]) return;
  const problem = (text: string): void => onProblem(`cannot notify systemd that the member serves: ${text}`);
  const options = { stdio: "ignore", env: environment, timeout: toolTimeoutMs } as const;
  const child = spawn("systemd-notify", ["--ready", `--pid=${process.pid}`], options);
  child.once("error", (error) => problem(error.message));
  child.once("exit", (code, signal) => {
    if (signal !== null) problem(`systemd-notify was killed by ${signal}`);
    else if (code !== 0) problem(`systemd-notify exited with code ${code}`);
  });
}
