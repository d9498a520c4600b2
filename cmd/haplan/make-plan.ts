/** Refreshes, then plans: the first half of `plan`, `apply` and `destroy`. */

import { observationFromState } from "../../src/plan/observation-from-state.ts";
import type { ObservedCluster } from "../../src/plan/observed-cluster.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { planChanges } from "../../src/plan/planner.ts";
import type { PlannerInput } from "../../src/plan/planner-input.ts";
import type { RecoverRequest } from "../../src/plan/recover-request.ts";
import type { RestoreRequest } from "../../src/plan/restore-request.ts";
import { hasOtherStandIns } from "../../src/plan/stand-ins.ts";
import type { State } from "../../src/plan/state.ts";
import type { CliContext } from "./cli-context.ts";
import { refuseDuringMigration } from "./migrate/migration-record.ts";
import { refuseOtherPlace } from "./other-place.ts";
import { refuseDuringRestore } from "./pending-restore.ts";
import { RefusalError, refuse } from "./refusal.ts";
import { observeSession, type Session, sessionState } from "./session.ts";
import { refreshLines } from "./views/apply-json.ts";

export type PlanOptions = {
  readonly mode: Plan["mode"];
  /** Addresses of resources to replace even if nothing requires it. */
  readonly replace?: readonly string[];
  /** Addresses of resources to plan for; empty means all. */
  readonly target?: readonly string[];
  readonly refreshOnly?: boolean;
  /** Replace the certificate authority, or continue to. */
  readonly replaceAuthority?: boolean;
  /** No longer trust the authority that was replaced. */
  readonly dropAuthority?: boolean;
  /** Restore a backup. */
  readonly restore?: RestoreRequest;
  /** Recover from a lost quorum: compares the data of the survivors, which it reads for this. */
  readonly recover?: (input: PlannerInput) => Promise<RecoverRequest>;
  /** The migration itself plans. */
  readonly duringMigration?: boolean;
  /** False trusts the state instead of observing the cluster. */
  readonly refresh?: boolean;
  /** Throws RefusalError if no plan may be made of what was found. */
  readonly admit?: (input: PlannerInput) => void;
};

/** @throws RefusalError if there is no safe plan */
export async function makePlan(context: CliContext, session: Session, options: PlanOptions): Promise<Plan> {
  if (options.mode === "apply") await refuseDuringRestore(context, session);
  const ownPlan = options.duringMigration === true || options.restore?.follows !== undefined;
  if (!ownPlan) refuseDuringMigration(session, options.mode, (await sessionState(context, session)) !== null);
  const input = await plannerInput(context, session, options);
  options.admit?.(input);
  const recover = await options.recover?.(input);
  const result = planChanges(recover === undefined ? input : { ...input, recover });
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

/** All current inputs of a plan. */
export async function plannerInput(context: CliContext, session: Session, options: PlanOptions): Promise<PlannerInput> {
  const state = await sessionState(context, session);
  if (hasOtherStandIns(session.spec, state)) throw replacedMeanwhile();
  const observed =
    options.refresh === false ? observationFromState(session.spec, state) : await refresh(context, session, state);
  await refuseOtherPlace(context, session, state);
  return {
    spec: session.spec,
    specDigest: session.specDigest,
    state,
    observed,
    provider: session.provider.model,
    mode: options.mode,
    haplanVersion: context.version,
    // What is destroyed needs no programs, which may not even be there.
    artifact: options.mode === "destroy" ? null : await session.provider.artifact(context.stop.signal),
    nowMs: context.clock.now(),
    replace: options.replace ?? [],
    target: options.target ?? [],
    refreshOnly: options.refreshOnly ?? false,
    replaceAuthority: options.replaceAuthority ?? false,
    dropAuthority: options.dropAuthority ?? false,
    ...(options.restore === undefined ? {} : { restore: options.restore }),
  };
}

/** This run waited for the lock meanwhile, and would move the master back. */
function replacedMeanwhile(): RefusalError {
  return refuse(
    "plan/replaced-meanwhile",
    "haplan watch has put a spare host in the place of a master since this run began",
    "Run the same command again: it then knows where that master is.",
  );
}
