/** `haplan import ADDRESS [ID]`: imports an existing resource into the state, under the lock, as Terraform does. */
import { importResource } from "../../../src/plan/import-resource.ts";
import { newLineage } from "../../../src/state/local-backend.ts";
import { chooseSpec } from "../choose-spec.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { type LockFlags, withLock } from "../lock-state.ts";
import { plannerInput } from "../make-plan.ts";
import { RefusalError } from "../refusal.ts";
import { openSession, sessionStore } from "../session.ts";
import { renderState } from "../views/state-view.ts";

type ImportFlags = LockFlags & { readonly spec?: string };

export async function runImport(
  context: CliContext,
  address: string,
  id: string | undefined,
  flags: ImportFlags,
): Promise<ExitCode> {
  const { terminal, reporter } = context;
  const session = await openSession(context, chooseSpec(context, flags.spec));
  return withLock<ExitCode>(context, session, "import", flags, async (lock) => {
    const input = await plannerInput(context, session, { mode: "apply" });
    const result = importResource(input, { address, id: id ?? null }, newLineage);
    if (result.refusal !== undefined) throw new RefusalError(result.refusal);
    await sessionStore(context, session, lock).write(result.state);
    reporter.notice(`haplan import: ${session.spec.name}`, `${address} [id=${result.id}]`);
    terminal.print(`${terminal.paint.bold(`${address}: Import prepared!`)} [id=${result.id}]\n`);
    terminal.print(renderState([result.resource], terminal.paint));
    terminal.print(`\n${terminal.paint.bold(terminal.paint.green("Import successful!"))}\n`);
    terminal.print("The resource that was imported is shown above. It is now in haplan's state, and");
    terminal.print("haplan manages it from now on. To see what remains to be done, run:");
    terminal.print(`    ${context.invocation.line(["plan"])}`);
    return 0;
  });
}
