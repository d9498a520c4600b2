/** `haplan graph [SPEC]`: what depends on what, in DOT, for Graphviz. Looks at nothing but the spec. */
import { desiredResources } from "../../../src/plan/desired-resources.ts";
import { chooseSpec } from "../choose-spec.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { openSession } from "../session.ts";

export function runGraph(context: CliContext, specArgument: string | undefined): ExitCode {
  const { spec } = openSession(context, chooseSpec(context, specArgument));
  const resources = desiredResources(spec);
  const lines = [
    "digraph G {",
    '  rankdir = "RL";',
    '  node [shape = rect, fontname = "sans-serif"];',
    ...resources.map(({ address }) => `  ${JSON.stringify(address)};`),
    ...resources.flatMap(({ address, dependsOn }) =>
      dependsOn.map((other) => `  ${JSON.stringify(address)} -> ${JSON.stringify(other)};`),
    ),
    "}",
  ];
  context.terminal.print(lines.join("\n"));
  return 0;
}
