/**
 * Changes of resources as events of Terraform's stream (`apply_start`, `apply_progress`, `apply_complete`,
 * `apply_errored`): haplan runs steps, and a change lasts from the first step that touches its resource to the last
 * one.
 */
import type { ApplyEvent } from "../../../src/apply/apply-event.ts";
import type { Plan, ResourceChange } from "../../../src/plan/plan.ts";
import type { ResourceAddress } from "../../../src/plan/resource.ts";
import type { Step } from "../../../src/plan/step.ts";
import { actionWord, resourceOf } from "./apply-json.ts";
import type { UiLine } from "./ui-line.ts";

type Tracked = { readonly change: ResourceChange; left: number; startedAtMs: number | null };

export class ResourceEvents {
  readonly #tracked: ReadonlyMap<ResourceAddress, Tracked>;
  readonly #monotonicMs: () => number;

  constructor(plan: Plan, monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
    this.#tracked = new Map(
      plan.changes
        .filter(({ action }) => action !== "noop")
        .map((change) => {
          const left = plan.steps.filter(({ addresses }) => addresses.includes(change.address)).length;
          return [change.address, { change, left, startedAtMs: null }];
        }),
    );
  }

  /** The resource events that follow from `event`. */
  linesFor(event: ApplyEvent): readonly UiLine[] {
    switch (event.kind) {
      case "planned": {
        const done = new Set(event.alreadyDone);
        for (const step of event.steps) if (done.has(step.id)) for (const tracked of this.#of(step)) tracked.left -= 1;
        return [];
      }
      case "stepStarted":
        return this.#of(event.step).flatMap((tracked) => this.#start(tracked));
      case "stepProgress":
        return this.#of(event.step).map((tracked) => this.#line("apply_progress", "Still at it", tracked, true));
      case "stepCompleted":
        return this.#of(event.step).flatMap((tracked) => this.#complete(tracked, event.id));
      case "stepFailed":
        return this.#of(event.step).map((tracked) => this.#line("apply_errored", "Failed", tracked, true));
      default:
        return [];
    }
  }

  #of(step: Step): readonly Tracked[] {
    return step.addresses.map((address) => this.#tracked.get(address)).filter((tracked) => tracked !== undefined);
  }

  #start(tracked: Tracked): readonly UiLine[] {
    if (tracked.startedAtMs !== null) return [];
    tracked.startedAtMs = this.#monotonicMs();
    return [this.#line("apply_start", "Begun", tracked, false)];
  }

  #complete(tracked: Tracked, id: string | null): readonly UiLine[] {
    tracked.left -= 1;
    if (tracked.left > 0) return [];
    const line = this.#line("apply_complete", "Done", tracked, true);
    const hook = id === null ? line["hook"] : { ...(line["hook"] as object), id_key: "id", id_value: id };
    return [{ ...line, hook }];
  }

  #line(type: string, word: string, { change, startedAtMs }: Tracked, timed: boolean): UiLine {
    const action = actionWord(change);
    const elapsedMs = startedAtMs === null ? 0 : this.#monotonicMs() - startedAtMs;
    const time = timed ? { elapsed_seconds: Math.round(elapsedMs / 1000) } : {};
    const level = type === "apply_errored" ? { level: "error" as const } : {};
    return {
      type,
      ...level,
      message: `${change.address}: ${word}: ${action}`,
      hook: { resource: resourceOf(change), action, ...time },
    };
  }
}
