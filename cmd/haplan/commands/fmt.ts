/**
 * `haplan fmt [SPEC | -]`: formats a spec; `-check` only reports whether it is formatted, `-diff` prints the changes.
 */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { writeFileDurably } from "../../../src/base/durable-file.ts";
import { errorText } from "../../../src/base/haplan-error.ts";
import { specReader } from "../../../src/providers/spec-reader.ts";
import { formatSpec } from "../../../src/spec/format-spec.ts";
import { type ReadSource, readSource } from "../../../src/spec/read-source.ts";
import { chooseSpec } from "../choose-spec.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { RefusalError, refuse } from "../refusal.ts";
import { readSpecSource, specLabel, standardInput } from "../spec-source.ts";

type FmtFlags = { readonly check?: boolean; readonly diff?: boolean };

/** Prints the name of a file that is, or was, not formatted; 3 with `-check` if it is not. */
export async function runFmt(
  context: CliContext,
  specArgument: string | undefined,
  flags: FmtFlags,
): Promise<ExitCode> {
  if (specArgument === standardInput) return formatInput(context, flags);
  const shownAs = chooseSpec(context, specArgument);
  const path = resolve(context.cwd, shownAs);
  const form = formOf(readSource(path, shownAs), shownAs);
  if (form.isFormatted) return 0;
  context.terminal.print(shownAs);
  if (flags.diff) context.terminal.print(await unifiedDiff(shownAs, form));
  if (flags.check) return 3;
  try {
    writeFileDurably(path, form.formatted, { mode: statSync(path).mode & 0o777 });
  } catch (error) {
    throw refuse("cli/cannot-write-spec", `Cannot write ${shownAs}`, errorText(error));
  }
  return 0;
}

/** From standard input to standard output, for editors. */
async function formatInput(context: CliContext, { check, diff }: FmtFlags): Promise<ExitCode> {
  const { terminal } = context;
  const form = formOf(await readSpecSource(context, standardInput), specLabel(standardInput));
  if (diff && !form.isFormatted) terminal.print(await unifiedDiff("-", form));
  if (!diff && !check) terminal.print(form.formatted.replace(/\n$/, ""));
  return check && !form.isFormatted ? 3 : 0;
}

type Form = { readonly text: string; readonly formatted: string; readonly isFormatted: boolean };

/** @throws RefusalError if it is not YAML */
function formOf(source: ReadSource, shownAs: string): Form {
  if (!source.ok) throw new RefusalError([source.diagnostic]);
  const { text, hasByteOrderMark } = source;
  const formatted = formatSpec(text);
  if (formatted === null) throw new RefusalError(specReader.parse(shownAs, text).diagnostics);
  return { text, formatted, isFormatted: formatted === text && !hasByteOrderMark };
}

async function unifiedDiff(shownAs: string, { text, formatted }: Form): Promise<string> {
  const { createTwoFilesPatch } = await import("diff");
  const path = shownAs.replace(/^\/+/, "");
  const patch = createTwoFilesPatch(`old/${path}`, `new/${path}`, text, formatted, undefined, undefined, {
    context: 3,
  });
  // The library adds a header line of its own.
  return patch.replace(/^=+\n/, "").trimEnd();
}
