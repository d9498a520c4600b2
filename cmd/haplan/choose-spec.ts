/**
 * Chooses the spec of a command: the given one, else `cluster.yaml` in this directory, else that of the newest plan
 * made here. Each plan records its spec beside the state for this.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { makeDirDurably, writeFileDurably } from "../../src/base/durable-file.ts";
import { errorText } from "../../src/base/haplan-error.ts";
import { stateDir } from "../../src/state/local-backend.ts";
import type { CliContext } from "./cli-context.ts";
import { refuse } from "./refusal.ts";
import { specLabel } from "./spec-source.ts";

export const newestPlanFile = "newest-plan.json";

/** The record of a plan: `spec` is relative to the directory that haplan was started in. */
type NewestPlan = { readonly spec: string; readonly planId: string };

/**
 * The path of the spec, as it should be shown; prints to standard error which one was chosen.
 * @throws RefusalError if there is none
 */
export function chooseSpec(context: CliContext, argument: string | undefined): string {
  const { cwd, terminal } = context;
  const say = (path: string, why: string): string => {
    // Without a path, a later run finds the same cluster.yaml, but perhaps another, newer plan.
    if (argument !== undefined || why !== "") context.invocation.about({ spec: path });
    terminal.printError(terminal.errorPaint.dim(`Spec: ${specLabel(path)}${why}`));
    return path;
  };
  if (argument !== undefined) return say(argument, "");
  if (existsSync(join(cwd, "cluster.yaml"))) return say("cluster.yaml", "");
  const remembered = newestSpec(cwd);
  if (remembered !== null) return say(remembered, " (of the newest plan made here)");
  throw refuse(
    "cli/no-spec",
    "No spec was given",
    "There is no cluster.yaml in this directory, and no plan was made here yet. Pass the path of a spec. examples/ha-3-masters.yaml is a starting point.",
  );
}

/** Writes the record that `chooseSpec` reads. The plan is valid without it, so a failure is only reported. */
export function recordSpec(
  context: CliContext,
  note: { clusterName: string; spec: string | null; planId: string },
): void {
  if (note.spec === null) return;
  const directory = stateDir(context.cwd, note.clusterName);
  const absolute = isAbsolute(note.spec) ? note.spec : resolve(context.cwd, note.spec);
  const newest: NewestPlan = { spec: relative(context.cwd, absolute), planId: note.planId };
  try {
    makeDirDurably(directory);
    writeFileDurably(join(directory, newestPlanFile), `${JSON.stringify(newest)}\n`);
  } catch (error) {
    context.terminal.printError(`Cannot record the newest plan in ${directory}: ${errorText(error)}`);
  }
}

function newestSpec(cwd: string): string | null {
  const root = join(cwd, ".haplan");
  if (!existsSync(root)) return null;
  const notes = readdirSync(root)
    .map((name) => join(root, name, newestPlanFile))
    .filter((path) => existsSync(path))
    .map((path) => ({ path, writtenAt: statSync(path).mtimeMs }))
    .toSorted((left, right) => right.writtenAt - left.writtenAt);
  const [newest] = notes;
  if (newest === undefined) return null;
  try {
    const { spec } = JSON.parse(readFileSync(newest.path, "utf8")) as NewestPlan;
    return typeof spec === "string" ? spec : null;
  } catch {
    return null;
  }
}
