/**
 * Collects a plan from the rules: steps with their dependencies, actions on resources, drift, refusals. Membership
 * steps form one serial chain, whatever the parallelism: `chain` appends to it.
 */
import { assert } from "../base/assert.ts";
import type { CommandWords } from "../base/command-words.ts";
import type { Diagnostic } from "../base/diagnostic.ts";
import type { ChangeReason } from "./change-reason.ts";
import type { ObservedMachine, UnreachableMachine } from "./observed-cluster.ts";
import type { ChangeAction } from "./plan.ts";
import type { Attributes, ResourceAddress } from "./resource.ts";
import type { Step, StepAction } from "./step.ts";
import { stepId, stepTitle } from "./step-name.ts";
import { actsOnUnreachable, unchangedReason } from "./unreachable-machines.ts";

export type PlannedAction = {
  readonly action: ChangeAction;
  readonly reason: ChangeReason | null;
  /** Attributes that force replacement. */
  readonly forces?: readonly string[];
  /** Attributes of a resource changed in place whose values are known only after the change. */
  readonly renews?: readonly string[];
};

export type DriftNote = {
  readonly address: ResourceAddress;
  readonly action: "update" | "delete";
  readonly reason: string;
  readonly before: Attributes;
  readonly after: Attributes | null;
};

/** A change that waits for a later plan, since voters are down. */
export type Postponement = {
  /** The resources that it would change. */
  readonly addresses: readonly ResourceAddress[];
  /** Why its resources stay. */
  readonly reason: string;
  /** Names of the voters that are down. */
  readonly away: readonly string[];
  /** How many voters are healthy, and would be, as text. */
  readonly quorum: string;
};

export class PlanBuilder {
  /** Machines on which no step may act, but for a generation that was reached. */
  readonly #unreachable: readonly UnreachableMachine[];
  readonly #reached: readonly ObservedMachine[];
  readonly steps: Step[] = [];
  readonly actions: Map<ResourceAddress, PlannedAction> = new Map();
  readonly drift: DriftNote[] = [];
  readonly refusals: Diagnostic[] = [];
  readonly warnings: Diagnostic[] = [];
  readonly postponements: Postponement[] = [];
  /** Known values that are not in the spec: ids of observed members. */
  readonly facts: Map<ResourceAddress, Attributes> = new Map();
  readonly #ids = new Set<string>();
  readonly #asRecorded = new Set<ResourceAddress>();
  #lastSerialStep: string | null = null;
  #barrier: string | null = null;

  constructor(unreachable: readonly UnreachableMachine[] = [], reached: readonly ObservedMachine[] = []) {
    this.#unreachable = unreachable;
    this.#reached = reached;
  }

  /**
   * Adds a step and returns its id; null for a step on an unreachable machine, which is dropped. `after`: ids that
   * `add` or `chain` returned; null for what is already done.
   */
  add(
    action: StepAction,
    addresses: readonly ResourceAddress[],
    after: readonly (string | null)[] = [],
  ): string | null {
    if (actsOnUnreachable(action, { unreachable: this.#unreachable, reached: this.#reached })) return null;
    const wanted = stepId(action);
    let id = wanted;
    for (let copy = 2; this.#ids.has(id); copy += 1) id = `${wanted}~${copy}`;
    const known = [this.#barrier, ...after].filter((name): name is string => name !== null);
    for (const name of known) assert(this.#ids.has(name), `step ${id} waits for ${name}, which is no step of the plan`);
    this.#ids.add(id);
    this.steps.push({ id, title: stepTitle(action), action, addresses, after: [...new Set(known)] });
    return id;
  }

  /**
   * Removes what is on a machine: a step that destroys the machine does that as well; without one, `action` is added as a
   * step.
   */
  removeWithMachine(action: StepAction, address: ResourceAddress, machine: string): void {
    const at = this.steps.findIndex((step) => step.action.kind === "destroyMachine" && step.action.machine === machine);
    const step = this.steps[at];
    if (step === undefined) this.add(action, [address]);
    else this.steps[at] = { ...step, addresses: [...step.addresses, address] };
  }

  /** Adds a step behind the last one of the membership chain. */
  chain(
    action: StepAction,
    addresses: readonly ResourceAddress[],
    after: readonly (string | null)[] = [],
  ): string | null {
    const id = this.add(action, addresses, [this.#lastSerialStep, ...after]);
    this.#lastSerialStep = id ?? this.#lastSerialStep;
    return id;
  }

  /** Makes every later step wait for the current end of the membership chain. */
  addBarrier(): void {
    this.#barrier = this.#lastSerialStep;
  }

  /** Id of the last step of the membership chain so far. */
  get lastSerialStep(): string | null {
    return this.#lastSerialStep;
  }

  setAction(
    address: ResourceAddress,
    action: ChangeAction,
    reason: ChangeReason | null = null,
    forces?: readonly string[],
  ): void {
    const leftAlone = unchangedReason(this.#unreachable, address);
    if (leftAlone !== null) {
      this.actions.set(address, { action: "noop", reason: `unreachable: ${leftAlone}` });
      return;
    }
    this.actions.set(address, forces === undefined ? { action, reason } : { action, reason, forces });
  }

  /** An update after which the values of `renews` are others. */
  setRenewal(address: ResourceAddress, reason: ChangeReason, renews: readonly string[]): void {
    this.setAction(address, "update", reason);
    const decision = this.actions.get(address);
    if (decision?.action === "update") this.actions.set(address, { ...decision, renews });
  }

  /** Leaves the resources of a change as they are. */
  postpone(postponement: Postponement): void {
    this.postponements.push(postponement);
    const { addresses, reason } = postponement;
    for (const address of addresses) this.actions.set(address, { action: "noop", reason });
    this.leaveAsRecorded(addresses);
  }

  /** The spec's values of these resources are for a later plan, unless a step of this one changes them. */
  leaveAsRecorded(addresses: readonly ResourceAddress[]): void {
    for (const address of addresses) this.#asRecorded.add(address);
  }

  isLeftAsRecorded(address: ResourceAddress): boolean {
    return this.#asRecorded.has(address);
  }

  /** Why the resource changes, as planned so far. */
  reasonFor(address: ResourceAddress): ChangeReason | null {
    return this.actions.get(address)?.reason ?? null;
  }

  refuse(
    code: string,
    summary: string,
    detail: string,
    address?: string | null,
    commands: readonly CommandWords[] = [],
  ): void {
    const about = address === undefined || address === null ? {} : { address };
    const help = commands.length === 0 ? {} : { commands };
    this.refusals.push({ severity: "error", code, summary, detail, ...about, ...help });
  }

  warn(code: string, summary: string, detail: string, commands: readonly CommandWords[] = []): void {
    const help = commands.length === 0 ? {} : { commands };
    this.warnings.push({ severity: "warning", code, summary, detail, ...help });
  }
}
