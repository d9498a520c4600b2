/**
 * Walks a plan: gate → journal intent → act and verify → journal done → state. Steps that do not wait for each other
 * run side by side, membership changes one at a time. It stops at the first failure, lets finish what is under way, and
 * can be started again after any crash: the journal tells what was done, the world what was made.
 */
import type { Diagnostic } from "../base/diagnostic.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import type { Plan } from "../plan/plan.ts";
import { needsQuorum } from "../plan/quorum-guard.ts";
import type { State } from "../plan/state.ts";
import type { Step } from "../plan/step.ts";
import { clientUrl, clusterEndpoint } from "../units/addresses.ts";
import type { ApplySummary } from "./apply-event.ts";
import type { ApplyPorts } from "./ports.ts";
import { preflightPlan } from "./preflight.ts";
import { passQuorumGate, tellMembership } from "./quorum-gate.ts";
import { runStep } from "./run-step.ts";
import { stateEdits } from "./state-edits.ts";
import { StateKeeper } from "./state-keeper.ts";
import { Connection, type StepContext } from "./step-context.ts";
import { WriteProbe } from "./write-probe.ts";

export type ApplyOptions = {
  /** How many steps may be under way at once. */
  readonly parallelism?: number;
  /** Aborted by the first SIGINT. */
  readonly signal?: AbortSignal;
  readonly progressIntervalMs?: number;
};

export type ApplyOutcome =
  | { readonly kind: "applied"; readonly summary: ApplySummary }
  /** Nothing was touched. */
  | { readonly kind: "refused"; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: "failed"; readonly step: Step; readonly error: HaplanError; readonly stepsDone: number }
  /** Stopped because the signal said so; state and journal are on disk. Applying again goes on from here. */
  | { readonly kind: "interrupted"; readonly stepsDone: number };

/**
 * Carries out `plan`, which must be fresh (`plan/staleness.ts`) or have been begun by an earlier call that was cut off.
 * @throws whatever state store or journal throw: then nothing more is done.
 */
export async function applyPlan(plan: Plan, ports: ApplyPorts, options: ApplyOptions = {}): Promise<ApplyOutcome> {
  const records = (await ports.journal.read()).filter((record) => record.planId === plan.id);
  const found = await ports.stateStore.read();
  const lineage = found?.lineage ?? plan.binding.stateLineage ?? "to-be-made";
  if (records.length === 0) {
    if ((found?.serial ?? 0) !== plan.binding.stateSerial) return { kind: "refused", diagnostics: [movedState(plan)] };
    const problems = await preflightPlan(plan, lineage, ports.provider);
    if (problems.some((problem) => problem.severity === "error")) return { kind: "refused", diagnostics: problems };
  } else if (found === null && plan.mode === "apply") {
    // The state is written before the first intent: without it, this journal is another life's.
    return { kind: "refused", diagnostics: [movedState(plan)] };
  }
  const done = new Set(records.filter((record) => record.phase === "done").map((record) => record.stepId));
  ports.emit({ kind: "planned", planId: plan.id, steps: plan.steps, alreadyDone: [...done] });
  const keeper = await StateKeeper.open(plan, ports.stateStore, ports.newLineage);
  // A step that was journalled as done may have died before its state was written.
  for (const record of records.filter((candidate) => candidate.phase === "done")) {
    const step = plan.steps.find((candidate) => candidate.id === record.stepId);
    if (step !== undefined) await keeper.apply(stateEdits(plan, step, record.result ?? {}));
  }
  const walk = new Walk(plan, ports, options, keeper, done, intentsOf(records));
  return walk.run();
}

function movedState(plan: Plan): Diagnostic {
  return {
    severity: "error",
    code: "plan/stale",
    summary: "Saved plan is stale: the state has moved",
    detail: `The plan was made for serial ${plan.binding.stateSerial}. Plan again.`,
  };
}

function intentsOf(records: readonly { readonly phase: string; readonly stepId: string }[]): ReadonlySet<string> {
  return new Set(records.filter((record) => record.phase === "intent").map((record) => record.stepId));
}

