/**
 * Executes the steps of a plan: gate → journal intent → act and verify → journal done → state. Independent steps run in
 * parallel, membership changes one at a time.
 */
import { errorText, HaplanError } from "../base/haplan-error.ts";
import type { Plan } from "../plan/plan.ts";
import type { Step } from "../plan/step.ts";
import { traitsOf } from "../plan/step-traits.ts";
import { machineActedOn } from "../plan/unreachable-machines.ts";
import { type OpenedProbe, openWriteProbe } from "./open-write-probe.ts";
import type { ApplyPorts } from "./ports.ts";
import { isGated, passQuorumGate, tellMembership } from "./quorum-gate.ts";
import { runStep } from "./run-step.ts";
import { stateEdits } from "./state-edits.ts";
import type { StateKeeper } from "./state-keeper.ts";
import { Connection, type StepContext } from "./step-context.ts";
import type { WriteGapBudget } from "./write-gap-budget.ts";

export type PlanWalkOptions = {
  readonly plan: Plan;
  readonly ports: ApplyPorts;
  readonly keeper: StateKeeper;
  /** Ids of completed steps; the walk adds those that it completes. */
  readonly done: Set<string>;
  /** Ids of the steps that an earlier walk started. */
  readonly begun: ReadonlySet<string>;
  /** How many steps may run at once. */
  readonly parallelism: number;
  readonly progressIntervalMs: number;
  /** Aborted: no further step is started. */
  readonly signal: AbortSignal;
  /** Null: write gaps of any length are accepted. */
  readonly budget: WriteGapBudget | null;
};

export type StepFailure = { readonly step: Step; readonly error: HaplanError };

export class PlanWalk {
  readonly #plan: Plan;
  readonly #ports: ApplyPorts;
  readonly #options: PlanWalkOptions;
  readonly #connection: Connection;
  readonly #running = new Map<Step, Promise<void>>();
  #probe: OpenedProbe | null = null;
  #failure: StepFailure | null = null;
  #fatal: unknown = null;

  constructor(options: PlanWalkOptions) {
    const { plan, ports, keeper } = options;
    this.#plan = plan;
    this.#ports = ports;
    this.#options = options;
    this.#connection = new Connection(plan, ports, keeper);
  }

