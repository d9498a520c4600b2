/** Waits for a host that has just been created: until ssh reaches it, and until it has prepared itself. */
import type { Clock } from "../../base/clock.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { runOnHost } from "./run-ssh.ts";
import { type Host, rootCommand } from "./upload-artifact.ts";

const readyTimeoutMs = 600_000;
const intervalMs = 3_000;
const commandTimeoutMs = 30_000;

/** While a host boots, it does not answer, refuses connections, or does not know the user yet. */
const whileBooting: ReadonlySet<string> = new Set([
  "ssh/timed-out",
  "ssh/refused",
  "ssh/no-route",
  "ssh/permission-denied",
  "ssh/failed",
  "ssh/session-unavailable",
]);

/** `report` gets the reason of each attempt that failed. @throws HaplanError of the last attempt, or `ssh/not-ready` with what the command said */
export async function untilHostReady(
  host: Host,
  command: string,
  clock: Clock,
  report: (why: string) => void,
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + readyTimeoutMs;
  for (;;) {
    const failure = await tryOnce(host, command);
    if (failure === null) return;
    report(failure.message.split("\n")[0] ?? failure.code);
    if (clock.monotonicMs() + intervalMs > deadlineMs) throw failure;
    await clock.sleep(intervalMs, host.signal ?? undefined);
  }
}

async function tryOnce(host: Host, command: string): Promise<HaplanError | null> {
  try {
    const result = await runOnHost({ ...host, command: rootCommand(host, command), timeoutMs: commandTimeoutMs });
    if (result.exitCode === 0) return null;
    const said = result.stderr.trim().split("\n").slice(-3).join("\n");
    // What follows makes it ready.
    const [asked] = command.split(" || ");
    const what = `${host.target.host} is not ready: "${asked}" ended with exit code ${result.exitCode}`;
    return new HaplanError("ssh/not-ready", said === "" ? what : `${what}\n${said}`);
  } catch (error) {
    if (error instanceof HaplanError && whileBooting.has(error.code)) return error;
    throw error;
  }
}
