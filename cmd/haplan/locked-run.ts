/** How each command that changes a cluster runs: under the lock of its state and of its hosts. */
import { existsSync } from "node:fs";
import { HaplanError } from "../../src/base/haplan-error.ts";
import type { Lock } from "../../src/state/lock-holder.ts";
import type { CliContext, ExitCode } from "./cli-context.ts";
import { type LockFlags, lockHosts, withLock } from "./lock-state.ts";
import { openJournal } from "./open-journal.ts";
import { RefusalError } from "./refusal.ts";
import { removeClusterDir } from "./remove-cluster-dir.ts";
import { type Session, sessionState } from "./session.ts";

/** Runs `work` under the cluster's lock. Removes a directory that a refused run has created. */
export function locked(
  context: CliContext,
  session: Session,
  flags: LockFlags,
  operation: string,
  work: (lock: Lock) => Promise<ExitCode>,
): Promise<ExitCode> {
  const existedBefore = existsSync(session.directory);
  return withLock(context, session, operation, flags, async (lock) => {
    try {
      if (lock.fencing !== null) await lockHosts(context, session, operation, flags);
      // A damaged journal is reported before the plan is shown for approval.
      await openJournal(context, session, lock).read();
      await reinstallPrograms(context, session);
      return await work(lock);
    } catch (error) {
      const isUntouched = isRefusal(error) && (await sessionState(context, session)) === null;
      // Under the lock no other run can have written there.
      if (!existedBefore && isUntouched && lock.fencing !== null) removeClusterDir(session.directory);
      throw error;
    }
  });
}

/** Nothing was begun: also where another run holds the cluster on its hosts. */
function isRefusal(error: unknown): boolean {
  return error instanceof RefusalError || (error instanceof HaplanError && error.code === "lock/held");
}

/** Without its own programs on a host, haplan can tell nothing of the machines there. */
async function reinstallPrograms({ terminal, stop }: CliContext, { provider }: Session): Promise<void> {
  for (const host of await provider.reinstall(stop.signal))
    terminal.printError(`haplan's programs were missing on ${host}, and have been installed again`);
}
