/** `haplan fmt [SPEC]`: puts a spec into its one form; `-check` only says whether it is. */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { writeFileDurably } from "../../../src/base/durable-file.ts";
import { errorText } from "../../../src/base/haplan-error.ts";
import { formatSpec } from "../../../src/spec/format-spec.ts";
import { parseSpec } from "../../../src/spec/load-spec.ts";
import { readSource } from "../../../src/spec/read-source.ts";
import { chooseSpec } from "../choose-spec.ts";
import { type CliContext, type ExitCode, RefusalError, refuse } from "../cli-context.ts";

type FmtFlags = { readonly check?: boolean };

/** Prints the name of a file that is not, or was not, in form; 3 with `-check` when it is not. */
export function runFmt(context: CliContext, specArgument: string | undefined, flags: FmtFlags): ExitCode {
  const shownAs = chooseSpec(context, specArgument);
  const path = resolve(context.cwd, shownAs);
  const source = readSource(path, shownAs);
  if (!source.ok) throw new RefusalError([source.diagnostic]);
  const formatted = formatSpec(source.text);
  if (formatted === null) throw new RefusalError(parseSpec(shownAs, source.text).diagnostics);
  if (formatted === source.text && !source.hasByteOrderMark) return 0;
  context.terminal.print(shownAs);
  if (flags.check) return 3;
  try {
    writeFileDurably(path, formatted, { mode: statSync(path).mode & 0o777 });
  } catch (error) {
    throw refuse("cli/cannot-write-spec", `Cannot write ${shownAs}`, errorText(error));
  }
  return 0;
}
