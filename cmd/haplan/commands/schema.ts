/** `haplan schema`: the JSON Schema of a spec, for editors. */
import { renderClusterSchema } from "../../../src/spec/cluster-schema.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";

export function runSchema(context: CliContext): ExitCode {
  context.terminal.print(renderClusterSchema().trimEnd());
  return 0;
}
