/** `haplan version`: the version of haplan and of its runtime. */
import type { CliContext, ExitCode } from "../cli-context.ts";

export function runVersion(context: CliContext, flags: { readonly json?: boolean }): ExitCode {
  const { terminal, version } = context;
  const platform = `${process.platform}_${process.arch}`;
  if (flags.json) {
    terminal.print(JSON.stringify({ haplan_version: version, platform, node_version: process.versions.node }, null, 2));
  } else {
    terminal.print(`haplan v${version}\non ${platform}, Node ${process.versions.node}`);
  }
  return 0;
}
