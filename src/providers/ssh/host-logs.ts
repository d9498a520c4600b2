/** The logs of a machine on a host: an ssh of its own that runs `haplan-host --logs` there, for as long as they are read. */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { HaplanError } from "../../base/haplan-error.ts";
import { decodeLogEvents, logFlags } from "../../host/log-lines.ts";
import type { LogEvent, LogRequest } from "../log-entry.ts";
import type { MachineRef } from "../provider.ts";
import { explainEnd, type HostRequest, hostCommand, notInstalledCode } from "./host-session.ts";
import { noSsh } from "./run-ssh.ts";
import { sshArguments } from "./ssh-target.ts";

/**
 * @throws HaplanError `ssh/...` when the host was not reached or the connection was lost, `provider/no-machine` where haplan
 * is not installed
 */
export async function* hostLogs(
  host: HostRequest,
  machine: MachineRef,
  request: LogRequest,
  signal: AbortSignal,
): AsyncGenerator<LogEvent> {
  const { target, files } = host;
  const child = spawn("ssh", sshArguments(target, files, hostCommand(host, logFlags(machine, request))), {
    stdio: "pipe",
  });
  const stderr = text(child.stderr);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  ended.catch(() => undefined);
  // The host's end of it ends when its standard input does.
  const stop = (): void => {
    child.stdin.end();
    child.kill();
  };
  child.stdin.on("error", () => undefined);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    yield* decodeLogEvents(child.stdout);
    const exitCode = await ended.catch((error: NodeJS.ErrnoException) => {
      throw error.code === "ENOENT" ? noSsh() : error;
    });
    if (exitCode === 0 || signal.aborted) return;
    if (exitCode === notInstalledCode)
      throw new HaplanError("provider/no-machine", `haplan is not installed on ${target.host}`);
    throw explainEnd(host, { exitCode, stderr: await stderr });
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}
