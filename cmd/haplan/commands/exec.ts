/** `haplan exec NODE -- COMMAND ...` runs a command on a node; `haplan ssh NODE` opens a login shell there. */
import type { ShellRequest } from "../../../src/providers/provider.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { clusterNodes, requireNode } from "../cluster-nodes.ts";
import { openCluster } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";

export type NodeFlags = { readonly spec?: string; readonly stateOnly?: string };
export type ExecFlags = NodeFlags & { readonly tty: boolean };

/** Exits as the command does. */
export async function runExec(
  context: CliContext,
  node: string,
  command: readonly string[],
  { tty, ...flags }: ExecFlags,
): Promise<ExitCode> {
  const [program, ...given] = command;
  if (program === undefined)
    throw refuse(
      "cli/no-command",
      `There is no command to run on ${node}`,
      "Write it behind the node, or open a shell:",
      [
        ["exec", node, "--", "df", "-h"],
        ["ssh", node],
      ],
    );
  return await runOn(context, node, { command: [program, ...given], tty: tty && context.terminal.interactive }, flags);
}

export function runSsh(context: CliContext, node: string, flags: NodeFlags): Promise<ExitCode> {
  return runOn(context, node, { command: null, tty: context.terminal.interactive }, flags);
}

async function runOn(context: CliContext, node: string, request: ShellRequest, flags: NodeFlags): Promise<ExitCode> {
  const session = await openCluster(context, flags);
  const name = requireNode(await clusterNodes(context, session), node);
  return session.dependencies.runInTerminal(await session.provider.shell(name, request), context.stop);
}
