/**
 * `haplan rehearse [SPEC | PLAN]`: plays a plan on a local copy of the cluster, with a fault at each step. Of the cluster itself
 * it only reads.
 */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
import { writeFileDurably } from "../../../src/base/durable-file.ts";
import { errorText } from "../../../src/base/haplan-error.ts";
import { asRequested } from "../../../src/plan/change-reason.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { planHasChanges } from "../../../src/plan/planner.ts";
import {
  type FaultKind,
  faultKinds,
  nothingToRehearse,
  type RehearsalOutcome,
  type RehearsalReport,
  rehearsalOutcome,
} from "../../../src/rehearse/rehearsal.ts";
import { rehearsalPrograms } from "../../../src/rehearse/rehearsal-programs.ts";
import { rehearsedSteps } from "../../../src/rehearse/rehearsed-steps.ts";
import { type RehearsalRequest, runRehearsal } from "../../../src/rehearse/run-rehearsal.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import { hasAppliedSpec, readAppliedSpec } from "../applied-spec.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { parseDuration } from "../duration.ts";
import { makePlan } from "../make-plan.ts";
import { openCluster } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";
import { isPlanFile, readPlanFile } from "../saved-plan.ts";
import { observeSession, type Session, sessionFor, sessionState } from "../session.ts";
import { renderRehearsalPage } from "../views/rehearsal-html.ts";
import { rehearsalToJson, trialLine } from "../views/rehearsal-json.ts";
import { progressText, renderRehearsal } from "../views/rehearsal-view.ts";

type RehearseFlags = {
  readonly backup?: string;
  readonly keys: string;
  readonly faults: string;
  readonly steps?: string;
  readonly members?: string;
  readonly parallelism?: string;
  readonly budget: string;
  readonly html?: string;
  readonly json?: boolean;
  readonly replace?: readonly string[];
};

const keysMax = 1_000_000;

const exitCodes: Readonly<Record<RehearsalOutcome, ExitCode>> = { held: 0, untried: 2, failed: 3 };

export async function runRehearse(
  context: CliContext,
  argument: string | undefined,
  flags: RehearseFlags,
): Promise<ExitCode> {
  const chosen = chosenOptions(context, flags);
  const { session, plan } = await planToRehearse(context, argument, flags);
  if (plan.mode === "destroy" || plan.restore !== undefined) throw notRehearsed(plan);
  if (!planHasChanges(plan)) {
    const { name: cluster, controlPlane } = plan.spec;
    const { engine } = controlPlane;
    return showReport(context, nothingToRehearse({ haplanVersion: context.version, cluster, engine }), flags);
  }
  const state = await sessionState(context, session);
  const observed = await observeSession(context, session, state);
  const stopping = new AbortController();
  const request: RehearsalRequest = {
    ...chosen,
    copy: {
      spec: plan.spec,
      applied: state === null ? null : await appliedSpec(context, session),
      state,
      membership: observed.membership,
      machines: observed.machines.map(({ name }) => name),
      cwd: context.cwd,
    },
    command: commandOf(plan),
    steps: rehearsedSteps(plan),
    haplanVersion: context.version,
    programs: rehearsalPrograms(session.dependencies.rehearsedProgram),
    random: Math.random,
    signal: stopping.signal,
    tell: (progress) => {
      if (progress.kind === "trial") context.reporter.event(trialLine(progress));
      if (!context.reporter.json) context.terminal.printError(progressText(progress, context.terminal.errorPaint));
    },
  };
  const report = await context.stop.handleWith(
    () => stopping.abort(),
    () => runRehearsal(request).catch((error: unknown) => throwStopped(error, stopping.signal)),
  );
  return showReport(context, report, flags);
}

function showReport(context: CliContext, report: RehearsalReport, { html }: RehearseFlags): ExitCode {
  const { terminal, reporter } = context;
  if (html !== undefined) writePage(context, html, report);
  terminal.print(
    reporter.json
      ? JSON.stringify(rehearsalToJson(report), null, 2)
      : renderRehearsal(report, terminal.paint, html ?? null),
  );
  return exitCodes[rehearsalOutcome(report)];
}

