/**
 * The local lock: a lease that expires unless its holder renews it, with a fencing number.
 *  The lock is the file with the highest number in a directory; the number is the fencing number. Acquiring the lock
 * means creating the file with the next number, which the file system allows only one process to do (link(2) fails if
 * the name exists). So there is no moment at which a stale lock has been removed and the new one does not exist yet,
 * and a holder that was paused while its lease expired sees a higher number before it writes (Kleppmann, "How to do
 * distributed locking", 2016), or takes the next number itself if it is free. A released lock stays as a file, so that
 * numbers never repeat.
 */
import {
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { makeDirDurably } from "../base/durable-file.ts";
import { systemErrorCode } from "../base/haplan-error.ts";
import {
  assertHolder,
  type Lock,
  type LockHolder,
  lockHeartbeatMs,
  lockLeaseMs,
  lockLost,
  newHolder,
  processStartOf,
  waitForLock,
} from "./lock-holder.ts";

const pollMs = 200;

export type LockRequest = {
  /** Directory that contains only this lock. */
  readonly directory: string;
  readonly operation: string;
  /** How long to wait for another holder; 0 fails at once. */
  readonly timeoutMs: number;
  /** Aborts the wait, with its reason. */
  readonly signal?: AbortSignal;
  readonly clock: Clock;
};

/** @throws HaplanError `lock/held`, which names the holder */
export async function acquireLock(request: LockRequest): Promise<Lock> {
  const { clock, directory } = request;
  return waitForLock({ ...request, pollMs }, async () => {
    // A completed run may have removed the whole directory of the cluster.
    if (!existsSync(directory)) makeDirDurably(directory);
    const current = currentLock(directory);
    if (current === null || isFree(current.holder, clock)) return tryTake(request, (current?.fencing ?? 0) + 1);
    return current.holder === null ? null : { holder: current.holder };
  });
}

/** The current holder of the lock in `directory`, or null. */
export function lockHolder(directory: string, clock: Clock): LockHolder | null {
  const current = currentLock(directory);
  return current === null || isFree(current.holder, clock) ? null : current.holder;
}

/**
 * Breaks the lock: creates the next number and releases it at once, so that the holder sees that its number is no
 * longer the highest. @throws HaplanError `lock/not-held`
 */
export function forceUnlock(directory: string, lockId: string, clock: Clock): LockHolder {
  const holder = lockHolder(directory, clock);
  assertHolder(holder, lockId);
  const fencing = (highestNumber(directory) ?? 0) + 1;
  writeFileSync(pathOf(directory, fencing), JSON.stringify({ ...holder, released: true }), { mode: 0o600, flag: "wx" });
  removeOlder(directory, fencing);
  return holder;
}

/** Null if another process was faster. */
function tryTake({ directory, operation, clock }: LockRequest, fencing: number): Lock | null {
  const holder = newHolder(operation, clock.now());
  return placeNumber(directory, fencing, holder) ? heldLock(directory, clock, { fencing, holder }) : null;
}

/** Creates the file with this number, which only one process can do; false if another one was faster. */
function placeNumber(directory: string, fencing: number, holder: LockHolder): boolean {
  const path = pathOf(directory, fencing);
  const aside = join(directory, `${holder.id}.tmp`);
  writeFileSync(aside, JSON.stringify(holder), { mode: 0o600 });
  try {
    linkSync(aside, path);
  } catch (error) {
    if (systemErrorCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(aside, { force: true });
  }
  // A contender paused between readdir and link may have created a stale number.
  if (highestNumber(directory) !== fencing) {
    rmSync(path, { force: true });
    return false;
  }
  removeOlder(directory, fencing);
  return true;
}

function heldLock(
  directory: string,
  clock: Clock,
  taken: { readonly fencing: number; readonly holder: LockHolder },
): Lock {
  let { fencing, holder } = taken;
  const write = (changes: Partial<LockHolder>): void => {
    const next = { ...holder, ...changes };
    const aside = join(directory, `${holder.id}.tmp`);
    try {
      writeFileSync(aside, JSON.stringify(next), { mode: 0o600 });
      renameSync(aside, pathOf(directory, fencing));
      holder = next;
    } catch (error) {
      rmSync(aside, { force: true });
      throw error;
    }
  };
  /**
   * Whether the lock is still held. Once the lease has expired, any process may take the next number: the lock is held
   * again only if this process gets it.
   */
  const renew = (): boolean => {
    if (holder.released || highestNumber(directory) !== fencing) return false;
    const next = { ...holder, expiresAt: clock.now() + lockLeaseMs };
    if (clock.now() < holder.expiresAt) write(next);
    else if (placeNumber(directory, fencing + 1, next)) [fencing, holder] = [fencing + 1, next];
    else return false;
    return true;
  };
  const heartbeat = setInterval(() => {
    try {
      renew();
    } catch {
      // As on a full disk: the next renewal tries again, and if all fail, the lease expires.
    }
  }, lockHeartbeatMs);
  heartbeat.unref();
  return {
    get fencing() {
      return fencing;
    },
    assertHeld: async () => {
      const inTime = !holder.released && clock.now() < holder.expiresAt;
      if (inTime && highestNumber(directory) === fencing) return;
      if (!renewed(renew)) throw lockLost(pathOf(directory, fencing));
    },
    release: () => {
      clearInterval(heartbeat);
      if (holder.released || highestNumber(directory) !== fencing) return;
      try {
        write({ released: true });
      } catch {
        // An empty lock blocks no run, and needs no space on a full disk.
        truncateSync(pathOf(directory, fencing));
      }
    },
  };
}

/** A lock that cannot be renewed, as on a full disk, is no longer held. */
function renewed(renew: () => boolean): boolean {
  try {
    return renew();
  } catch {
    return false;
  }
}

type CurrentLock = { readonly fencing: number; readonly holder: LockHolder | null };

function currentLock(directory: string): CurrentLock | null {
  const fencing = highestNumber(directory);
  if (fencing === null) return null;
  try {
    return { fencing, holder: JSON.parse(readFileSync(pathOf(directory, fencing), "utf8")) as LockHolder };
  } catch (error) {
    // Emptied by a crash of the machine, or just removed by a newer holder: no live process holds this number.
    if (error instanceof SyntaxError || systemErrorCode(error) === "ENOENT") return { fencing, holder: null };
    throw error;
  }
}

function isFree(holder: LockHolder | null, clock: Clock): boolean {
  if (holder === null || holder.released || clock.now() >= holder.expiresAt) return true;
  return holder.host === hostname() && !isRunning(holder);
}

function isRunning({ pid, processStart }: LockHolder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (systemErrorCode(error) === "ESRCH") return false;
  }
  return processStart === null || processStartOf(pid) === processStart;
}

function pathOf(directory: string, fencing: number): string {
  return join(directory, `${fencing}.json`);
}

function numbersIn(directory: string): readonly number[] {
  try {
    return readdirSync(directory).flatMap((name) => (/^\d+\.json$/.test(name) ? [Number.parseInt(name, 10)] : []));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}

function highestNumber(directory: string): number | null {
  const numbers = numbersIn(directory);
  return numbers.length === 0 ? null : Math.max(...numbers);
}

function removeOlder(directory: string, fencing: number): void {
  for (const number of numbersIn(directory)) if (number < fencing) rmSync(pathOf(directory, number), { force: true });
}