  /**
   * Runs as far as possible; resolves once no step is running, with the first failure if there was one.
   * @throws errors of the state store or the journal
   */
  async run(): Promise<StepFailure | null> {
    try {
      await this.#walkMeasured();
    } finally {
      this.#connection.close();
    }
    if (this.#fatal !== null) throw this.#fatal;
    return this.#failure;
  }

  async #walkMeasured(): Promise<void> {
    if (!this.#isMeasured()) return await this.#walk();
    const { budget } = this.#options;
    this.#probe = await openWriteProbe({ ...this.#options, connection: this.#connection });
    if (budget !== null && this.#probe === null) throw unmeasured();
    budget?.onSpent((spent) =>
      this.#ports.emit({ kind: "writeGapSpent", ...spent, running: [...this.#running.keys()] }),
    );
    try {
      await this.#walk();
    } finally {
      const availability = (await this.#probe?.stop()) ?? null;
      if (availability !== null) budget?.note(availability.longestGapMs);
      const budgetSpent = (budget?.spent ?? null) !== null;
      this.#ports.emit({ kind: "writeAvailability", availability, budgetSpent });
    }
  }

  /**
   * The probe writes: a cluster without changes is left alone, and one that does not exist yet, or no longer at the
   * end, has no writers. One that did not answer when the plan was made is measured all the same.
   */
  #isMeasured(): boolean {
    const { plan, done, keeper } = this.#options;
    if (plan.mode === "destroy" || plan.steps.every((step) => done.has(step.id))) return false;
    const known = keeper.state.resources.some((resource) => resource.type === "haplan_raft_member");
    return known || plan.binding.membership !== null;
  }

  async #walk(): Promise<void> {
    const waiting = this.#plan.steps.filter((step) => !this.#options.done.has(step.id));
    for (;;) {
      while (this.#mayStart() && this.#running.size < this.#options.parallelism) {
        const position = waiting.findIndex((step) => this.#isFree(step));
        if (position === -1) break;
        const step = waiting.splice(position, 1)[0]!;
        this.#running.set(
          step,
          this.#execute(step).finally(() => this.#running.delete(step)),
        );
      }
      if (this.#running.size === 0) return;
      await Promise.race(this.#running.values());
    }
  }

  #mayStart(): boolean {
    const { signal, budget } = this.#options;
    return this.#failure === null && this.#fatal === null && !signal.aborted && (budget?.spent ?? null) === null;
  }

  #isFree(step: Step): boolean {
    if (!step.after.every((id) => this.#options.done.has(id)) || !this.#hasMachineFree(step)) return false;
    if (!this.#isSerial(step)) return true;
    return ![...this.#running.keys()].some((other) => this.#isSerial(other));
  }

  #isSerial(step: Step): boolean {
    return traitsOf(step.action).needsQuorum || isGated(this.#plan, step);
  }

  /** A step that would only wait for a free slot of the provider is not started. */
  #hasMachineFree({ action }: Step): boolean {
    if (machineActedOn(action) === null) return true;
    const busy = [...this.#running.keys()].filter((other) => machineActedOn(other.action) !== null);
    return busy.length < this.#ports.provider.limits.machinesAtOnce;
  }

  async #execute(step: Step): Promise<void> {
    const { clock, journal, emit } = this.#ports;
    const started = clock.monotonicMs();
    const progress = new AbortController();
    let detail: string | null = null;
    const context: StepContext = {
      // Addresses that earlier steps have made known.
      plan: { ...this.#plan, spec: this.#options.keeper.spec },
      ports: { ...this.#ports, clock: this.#options.budget?.limit(clock) ?? clock },
      patientClock: clock,
      keeper: this.#options.keeper,
      connection: this.#connection,
      signal: this.#options.signal,
      detail: (text) => {
        detail = text;
      },
      warn: (message) => emit({ kind: "stepWarning", step, message }),
    };
    emit({ kind: "stepStarted", step });
    const stepEnded = this.#probe?.stepStarted(step);
    void this.#tellProgress(step, started, progress.signal, () => detail ?? this.#providerWait(step));
    try {
      await passQuorumGate(context, step);
      await journal.append({ planId: this.#plan.id, stepId: step.id, phase: "intent", action: step.action });
      const action = this.#options.keeper.resolved(step.action);
      const result = await runStep(context, action);
      await journal.append({ planId: this.#plan.id, stepId: step.id, phase: "done", result });
      await this.#options.keeper.apply(stateEdits(context.plan, { ...step, action }, result));
      this.#options.done.add(step.id);
      const id = result["memberId"] ?? result["pid"] ?? result["fingerprint"] ?? result["sha256"] ?? null;
      const adopted = this.#options.begun.has(step.id);
      const elapsedMs = clock.monotonicMs() - started;
      emit({ kind: "stepCompleted", step, elapsedMs, adopted, id: id === null ? null : String(id) });
      await this.#afterwards(context, step);
    } catch (thrown) {
      await this.#fail(step, thrown, clock.monotonicMs() - started);
    } finally {
      stepEnded?.();
      progress.abort();
    }
  }

  /** Follows a step without being part of it: nothing here can fail the apply. */
  async #afterwards(context: StepContext, step: Step): Promise<void> {
    await this.#probe?.stepDone(step.action).catch(() => undefined);
    if (traitsOf(step.action).needsQuorum) await tellMembership(context, step).catch(() => undefined);
  }

  async #fail(step: Step, thrown: unknown, elapsedMs: number): Promise<void> {
    const error = asHaplanError(thrown);
    this.#failure ??= { step, error };
    const interrupted = this.#options.signal.aborted;
    try {
      await this.#ports.journal.append({
        planId: this.#plan.id,
        stepId: step.id,
        phase: "failed",
        error: interrupted ? "interrupted" : error.message,
      });
    } catch (fatal) {
      this.#fatal ??= fatal;
    }
    const [message = "", ...rest] = error.message.split("\n");
    const detail = rest.length === 0 ? null : rest.join("\n");
    this.#ports.emit({
      kind: "stepFailed",
      step,
      elapsedMs,
      code: interrupted ? "apply/interrupted" : error.code,
      message: interrupted ? "interrupted" : message,
      detail,
    });
  }

  /** What the provider waits for on the machine or the load balancer of the step. */
  #providerWait({ action }: Step): string | null {
    const name = machineActedOn(action);
    return name === null ? null : (this.#ports.provider.waitsFor?.(name) ?? null);
  }

  async #tellProgress(step: Step, started: number, signal: AbortSignal, detail: () => string | null): Promise<void> {
    const { clock, emit } = this.#ports;
    for (;;) {
      try {
        await clock.sleep(this.#options.progressIntervalMs, signal);
      } catch {
        return;
      }
      emit({ kind: "stepProgress", step, elapsedMs: clock.monotonicMs() - started, detail: detail() });
    }
  }
}

/** A budget that is not watched would be worse than none. */
function unmeasured(): HaplanError {
  return new HaplanError(
    "apply/not-measured",
    "Write gaps cannot be measured here, so -max-write-gap cannot be kept. No step was begun. Apply without it, or look at haplan status",
  );
}

function asHaplanError(thrown: unknown): HaplanError {
  return thrown instanceof HaplanError
    ? thrown
    : new HaplanError("apply/step-failed", errorText(thrown), { cause: thrown });
}
