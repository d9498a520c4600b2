/** Selects the cluster of a command: that of a spec, or with `-state-only` one that was applied in this directory. */

import { stateDir } from "../../src/state/local-backend.ts";
import { appliedClusters, hasAppliedSpec, readAppliedSpec } from "./applied-spec.ts";
import { chooseSpec } from "./choose-spec.ts";
import type { CliContext } from "./cli-context.ts";
import { nameInSpec } from "./commands/validate.ts";
import { RefusalError, refuse } from "./refusal.ts";
import { openSession, type Session, type SessionOptions, sessionFor } from "./session.ts";

export type ClusterChoice = {
  /** The path that was given. */
  readonly spec?: string | undefined;
  /** The name of a cluster. */
  readonly stateOnly?: string | undefined;
} & SessionOptions;

/** @throws RefusalError if there is no such cluster, or its spec is invalid */
export async function openCluster(context: CliContext, choice: ClusterChoice): Promise<Session> {
  const { spec, stateOnly, withoutState = false } = choice;
  if (stateOnly === undefined) return openSession(context, chooseSpec(context, spec), { withoutState });
  refuseSpecFlags(context, spec);
  const applied = await readAppliedSpec(context, stateOnly);
  context.invocation.about({ spec: applied.path, stateOnly });
  context.terminal.printError(context.terminal.errorPaint.dim(`Cluster: ${stateOnly}, as last applied here`));
  return sessionFor(context, { spec: applied.spec, specPath: null, specDigest: "" }, { withoutState });
}

/** Like `openCluster`, for destroying; if the spec is unusable, the error shows the command that does not need it. */
export async function openClusterToDestroy(context: CliContext, choice: ClusterChoice): Promise<Session> {
  try {
    return await openCluster(context, choice);
  } catch (error) {
    if (!(error instanceof RefusalError) || choice.stateOnly !== undefined) throw error;
    throw new RefusalError(withDestroyCommand(context, choice.spec, error));
  }
}

function withDestroyCommand(
  context: CliContext,
  spec: string | undefined,
  { diagnostics }: RefusalError,
): RefusalError["diagnostics"] {
  const known = appliedClusters(context.cwd);
  const named = spec === undefined ? null : nameInSpec(context, spec);
  const clusters = named !== null && known.includes(named) ? [named] : known;
  const last = diagnostics.at(-1);
  if (last === undefined || clusters.length === 0) return diagnostics;
  const way = "The applied cluster can be destroyed without the spec:";
  const detail = last.detail ? `${last.detail}\n\n${way}` : way;
  const commands = clusters.map((name) => ["destroy", `-state-only=${name}`]);
  return [...diagnostics.slice(0, -1), { ...last, detail, commands }];
}

/** A spec whose cluster name or state backend was changed has nothing to destroy. */
export function warnOfOtherClusters(context: CliContext, { spec }: Session): void {
  const others = appliedClusters(context.cwd);
  if (others.length === 0 || hasAppliedSpec(stateDir(context.cwd, spec.name))) return;
  context.reporter.warn([
    {
      severity: "warning",
      code: "cli/nothing-applied",
      summary: `There is nothing to destroy for "${spec.name}"`,
      detail: "Other clusters were applied in this directory. To destroy one of them, run:",
      commands: others.map((name) => ["destroy", `-state-only=${name}`]),
    },
  ]);
}

function refuseSpecFlags({ variables }: CliContext, spec: string | undefined): void {
  const given = [
    ...(spec === undefined ? [] : [`the spec ${spec}`]),
    ...(Object.keys(variables).length === 0 ? [] : ["a variable"]),
  ];
  if (given.length === 0) return;
  throw refuse(
    "cli/spec-with-state-only",
    `-state-only reads no spec, but ${given.join(" and ")} was given`,
    "Omit one of them. Variables come from -var and -var-file, also in HAPLAN_CLI_ARGS.",
  );
}
