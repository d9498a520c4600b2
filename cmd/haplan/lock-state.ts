/** The lock of a cluster's state, as the flags request it: `-lock-timeout=30s`, `-lock=false`. */
import { type Lock, newHolder, noLock } from "../../src/state/lock-holder.ts";
import type { CliContext } from "./cli-context.ts";
import { parseDuration } from "./duration.ts";
import { refuse, stoppedBeforeChange } from "./refusal.ts";
import type { Session } from "./session.ts";

export type LockFlags = { readonly lock: string; readonly lockTimeout: string };

/**
 * Runs `work` under the cluster's lock; a request to stop lets it finish its current step.
 * @throws HaplanError `lock/held`, which names the holder
 */
export function withLock<Result>(
  context: CliContext,
  session: Session,
  operation: string,
  flags: LockFlags,
  work: (lock: Lock) => Promise<Result>,
): Promise<Result> {
  const { stop } = context;
  return stop.hold(async () => {
    const lock = await lockState(context, session, operation, flags);
    try {
      return await work(lock);
    } finally {
      await lock.release();
    }
  });
}

async function lockState({ stop }: CliContext, session: Session, operation: string, flags: LockFlags): Promise<Lock> {
  const timeoutMs = parseDuration("-lock-timeout", flags.lockTimeout);
  if (!parseSwitch("-lock", flags.lock)) return noLock;
  try {
    return await session.backend.acquireLock({ operation, timeoutMs, signal: stop.signal });
  } catch (error) {
    if (stop.signal.aborted) throw stoppedBeforeChange(stop);
    throw error;
  }
}

/**
 * Locks the cluster on its hosts as well: the state may be a copy, in another directory or on another machine.
 * @throws HaplanError `lock/held`, which names the holder
 */
export async function lockHosts(
  { clock, stop }: CliContext,
  { provider }: Session,
  operation: string,
  flags: LockFlags,
): Promise<void> {
  const { id, user, host, pid, createdAt } = newHolder(operation, clock.now());
  const timeoutMs = parseDuration("-lock-timeout", flags.lockTimeout);
  try {
    await provider.lock({ id, user, host, pid, operation, createdAt }, { timeoutMs }, stop.signal);
  } catch (error) {
    if (stop.signal.aborted) throw stoppedBeforeChange(stop);
    throw error;
  }
}

/** `-lock=false`, `-refresh=true`. @throws RefusalError */
export function parseSwitch(flag: string, text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw refuse("cli/bad-switch", `${flag}=${text} is neither true nor false`, `Write ${flag}=true or ${flag}=false.`);
}
