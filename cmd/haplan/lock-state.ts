/** The lock of a cluster's state, as the flags ask for it: `-lock-timeout=30s`, `-lock=false`. */
import { type Lock, noLock } from "../../src/state/lock-holder.ts";
import { refuse } from "./cli-context.ts";
import { parseDuration } from "./duration.ts";
import type { Session } from "./session.ts";

export type LockFlags = { readonly lock: string; readonly lockTimeout: string };

/** @throws HaplanError `lock/held`, which says who holds it */
export async function lockState(session: Session, operation: string, flags: LockFlags): Promise<Lock> {
  const timeoutMs = parseDuration("-lock-timeout", flags.lockTimeout);
  if (!parseSwitch("-lock", flags.lock)) return noLock;
  return session.backend.acquireLock({ operation, timeoutMs });
}

/** `-lock=false`, `-refresh=true`. @throws RefusalError */
export function parseSwitch(flag: string, text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw refuse("cli/bad-switch", `${flag}=${text} is neither true nor false`, `Write ${flag}=true or ${flag}=false.`);
}
