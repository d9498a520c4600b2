/**
 * Executes a plan from its current position. Execution stops at the first failure, lets running steps finish, and can
 * be resumed after any crash: the journal records what was done, the provider what was created.
 */
import type { Diagnostic } from "../base/diagnostic.ts";
import type { HaplanError } from "../base/haplan-error.ts";
import type { JournalRecord } from "../plan/journal-record.ts";
import type { Plan } from "../plan/plan.ts";
import type { State } from "../plan/state.ts";
import type { Step } from "../plan/step.ts";
import type { BegunMachine, HostFailure } from "../providers/provider.ts";
import type { ApplySummary } from "./apply-event.ts";
import { PlanWalk, type StepFailure } from "./plan-walk.ts";
import type { ApplyPorts } from "./ports.ts";
import { preflightPlan } from "./preflight.ts";
import { prepareMachines } from "./prepare-machines.ts";
import { stateEdits } from "./state-edits.ts";
import { StateKeeper } from "./state-keeper.ts";
import { type SpentGap, WriteGapBudget } from "./write-gap-budget.ts";

export type ApplyOptions = {
  /** How many steps may run at once. */
  readonly parallelism?: number;
  /** Aborted by the first SIGINT. */
  readonly signal?: AbortSignal;
  readonly progressIntervalMs?: number;
  /** The caller has run the preflight. */
  readonly checked?: boolean;
  /** A client may wait for a write for at most this long; absent: for any time. */
  readonly maxWriteGapMs?: number;
};

export type ApplyOutcome =
  /** `leftovers`: hosts on which an interrupted creation of a machine may have left something. */
  | { readonly kind: "applied"; readonly summary: ApplySummary; readonly leftovers: readonly HostFailure[] }
  /** Nothing was changed. */
  | { readonly kind: "refused"; readonly diagnostics: readonly Diagnostic[] }
  | ({ readonly kind: "failed"; readonly step: Step; readonly error: HaplanError } & Progress)
  /** The budget for write gaps was spent. `failure` is the step that it has stopped, if it did not complete. */
  | ({ readonly kind: "gapSpent"; readonly spent: SpentGap; readonly failure: StepFailure | null } & Progress)
  /** Stopped by the signal; state and journal are on disk. Applying again resumes. */
  | ({ readonly kind: "interrupted" } & Progress);

type Progress = { readonly stepsDone: number; readonly remaining: readonly Step[] };

/**
 * Executes `plan`, which must be fresh (`plan/staleness.ts`) or have been started by an earlier call that was
 * interrupted.
 * @throws errors of the state store or the journal: then nothing more is done.
 */
export async function applyPlan(plan: Plan, ports: ApplyPorts, options: ApplyOptions = {}): Promise<ApplyOutcome> {
  const { parallelism = 10, progressIntervalMs = 10_000, signal = new AbortController().signal } = options;
  const records = (await ports.journal.read()).filter((record) => record.planId === plan.id);
  const found = await ports.stateStore.read();
  const lineage = found?.lineage ?? plan.binding.stateLineage ?? "to-be-made";
  if (records.length === 0) {
    if ((found?.serial ?? 0) !== plan.binding.stateSerial) return { kind: "refused", diagnostics: [movedState(plan)] };
    const problems = await untilStopped(signal, async () => {
      const found = options.checked ? [] : await preflightPlan(plan, lineage, ports, signal);
      return hasErrors(found) ? found : await prepareMachines(plan, ports, signal);
    });
    if (problems === null) return { kind: "interrupted", stepsDone: 0, remaining: plan.steps };
    if (hasErrors(problems)) return { kind: "refused", diagnostics: problems };
  } else if (found === null && plan.mode === "apply") {
    // The state is written before the first intent: without it, this journal belongs to another lineage.
    return { kind: "refused", diagnostics: [movedState(plan)] };
  }
  const begun = stepIds(records, "intent");
  const done = stepIds(records, "done");
  ports.emit({ kind: "planned", planId: plan.id, steps: plan.steps, alreadyDone: [...done] });
  const keeper = await StateKeeper.open(plan, ports);
  ports.provider.claim?.(keeper.state.lineage);
  // A step may have been journaled as done in a run that died before its state was written.
  for (const record of records.filter((candidate) => candidate.phase === "done")) {
    const step = plan.steps.find((candidate) => candidate.id === record.stepId);
    if (step !== undefined)
      await keeper.apply(
        stateEdits(
          { ...plan, spec: keeper.spec },
          { ...step, action: keeper.resolved(step.action) },
          record.result ?? {},
        ),
      );
  }
  const budget = options.maxWriteGapMs === undefined ? null : new WriteGapBudget(options.maxWriteGapMs);
  const walk = new PlanWalk({ plan, ports, keeper, done, begun, parallelism, progressIntervalMs, signal, budget });
  const failure = await walk.run();
  const remaining = plan.steps.filter(({ id }) => !done.has(id));
  const progress: Progress = { stepsDone: done.size, remaining };
  const spent = budget?.spent ?? null;
  if (spent !== null && !signal.aborted) {
    if (remaining.length === 0) await conclude(plan, ports, keeper.state, signal);
    return { kind: "gapSpent", spent, failure, ...progress };
  }
  if (failure !== null && !signal.aborted) return { kind: "failed", ...failure, ...progress };
  if (remaining.length > 0) return { kind: "interrupted", ...progress };
  return { kind: "applied", ...(await conclude(plan, ports, keeper.state, signal)) };
}