type Failure = { readonly step: Step; readonly error: HaplanError };

class Walk {
  private readonly plan: Plan;
  private readonly ports: ApplyPorts;
  private readonly keeper: StateKeeper;
  private readonly done: Set<string>;
  private readonly begun: ReadonlySet<string>;
  private readonly connection: Connection;
  private readonly parallelism: number;
  private readonly progressIntervalMs: number;
  private readonly signal: AbortSignal;
  private readonly running = new Map<string, Promise<void>>();
  private failure: Failure | null = null;
  private fatal: unknown = null;
  private probe: WriteProbe | null = null;

  constructor(
    plan: Plan,
    ports: ApplyPorts,
    options: ApplyOptions,
    keeper: StateKeeper,
    done: Set<string>,
    begun: ReadonlySet<string>,
  ) {
    this.plan = plan;
    this.ports = ports;
    this.keeper = keeper;
    this.done = done;
    this.begun = begun;
    this.connection = new Connection(plan, ports, keeper);
    this.parallelism = options.parallelism ?? 10;
    this.progressIntervalMs = options.progressIntervalMs ?? 10_000;
    this.signal = options.signal ?? new AbortController().signal;
  }

  async run(): Promise<ApplyOutcome> {
    try {
      // The probe is a write: a cluster that is as it should be is left alone.
      const idle = this.plan.steps.every((step) => this.done.has(step.id));
      if (this.plan.binding.membership !== null && !idle) await this.startProbe();
      await this.walk();
      await this.stopProbe();
    } finally {
      await this.stopProbe();
      this.connection.close();
    }
    if (this.fatal !== null) throw this.fatal;
    const stepsDone = this.done.size;
    if (this.failure !== null && !this.signal.aborted) return { kind: "failed", ...this.failure, stepsDone };
    if (stepsDone < this.plan.steps.length) return { kind: "interrupted", stepsDone };
    if (this.plan.mode === "destroy" && nothingLeft(this.keeper.state)) await this.ports.stateStore.remove();
    await this.ports.journal.clear();
    const summary = summarize(this.plan);
    this.ports.emit({ kind: "applied", summary });
    return { kind: "applied", summary };
  }

  private async walk(): Promise<void> {
    const waiting = this.plan.steps.filter((step) => !this.done.has(step.id));
    for (;;) {
      while (this.mayStart() && this.running.size < this.parallelism) {
        const position = waiting.findIndex((step) => this.isFree(step));
        if (position === -1) break;
        const step = waiting.splice(position, 1)[0]!;
        this.running.set(
          step.id,
          this.carryOut(step).finally(() => this.running.delete(step.id)),
        );
      }
      if (this.running.size === 0) return;
      await Promise.race(this.running.values());
    }
  }

  private mayStart(): boolean {
    return this.failure === null && this.fatal === null && !this.signal.aborted;
  }

  private isFree(step: Step): boolean {
    if (!step.after.every((id) => this.done.has(id))) return false;
    if (!needsQuorum(step.action)) return true;
    const other = this.plan.steps.some((each) => this.running.has(each.id) && needsQuorum(each.action));
    return !other;
  }

