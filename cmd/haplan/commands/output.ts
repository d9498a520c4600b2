/** `haplan output [SPEC]`: outputs for users of the cluster and for scripts. */
import { nearestName } from "../../../src/spec/nearest-name.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { type Outputs, outputsAsTerraform, outputsOf } from "../cluster-outputs.ts";
import { openCluster } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";
import { sessionState } from "../session.ts";

type OutputFlags = { readonly json?: boolean; readonly raw?: string; readonly stateOnly?: string };

export async function runOutput(
  context: CliContext,
  specArgument: string | undefined,
  flags: OutputFlags,
): Promise<ExitCode> {
  const session = await openCluster(context, { spec: specArgument, stateOnly: flags.stateOnly });
  const outputs = outputsOf(session, await sessionState(context, session), context.cwd);
  if (outputs === null) {
    const summary = "The cluster has not been applied yet, so there are no outputs";
    throw refuse("cli/not-applied", summary, "Apply the spec first:", [["apply"]]);
  }
  if (flags.raw !== undefined) {
    const value = outputs[flags.raw];
    if (value === undefined) throw unknownOutput(flags.raw, Object.keys(outputs));
    context.terminal.print(Array.isArray(value) ? value.join(",") : String(value));
    return 0;
  }
  context.terminal.print(flags.json ? JSON.stringify(outputsAsTerraform(outputs), null, 2) : asText(outputs));
  return 0;
}

function asText(outputs: Outputs): string {
  const width = Math.max(...Object.keys(outputs).map((name) => name.length));
  const lines = Object.entries(outputs).map(([name, value]) => {
    if (typeof value !== "string") return `${name.padEnd(width)} = ${JSON.stringify(value)}`;
    if (!value.includes("\n")) return `${name.padEnd(width)} = ${JSON.stringify(value)}`;
    return [`${name.padEnd(width)} = <<EOT`, value, "EOT"].join("\n");
  });
  return lines.join("\n");
}

function unknownOutput(name: string, known: readonly string[]): Error {
  const nearest = nearestName(name, known);
  const hint = nearest === null ? "" : `Did you mean "${nearest}"? `;
  return refuse("cli/unknown-output", `There is no output "${name}"`, `${hint}Known outputs: ${known.join(", ")}.`);
}
