/** The lock of a host, for the life of a session with it. */
import { hostname } from "node:os";
import type { Clock } from "../../base/clock.ts";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import { type ChangingRun, lockLeaseMs } from "../../host/changing-run.ts";
import type { HostClient } from "../../host/host-client.ts";

const pollMs = 500;
/** Of a run that was killed, a host may finish a call: it has the lock until then. */
const killedRunMs = 60_000;

export type HostLockRequest = {
  readonly run: ChangingRun;
  /** How the host is reached. */
  readonly host: string;
  /** How long to wait for another run; 0 fails at once. */
  readonly timeoutMs: number;
  readonly clock: Clock;
};

/**
 * Takes the lock for as long as the session lasts, if its run asks for it again in time. Returns false where a haplan-host of an
 * earlier version has no locks: it is replaced before anything is changed.
 * @throws HaplanError `lock/held`, which names the run that has it
 */
export async function takeLock(client: HostClient, request: HostLockRequest, signal?: AbortSignal): Promise<boolean> {
  const { run, clock, timeoutMs, host } = request;
  const fromMs = clock.monotonicMs();
  for (;;) {
    const holder = await lockOn(client, run, signal);
    if (holder === null) return true;
    if (holder === "none") return false;
    const limitMs = hasEndedHere(holder) ? Math.max(timeoutMs, killedRunMs) : timeoutMs;
    if (clock.monotonicMs() >= fromMs + limitMs) throw lockHeldOn(host, holder);
    await clock.sleep(pollMs, signal);
  }
}

/** A run of this machine whose process is gone. */
function hasEndedHere({ host, pid }: ChangingRun): boolean {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return systemErrorCode(error) === "ESRCH";
  }
}

type Answer = ChangingRun | null | "none";

async function lockOn(client: HostClient, run: ChangingRun, signal?: AbortSignal): Promise<Answer> {
  try {
    return await client.lock(run, signal);
  } catch (error) {
    if (error instanceof HaplanError && error.code === "provider/bad-request") return "none";
    throw error;
  }
}

const lockHeldError = "lock/held";

const lockLostError = "lock/lost";

/** Another run has the lock, or may have had it. */
export function isLockRefused(error: unknown): boolean {
  return error instanceof HaplanError && [lockHeldError, lockLostError].includes(error.code);
}

/** Of a run that was cut off for longer than it may be. */
export function lockLostOn(host: string): HaplanError {
  return new HaplanError(
    lockLostError,
    `The lock on ${host} was lost\nThis run was not connected to the host for more than ${lockLeaseMs / 1000} s, in which another run may have changed the cluster. Nothing more was done there. Run the same command again.`,
  );
}

function lockHeldOn(host: string, { user, host: place, pid, operation, createdAt }: ChangingRun): HaplanError {
  const lines = [
    `The cluster is locked on ${host} by another run of haplan`,
    `  Who:       ${user}@${place}, pid ${pid}`,
    `  Operation: ${operation}`,
    `  Since:     ${new Date(createdAt).toISOString()}`,
    `Wait for it to end, or pass -lock-timeout=60s to wait here. The lock ends with that run, and ${lockLeaseMs / 1000} s after its connection to the host was lost at the latest.`,
  ];
  return new HaplanError(lockHeldError, lines.join("\n"));
}
