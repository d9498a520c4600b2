/** The journal of a session's cluster; it is written under `lock`. */
import { createJournalFile, type Journal } from "../../src/state/journal.ts";
import type { Lock } from "../../src/state/lock-holder.ts";
import type { CliContext } from "./cli-context.ts";
import { journalFile } from "./cluster-files.ts";
import type { Session } from "./session.ts";

export function openJournal(context: CliContext, session: Session, lock: Lock): Journal {
  const beforeWrite = (): Promise<void> => lock.assertHeld();
  return createJournalFile({ path: journalFile(session.directory), clock: context.clock, beforeWrite });
}