function chosenOptions(
  { cwd }: CliContext,
  flags: RehearseFlags,
): Pick<RehearsalRequest, "data" | "faults" | "selected" | "members" | "parallelism" | "budgetMs"> {
  const { backup } = flags;
  if (backup !== undefined && !existsSync(resolve(cwd, backup)))
    throw refuse("rehearse/no-backup", `There is no backup ${backup}`, "haplan backups lists those that there are.");
  return {
    data: backup === undefined ? { keys: parseKeys(flags.keys) } : { backup: resolve(cwd, backup) },
    faults: parseFaults(flags.faults),
    selected: wordsOf(flags.steps),
    members: wordsOf(flags.members),
    parallelism: Number(flags.parallelism ?? Math.max(1, Math.floor(availableParallelism() / 4))),
    budgetMs: parseDuration("-budget", flags.budget),
  };
}

function wordsOf(list = ""): readonly string[] {
  return list.split(",").filter((word) => word !== "");
}

function parseKeys(text: string): number {
  if (/^\d{1,7}$/.test(text) && Number(text) <= keysMax) return Number(text);
  throw refuse("rehearse/bad-keys", `-keys=${text} is not a number of keys`, `Write a number from 0 to ${keysMax}.`);
}

function parseFaults(text: string): readonly FaultKind[] {
  const words = wordsOf(text);
  const unknown = words.find((word) => !(faultKinds as readonly string[]).includes(word));
  if (unknown === undefined && words.length > 0) return words as FaultKind[];
  throw refuse(
    "rehearse/bad-faults",
    `-faults=${text}: ${unknown === undefined ? "no fault is named" : `"${unknown}" is no fault`}`,
    `Write some of ${faultKinds.join(",")}.`,
  );
}

async function planToRehearse(
  context: CliContext,
  argument: string | undefined,
  flags: RehearseFlags,
): Promise<{ readonly session: Session; readonly plan: Plan }> {
  const { replace = [] } = flags;
  if (argument === undefined || !isPlanFile(context, argument)) {
    const session = await openCluster(context, { spec: argument });
    return { session, plan: await makePlan(context, session, { mode: "apply", replace }) };
  }
  if (replace.length > 0)
    throw refuse(
      "cli/flags-with-plan",
      "The flag -replace cannot change a saved plan",
      `Omit it: ${argument} has what it was planned with.`,
    );
  const { plan, specPath } = await readPlanFile(context, argument);
  const specDigest = plan.binding.specDigest;
  return { session: await sessionFor(context, { spec: plan.spec, specPath, specDigest }), plan };
}

/** Null if it is not here, as where the state is elsewhere: the copy then begins with the spec's own settings. */
async function appliedSpec(context: CliContext, { directory, spec }: Session): Promise<ClusterSpec | null> {
  return hasAppliedSpec(directory) ? (await readAppliedSpec(context, spec.name)).spec : spec;
}

/** The command that makes the same plan in the copy. */
function commandOf(plan: Plan): readonly string[] {
  const kinds = new Set(plan.steps.map(({ action }) => action.kind));
  if (kinds.has("addAuthority")) return ["certs", "rotate", "-ca"];
  if (kinds.has("dropAuthority")) return ["certs", "rotate", "-drop-old"];
  const replaced = plan.changes.filter(({ reasonCode }) => reasonCode === asRequested.code);
  return ["apply", ...replaced.map(({ address }) => `-replace=${address}`)];
}

function notRehearsed({ mode }: Plan): Error {
  const what = mode === "destroy" ? "A plan to destroy" : "A restore";
  return refuse("rehearse/not-a-change", `${what} is not rehearsed`, "Its clients are stopped on purpose.");
}

function throwStopped(error: unknown, signal: AbortSignal): never {
  if (!signal.aborted) throw error;
  throw refuse("rehearse/interrupted", "The rehearsal was stopped", "The copy was removed. Nothing was changed.");
}

function writePage({ cwd }: CliContext, path: string, report: RehearsalReport): void {
  try {
    writeFileDurably(resolve(cwd, path), renderRehearsalPage(report));
  } catch (error) {
    throw refuse(
      "rehearse/cannot-write",
      `Cannot write ${path}, given with -html`,
      `${dirname(path)}: ${errorText(error)}`,
    );
  }
}
