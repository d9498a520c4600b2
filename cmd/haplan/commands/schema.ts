/** `haplan schema`: the JSON Schema of a spec, for editors. */
import { providerSchemas } from "../../../src/providers/registry.ts";
import { renderEditorSchema } from "../../../src/spec/cluster-schema.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";

export function runSchema(context: CliContext): ExitCode {
  context.terminal.print(renderEditorSchema(providerSchemas).trimEnd());
  return 0;
}
