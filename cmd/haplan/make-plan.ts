/** Looks, then plans: the first half of `plan`, `apply` and `destroy`. */
import type { ObservedCluster } from "../../src/plan/observed-cluster.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { planChanges } from "../../src/plan/planner.ts";
import type { PlannerInput } from "../../src/plan/planner-input.ts";
import { rememberedObservation } from "../../src/plan/remembered-observation.ts";
import type { State } from "../../src/plan/state.ts";
import type { CliContext } from "./cli-context.ts";
import { RefusalError } from "./refusal.ts";
import { observeSession, type Session, sessionState } from "./session.ts";
import { refreshLines } from "./views/apply-json.ts";

export type PlanWishes = {
  readonly mode: Plan["mode"];
  /** Addresses of masters to replace although nothing asks for it. */
  readonly replace?: readonly string[];
  /** Addresses of resources to plan for; nothing plans for all. */
  readonly target?: readonly string[];
  readonly refreshOnly?: boolean;
  /** False takes the state's word for the world. */
  readonly refresh?: boolean;
};

/** @throws RefusalError when there is no plan that is safe */
export async function makePlan(context: CliContext, session: Session, wishes: PlanWishes): Promise<Plan> {
  const input = await plannerInput(context, session, wishes);
  const result = planChanges(input);
  if (result.refusal !== undefined) throw new RefusalError(result.refusal);
  return result.plan;
}

async function refresh(context: CliContext, session: Session, state: State | null): Promise<ObservedCluster> {
  const { reporter } = context;
  const resources = state?.resources ?? [];
  for (const line of refreshLines("refresh_start", resources)) reporter.event(line);
  const observed = await observeSession(context, session, state);
  for (const line of refreshLines("refresh_complete", resources)) reporter.event(line);
  return observed;
}

/** Everything a plan depends on, as it is now. */
export async function plannerInput(context: CliContext, session: Session, wishes: PlanWishes): Promise<PlannerInput> {
  const state = await sessionState(context, session);
  const observed =
    wishes.refresh === false ? rememberedObservation(session.spec, state) : await refresh(context, session, state);
  return {
    spec: session.spec,
    specDigest: session.specDigest,
    state,
    observed,
    mode: wishes.mode,
    haplanVersion: context.version,
    nowMs: context.clock.now(),
    replace: wishes.replace ?? [],
    target: wishes.target ?? [],
    refreshOnly: wishes.refreshOnly ?? false,
  };
}
