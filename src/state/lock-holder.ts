/** The holder of a lock, what it may do, and how later runs wait for it. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import type { Clock } from "../base/clock.ts";
import { HaplanError } from "../base/haplan-error.ts";

/** A holder that does not renew its lock for this long has lost it. */
export const lockLeaseMs = 30_000;
export const lockHeartbeatMs = 10_000;

export type LockHolder = {
  readonly id: string;
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  /** Distinguishes a process from a later one with the same pid; null if the system does not provide it. */
  readonly processStart: string | null;
  /** `apply`, `destroy`, ... */
  readonly operation: string;
  /** Wall times in milliseconds. */
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly released: boolean;
};

export type Lock = {
  /** Increases with every holder, and with the renewal of an expired lease; null if nothing is locked. */
  readonly fencing: number | null;
  /**
   * Call it before each write that the lock protects. An expired lease, as on a computer under heavy load, is renewed
   * if no other run has taken the lock. @throws HaplanError `lock/lost`
   */
  assertHeld(): Promise<void>;
  release(): void | Promise<void>;
};

export type LockOptions = {
  /** `apply`, `destroy`, ... */
  readonly operation: string;
  /** How long to wait for another holder; 0 fails at once. */
  readonly timeoutMs: number;
  /** Aborts the wait, with its reason. */
  readonly signal?: AbortSignal;
};

/** For `-lock=false`: the user has made sure that there is no other run. */
export const noLock: Lock = { fencing: null, assertHeld: async () => {}, release: () => {} };

/** This process as a holder, from now on. */
export function newHolder(operation: string, now: number): LockHolder {
  const { pid } = process;
  return {
    id: randomUUID(),
    user: userName(),
    host: hostname(),
    pid,
    processStart: processStartOf(pid),
    operation,
    createdAt: now,
    expiresAt: now + lockLeaseMs,
    released: false,
  };
}

/**
 * Tries until the lock is acquired or the time is up. `take` returns the lock, or its current holder, or null if it
 * lost a race and should be called again.
 * @throws HaplanError `lock/held`
 */
export async function waitForLock(
  options: Pick<LockOptions, "timeoutMs" | "signal"> & { readonly clock: Clock; readonly pollMs: number },
  take: () => Promise<Lock | { readonly holder: LockHolder } | null>,
): Promise<Lock> {
  const { timeoutMs, clock, pollMs, signal } = options;
  const deadline = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const outcome = await take();
    if (outcome !== null && !("holder" in outcome)) return outcome;
    if (outcome !== null && clock.monotonicMs() >= deadline) throw lockHeld(outcome.holder);
    await clock.sleep(pollMs, signal);
  }
}

export function lockHeld(holder: LockHolder): HaplanError {
  const lines = [
    "The state is locked by another run of haplan",
    `  Who:       ${holder.user}@${holder.host}, pid ${holder.pid}`,
    `  Operation: ${holder.operation}`,
    `  Since:     ${new Date(holder.createdAt).toISOString()}`,
    `  Lock ID:   ${holder.id}`,
    `Wait for it to end, or pass -lock-timeout=60s to wait here. The lock of a dead run expires by itself after ${lockLeaseMs / 1000} s. If the run hangs:`,
  ];
  return new HaplanError("lock/held", lines.join("\n"), { commands: [["force-unlock", holder.id]] });
}

export function lockLost(place: string): HaplanError {
  return new HaplanError(
    "lock/lost",
    `The lock was lost\n${place}: this process did not renew it for ${lockLeaseMs / 1000} s and another run has taken it, or it was force-unlocked. Nothing more was written. Run the same command again.`,
  );
}

/** @throws HaplanError `lock/not-held` unless `holder` exists and has this id */
export function assertHolder(holder: LockHolder | null, lockId: string): asserts holder is LockHolder {
  if (holder === null) throw new HaplanError("lock/not-held", "The state is not locked\nThere is nothing to unlock.");
  if (holder.id === lockId) return;
  throw new HaplanError(
    "lock/not-held",
    `The lock has another ID\nIt is held under the ID ${holder.id} by ${holder.user}@${holder.host}, pid ${holder.pid} (${holder.operation}).`,
  );
}

/** Field 22 of /proc/PID/stat, see proc(5); null for a zombie, which will never release anything. */
export function processStartOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
