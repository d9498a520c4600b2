import { expect, it } from "vitest";
import type { ApplyEvent } from "../../../src/apply/apply-event.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { planChanges } from "../../../src/plan/planner.ts";
import { localModel } from "../../../src/providers/local/local-model.ts";
import { fixtureSpec, settledObservation } from "../../../test/support/planned-cluster.ts";
import { ResourceEvents } from "./resource-events.ts";

const spec = fixtureSpec(["m1", "m2", "m3"], { tls: false });
const nothing = { ...settledObservation(spec), machines: [], membership: null, backends: [], certificates: [] };
const plan = planChanges({
  spec,
  specDigest: "d",
  state: null,
  observed: { ...nothing, authority: null },
  provider: localModel,
  mode: "apply",
  haplanVersion: "1",
  nowMs: 0,
}).plan as Plan;
const address = "haplan_machine.m1";
const steps = plan.steps.filter(({ addresses }) => addresses.includes(address));
const planned = (alreadyDone: readonly string[]): ApplyEvent => ({
  kind: "planned",
  planId: plan.id,
  steps: plan.steps,
  alreadyDone,
});

const summary = (events: ResourceEvents, event: ApplyEvent): readonly unknown[] =>
  events
    .linesFor(event)
    .filter(({ hook }) => (hook as { resource: { addr: string } }).resource.addr === address)
    .map(({ type, level, hook }) => [type, level ?? "info", (hook as { elapsed_seconds?: number }).elapsed_seconds]);

it("times a change from its first step, and reports progress and failure of each resource of a step", () => {
  let now = 1_000;
  const events = new ResourceEvents(plan, () => now);
  expect(summary(events, planned([]))).toEqual([]);
  const [step] = steps;
  if (step === undefined) throw new Error("The plan has no step for this resource");
  expect(summary(events, { kind: "stepStarted", step })).toEqual([["apply_start", "info", undefined]]);
  now += 10_000;
  expect(summary(events, { kind: "stepProgress", step, elapsedMs: 10_000, detail: null })).toEqual([
    ["apply_progress", "info", 10],
  ]);
  now += 2_000;
  const failed = { kind: "stepFailed", step, elapsedMs: 12_000, code: "c", message: "m", detail: null } as const;
  expect(summary(events, failed)).toEqual([["apply_errored", "error", 12]]);
});

it("starts nothing again that an interrupted apply has completed", () => {
  const events = new ResourceEvents(plan, () => 0);
  events.linesFor(planned(steps.map(({ id }) => id)));
  const begun = plan.steps
    .filter((step) => !steps.includes(step))
    .flatMap((step) => summary(events, { kind: "stepStarted", step }));
  expect(begun).toEqual([]);
});
