/** `haplan graph [SPEC]`: the dependency graph, for Graphviz or as Mermaid. Reads only the spec. */
import { type DesiredResource, desiredResources } from "../../../src/plan/desired-resources.ts";
import { chooseSpec } from "../choose-spec.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { refuse } from "../refusal.ts";
import { openSession } from "../session.ts";

type GraphFlags = { readonly format: string };

export async function runGraph(
  context: CliContext,
  specArgument: string | undefined,
  { format }: GraphFlags,
): Promise<ExitCode> {
  if (format !== "dot" && format !== "mermaid") {
    throw refuse("cli/bad-format", `-format=${format} is not supported`, "Write -format=dot or -format=mermaid.");
  }
  const { spec, provider } = await openSession(context, chooseSpec(context, specArgument));
  const resources = desiredResources(spec, provider.model);
  context.terminal.print((format === "dot" ? dot(resources) : mermaid(resources)).join("\n"));
  return 0;
}

function dot(resources: readonly DesiredResource[]): readonly string[] {
  return [
    "digraph G {",
    '  rankdir = "RL";',
    '  node [shape = rect, fontname = "sans-serif"];',
    ...resources.map(({ address }) => `  ${JSON.stringify(address)};`),
    ...edges(resources).map(([from, to]) => `  ${JSON.stringify(from)} -> ${JSON.stringify(to)};`),
    "}",
  ];
}

/** Addresses contain characters that are special in Mermaid: nodes get numbers, and addresses are their labels. */
function mermaid(resources: readonly DesiredResource[]): readonly string[] {
  const node = new Map<string, string>(resources.map(({ address }, index) => [address, `n${index}`]));
  return [
    "flowchart RL",
    ...resources.map(({ address }) => `  ${node.get(address)}["${address}"]`),
    ...edges(resources).map(([from, to]) => `  ${node.get(from)} --> ${node.get(to)}`),
  ];
}

function edges(resources: readonly DesiredResource[]): readonly (readonly [string, string])[] {
  const known = new Set<string>(resources.map(({ address }) => address));
  return resources.flatMap(({ address, dependsOn }) =>
    dependsOn.filter((other) => known.has(other)).map((other) => [address, other] as const),
  );
}
