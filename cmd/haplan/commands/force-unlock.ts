/** `haplan force-unlock LOCK_ID`: breaks the lock of a run that hangs. The lock of a dead run expires by itself. */
import { whyNoAnswer } from "../approve.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { type ClusterChoice, openCluster } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";
import { standardInput } from "../spec-source.ts";

type ForceUnlockFlags = ClusterChoice & { readonly force?: boolean };

export async function runForceUnlock(context: CliContext, lockId: string, flags: ForceUnlockFlags): Promise<ExitCode> {
  const { terminal } = context;
  const { bold } = terminal.paint;
  if (!flags.force && (!terminal.interactive || flags.spec === standardInput)) {
    throw refuse(
      "cli/nobody-to-ask",
      `haplan force-unlock asks for approval, but ${whyNoAnswer(flags.spec)}`,
      `To approve in advance, run:\n    ${context.invocation.again({ flags: ["-force"] })}`,
    );
  }
  const session = await openCluster(context, flags);
  if (!flags.force) {
    terminal.print(
      `${bold("Do you really want to force-unlock?")}\n  The holder of the lock can no longer write the state, and its apply stops half-way.\n  Only 'yes' will be accepted to confirm.\n`,
    );
    const answer = await terminal.ask(`  ${bold("Enter a value:")} `, context.stop.signal);
    if (answer?.trim() !== "yes") throw refuse("cli/declined", "force-unlock cancelled.", "Nothing was changed.");
  }
  const { user, host, pid, operation } = await context.stop.hold(() => session.backend.forceUnlock(lockId));
  terminal.print(`The state has been unlocked. The lock was held by ${user}@${host}, pid ${pid} (${operation}).`);
  return 0;
}