/** Null if `work` ended because the run is to stop. */
async function untilStopped<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result | null> {
  try {
    return await work();
  } catch (error) {
    if (!signal.aborted) throw error;
    return null;
  }
}

function hasErrors(found: readonly Diagnostic[]): boolean {
  return found.some(({ severity }) => severity === "error");
}

async function conclude(
  plan: Plan,
  { provider, stateStore, journal, emit }: ApplyPorts,
  state: State,
  signal: AbortSignal,
): Promise<Pick<ApplyOutcome & { readonly kind: "applied" }, "summary" | "leftovers">> {
  const ends = plan.mode === "destroy" && nothingLeft(state);
  // While the journal still names them.
  const begun = begunMachines(await journal.read());
  const isNeeded = ends || begun.length > 0;
  const leftovers = isNeeded ? await provider.removeLeftovers({ begun, everywhere: ends }, signal) : [];
  if (ends) await stateStore.remove();
  await journal.clear();
  const summary = summarize(plan);
  emit({ kind: "applied", summary });
  return { summary, leftovers };
}

/** The machines whose creation was begun, and not completed by the same plan. */
function begunMachines(records: readonly JournalRecord[]): readonly BegunMachine[] {
  const keyOf = ({ planId, stepId }: JournalRecord): string => `${planId} ${stepId}`;
  const done = new Set(records.filter(({ phase }) => phase === "done").map(keyOf));
  return records.flatMap((record) => {
    const { action } = record;
    if (action?.kind !== "createMachine" || done.has(keyOf(record))) return [];
    const { machine: name, generation, attributes = {} } = action;
    return [{ name, generation, attributes }];
  });
}

function movedState(plan: Plan): Diagnostic {
  return {
    severity: "error",
    code: "plan/stale",
    summary: "Saved plan is stale: the state has changed",
    detail: `The plan was made for serial ${plan.binding.stateSerial}. Plan again.`,
  };
}

function stepIds(records: readonly JournalRecord[], phase: JournalRecord["phase"]): Set<string> {
  return new Set(records.filter((record) => record.phase === phase).map((record) => record.stepId));
}

/** haplan did not create adopted members: they are left alone, and forgotten. Only a part may have been destroyed. */
function nothingLeft({ resources }: State): boolean {
  return resources.every((resource) => resource.attributes["adopted"] === true);
}

/** Counts resources as Terraform does: a replaced one is one added and one destroyed. */
function summarize(plan: Plan): ApplySummary {
  const count = (...actions: string[]): number =>
    plan.changes.filter((change) => actions.includes(change.action)).length;
  const replaced = count("createThenDelete", "deleteThenCreate");
  return {
    imported: plan.changes.filter((change) => change.importing !== undefined).length,
    added: count("create") + replaced,
    changed: count("update"),
    destroyed: count("delete") + replaced,
    degraded: [],
  };
}