  private async carryOut(step: Step): Promise<void> {
    const { clock, journal, emit } = this.ports;
    const started = clock.monotonicMs();
    const progress = new AbortController();
    let detail: string | null = null;
    const context: StepContext = {
      plan: this.plan,
      ports: this.ports,
      keeper: this.keeper,
      connection: this.connection,
      signal: this.signal,
      detail: (text) => {
        detail = text;
      },
      warn: (message) => emit({ kind: "stepWarning", step, message }),
    };
    emit({ kind: "stepStarted", step });
    void this.tellProgress(step, started, progress.signal, () => detail);
    try {
      await passQuorumGate(context, step);
      await journal.append({ planId: this.plan.id, stepId: step.id, phase: "intent", action: step.action });
      const result = await runStep(context, step.action);
      await journal.append({ planId: this.plan.id, stepId: step.id, phase: "done", result });
      await this.keeper.apply(stateEdits(this.plan, step, result));
      this.done.add(step.id);
      const id = result["memberId"] ?? result["pid"] ?? result["fingerprint"] ?? result["sha256"] ?? null;
      const adopted = this.begun.has(step.id);
      const elapsedMs = clock.monotonicMs() - started;
      emit({ kind: "stepCompleted", step, elapsedMs, adopted, id: id === null ? null : String(id) });
      await this.afterwards(context, step);
    } catch (thrown) {
      await this.fail(step, thrown, clock.monotonicMs() - started);
    } finally {
      progress.abort();
    }
  }

  /** What follows a step without being part of it: nothing here can fail the apply. */
  private async afterwards(context: StepContext, step: Step): Promise<void> {
    if (needsQuorum(step.action)) await tellMembership(context, step).catch(() => undefined);
    if (step.action.kind === "awaitQuorum") await this.startProbe();
  }

  private async fail(step: Step, thrown: unknown, elapsedMs: number): Promise<void> {
    const error = asHaplanError(thrown);
    this.failure ??= { step, error };
    const interrupted = this.signal.aborted;
    try {
      await this.ports.journal.append({
        planId: this.plan.id,
        stepId: step.id,
        phase: "failed",
        error: interrupted ? "interrupted" : error.message,
      });
    } catch (fatal) {
      this.fatal ??= fatal;
    }
    const [message = "", ...rest] = error.message.split("\n");
    const detail = rest.length === 0 ? null : rest.join("\n");
    this.ports.emit({
      kind: "stepFailed",
      step,
      elapsedMs,
      code: interrupted ? "apply/interrupted" : error.code,
      message: interrupted ? "interrupted" : message,
      detail,
    });
  }

  private async tellProgress(
    step: Step,
    started: number,
    signal: AbortSignal,
    detail: () => string | null,
  ): Promise<void> {
    const { clock, emit } = this.ports;
    for (;;) {
      try {
        await clock.sleep(this.progressIntervalMs, signal);
      } catch {
        return;
      }
      emit({ kind: "stepProgress", step, elapsedMs: clock.monotonicMs() - started, detail: detail() });
    }
  }

  /** Through the load balancer where it is not itself what is being changed: as the cluster's users see it. */
  private async startProbe(): Promise<void> {
    if (this.probe !== null || this.plan.mode === "destroy") return;
    const { spec, steps } = this.plan;
    const kinds = new Set(steps.map((step) => step.action.kind));
    const steady = this.keeper.find("haplan_load_balancer.load-balancer") !== undefined;
    const balanced = steady && !kinds.has("startLoadBalancer") && !kinds.has("stopLoadBalancer");
    const endpoints = balanced
      ? [clusterEndpoint(spec)]
      : spec.controlPlane.masters.map((master) => clientUrl(spec, master));
    try {
      const tls = await this.connection.tls();
      this.probe = new WriteProbe(this.ports.connect({ endpoints, tls }), this.ports.clock);
    } catch {
      // Not being able to measure is no reason not to apply.
    }
  }

  private async stopProbe(): Promise<void> {
    const probe = this.probe;
    this.probe = null;
    const availability = await probe?.stop();
    if (availability) this.ports.emit({ kind: "writeAvailability", availability });
  }
}

/** What was adopted was never made: it is left alone, and forgotten. A part may have been destroyed only. */
function nothingLeft({ resources }: State): boolean {
  return resources.every((resource) => resource.attributes["adopted"] === true);
}

function asHaplanError(thrown: unknown): HaplanError {
  return thrown instanceof HaplanError
    ? thrown
    : new HaplanError("apply/step-failed", errorText(thrown), { cause: thrown });
}

/** Counts resources as Terraform does: a replaced one is one added and one destroyed. */
export function summarize(plan: Plan): ApplySummary {
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
