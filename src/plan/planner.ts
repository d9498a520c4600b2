/**
 * Makes a plan from spec, state and observed cluster. The rules are called one after the other, in the order of the
 * dependencies between their steps; each adds steps and actions to the builder. Steps that the guard rejects are no plan.
 */

import { canonicalDigest } from "../base/canonical-json.ts";
import type { Diagnostic } from "../base/diagnostic.ts";
import { type AddressOwner, unknownAddresses } from "../spec/address-reference.ts";
import { type ClusterView, readClusterView } from "./cluster-view.ts";
import { type DesiredResource, desiredResources } from "./desired-resources.ts";
import { foundResource } from "./found-resource.ts";
import { knownAddresses, resolveKnownAddresses } from "./known-addresses.ts";
import { type Moves, movesOf, noMoves, planMoves, renameObserved, withMoves } from "./moved-masters.ts";
import { afterAddressesAreKnown, afterFormerMachines, orderSteps } from "./order-steps.ts";
import type { Plan, PlanBinding } from "./plan.ts";
import { PlanBuilder } from "./plan-builder.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { Planning } from "./planning.ts";
import { guardQuorum } from "./quorum-guard.ts";
import { modelOf } from "./quorum-model.ts";
import type { ResourceAddress } from "./resource.ts";
import { driftChanges, resourceChanges } from "./resource-changes.ts";
import { hasAdopted, planAdoption } from "./rules/adoption/adoption.ts";
import { planTrust } from "./rules/authority-replacement.ts";
import { planCertificates } from "./rules/certificates.ts";
import { reviveBalancers, withRevived } from "./rules/dead-load-balancers.ts";
import { planDestroy } from "./rules/destroy.ts";
import { Endpoint, endpointModel } from "./rules/endpoint.ts";
import { planFirstStart } from "./rules/first-start.ts";
import { planKubernetes } from "./rules/kubernetes.ts";
import { planLeftovers } from "./rules/leftovers.ts";
import { planLoadBalancerFirst, planLoadBalancers } from "./rules/load-balancer.ts";
import { planMachineUpdates } from "./rules/machine-updates.ts";
import { keepMachinesOfVoters } from "./rules/machines-of-voters.ts";
import { classifyMasters, noteDrift, noteFoundVoters } from "./rules/masters.ts";
import { planMembership } from "./rules/membership.ts";
import { clearSpares } from "./rules/new-member-machine.ts";
import { clearAddresses } from "./rules/occupied-addresses.ts";
import { keepFormerAgents } from "./rules/orphans.ts";
import { noteOverrides } from "./rules/overrides.ts";
import { tellPostponed } from "./rules/postponed-updates.ts";
import { checkPreconditions } from "./rules/preconditions.ts";
import { decideRecovery } from "./rules/recover.ts";
import { replacementFault } from "./rules/replacement-request.ts";
import { checkFulfilled, checkRequests } from "./rules/requested-replacements.ts";
import { checkRestore, plannedRestore, planRestore } from "./rules/restore.ts";
import { planRollingUpdates, planUrgentRenewals } from "./rules/rolling-update.ts";
import { warnOfNoSpareVoter } from "./rules/spare-voters.ts";
import type { WithCertificates } from "./rules/stages.ts";
import { noteStandIns } from "./rules/stand-ins.ts";
import { installsPrograms, unreachableWarnings } from "./rules/unreachable.ts";
import { refuseWaitInVain } from "./rules/waits-in-vain.ts";
import { planWorkers } from "./rules/workers.ts";
import type { Step } from "./step.ts";
import { applyTargets, targetedChanges } from "./targeting.ts";
import { rememberUnreachable } from "./unreachable-machines.ts";

export type PlanResult =
  | { readonly plan: Plan; readonly refusal?: never }
  | { readonly plan?: never; readonly refusal: readonly Diagnostic[] };

/** Sorted steps, and everything that the rules have collected. */
export type Decision = {
  readonly view: ClusterView;
  readonly builder: PlanBuilder;
  readonly steps: readonly Step[];
  readonly timeline: Plan["timeline"];
  /** Empty if the steps may be taken. */
  readonly refusal: readonly Diagnostic[];
};

/** The core of planning; `desired` are the resources of the spec, none in destroy mode. */
export function decideSteps(
  input: PlannerInput,
  desired: readonly DesiredResource[],
  moves: Moves = noMoves,
): Decision {
  const view = readClusterView(input.spec, input.state, input.observed);
  const reached = input.observed.machines.filter(({ remembered }) => remembered !== true);
  const builder = new PlanBuilder(view.unreachable, reached);
  const planning: Planning = { ...input, desired, view, builder };
  checkPreconditions(planning);
  checkRequests(planning);
  if (input.restore !== undefined) checkRestore(planning, input.restore);
  if (builder.refusals.length > 0) return { view, builder, steps: [], timeline: [], refusal: builder.refusals };

  noteOverrides(planning);
  noteStandIns(planning);
  if (input.mode === "destroy") planDestroy(planning);
  else planApply(planning, moves);

  const chosen = afterAddressesAreKnown(applyTargets(planning, importable(planning)));
  const steps = orderSteps(afterFormerMachines(chosen, (machine) => view.machines.get(machine)?.address));
  // A refusal may be the reason that it is not replaced.
  if (builder.refusals.length === 0) checkFulfilled(planning, steps);
  if (builder.refusals.length === 0) tellPostponed(planning, steps);
  if (builder.refusals.length === 0) refuseWaitInVain(planning, steps);
  if (input.mode === "apply") keepMachinesOfVoters(planning, steps);
  keepFormerAgents(planning, steps);
  const guard = guardQuorum(modelOf(view, endpointModel(planning)), steps, {
    // Adopted members keep running, so their quorum must be kept as well. A restore replaces all members at once.
    destroying: (input.mode === "destroy" && !hasAdopted(input.spec)) || input.restore !== undefined,
    allowEvenSteps: input.spec.policy.allowEvenSteps || input.mode === "destroy",
  });
  if (guard.refusal === null) warnOfNoSpareVoter(planning, steps);
  else builder.refusals.push(withWayOut(guard.refusal, planning));
  return { view, builder, steps, timeline: guard.timeline, refusal: builder.refusals };
}

function planApply(planning: Planning, moves: Moves): void {
  planMoves(planning, moves);
  const createdFirst = planLoadBalancerFirst(planning);
  const certificates = planCertificates(planning);
  const restore = plannedRestore(planning);
  const revived = restore === null ? reviveBalancers(planning, certificates) : new Map<string, string>();
  const served = { ...planning, view: withRevived(planning.view, revived) };
  const certified = { ...served, certificates, endpoint: new Endpoint(served, certificates, revived) };
  if (restore !== null) planRestore(certified, restore);
  else if (planning.view.phase === "formed") planFormed(certified);
  else planFirstStart(certified);
  const loadBalancer = planLoadBalancers({ ...certified, createdFirst, revived });
  planWorkers({ ...certified, loadBalancer });
  planMachineUpdates(planning);
  planKubernetes({ ...certified, loadBalancer });
  planTrust(planning);
  planLeftovers(planning);
}

function planFormed(certified: WithCertificates): void {
  noteFoundVoters(certified);
  const masters = { ...certified, masterChanges: classifyMasters(certified) };
  noteDrift(masters);
  planAdoption(masters);
  clearSpares(masters);
  const cleared = clearAddresses(masters);
  masters.endpoint.offerThoseInPlace(masters.masterChanges.kept);
  const renewed = planUrgentRenewals(masters);
  const membership = planMembership({ ...masters, cleared });
  planRollingUpdates({
    ...masters,
    membership: { ...membership, started: new Set([...membership.started, ...renewed]) },
  });
}

/** An adopted member that is down counts as a voter: once it is removed, the others have a quorum to be removed by. */
function withWayOut(refusal: Diagnostic, { spec, mode, target = [], view }: Planning): Diagnostic {
  if (mode !== "destroy" || target.length > 0 || !hasAdopted(spec)) return refusal;
  const down = view.members.filter((member) => member.voter && member.adopted && !member.answers);
  if (down.length === 0) return refusal;
  const names = down.map(({ name }) => name).join(", ");
  const detail = `${refusal.detail} If ${names}, which ${down.length === 1 ? "was" : "were"} adopted, will not come back, remove ${down.length === 1 ? "it" : "them"} from the cluster first:`;
  return {
    ...refusal,
    detail,
    commands: [["destroy", ...down.map(({ name }) => `-target=haplan_raft_member.${name}`)]],
  };
}

function importable({ observed, desired, view, refreshOnly = false }: Planning): readonly ResourceAddress[] {
  if (!refreshOnly) return [];
  const unknown = desired.filter(({ address }) => !view.resources.has(address));
  return unknown.filter((resource) => foundResource(resource, observed, view) !== null).map(({ address }) => address);
}

/** Never throws because of its input: it returns everything that cannot be planned as diagnostics. */
export function planChanges(found: PlannerInput): PlanResult {
  const fault = replacementFault(found, planChanges);
  if (fault !== null) return { refusal: [fault] };
  const known = knownAddresses(found);
  const first = planResolved({ ...found, spec: resolveKnownAddresses(found.spec, known) });
  // A machine that is recreated may get another address than the one that the state remembers.
  const anew = new Set(unknownAddresses(found.spec).filter((owner) => makes(first, owner)));
  if (anew.size === 0) return first;
  return planResolved({ ...found, spec: resolveKnownAddresses(found.spec, known, anew) });
}

function makes({ plan }: PlanResult, owner: AddressOwner): boolean {
  const step = plan?.steps.find(({ action: { kind }, addresses }) => makers.has(kind) && addresses.includes(owner));
  return step !== undefined;
}

const makers: ReadonlySet<Step["action"]["kind"]> = new Set(["createMachine", "startLoadBalancer"]);

function planResolved(found: PlannerInput): PlanResult {
  const moves = movesOf(found);
  const renamed = renameObserved(found, moves.made);
  const decided = renamed.recover === undefined ? null : decideRecovery(renamed, renamed.recover);
  if (decided?.refusal !== undefined) return { refusal: decided.refusal };
  const input = rememberUnreachable(decided === null ? renamed : { ...renamed, restore: decided.restore });
  const desired =
    input.mode === "destroy"
      ? []
      : withAuthorityName(desiredResources(input.spec, input.provider, input.artifact), input);
  const { view, builder, steps, timeline, refusal } = decideSteps(input, desired, moves);
  if (refusal.length > 0) return { refusal };
  const restore = plannedRestore({ ...input, desired, view, builder });
  const plan: Omit<Plan, "id"> = {
    formatVersion: 1,
    mode: input.mode,
    ...(input.refreshOnly === true ? { refreshOnly: true } : {}),
    ...(restore === null ? {} : { restore }),
    spec: input.spec,
    binding: createBinding(input, view),
    changes: targetedChanges(input, withMoves(resourceChanges({ ...input, desired, view, builder }), moves), steps),
    drift: driftChanges(builder.drift),
    steps,
    timeline,
    warnings: builder.warnings,
  };
  return { plan: { ...plan, id: canonicalDigest(plan) } };
}

/** An authority that has replaced another one has a name of its own. */
function withAuthorityName(
  desired: readonly DesiredResource[],
  { observed: { authority } }: PlannerInput,
): readonly DesiredResource[] {
  if (authority === null || authority.commonName === "") return desired;
  const { commonName } = authority;
  return desired.map((resource) =>
    resource.type === "haplan_ca" ? { ...resource, attributes: { ...resource.attributes, commonName } } : resource,
  );
}

/**
 * The binding of a plan made from this input; also computed from the current input to see whether anything has changed.
 */
export function createBinding(input: PlannerInput, view: ClusterView): PlanBinding {
  const { membership } = input.observed;
  const ids = (learner: boolean): readonly string[] =>
    (membership?.members ?? [])
      .filter((member) => member.learner === learner)
      .map((member) => member.id)
      .sort();
  return {
    specDigest: input.specDigest,
    stateLineage: view.lineage,
    stateSerial: input.state?.serial ?? 0,
    haplanVersion: input.haplanVersion,
    ...((input.artifact ?? null) === null ? {} : { artifact: input.artifact! }),
    membership:
      membership === null
        ? null
        : {
            clusterId: membership.clusterId,
            voters: ids(false),
            learners: ids(true),
            configurationIndex: membership.configurationIndex ?? null,
          },
  };
}

/** The binding of a plan for this input, without planning. */
export function currentBinding(input: PlannerInput): PlanBinding {
  return createBinding(input, readClusterView(input.spec, input.state, input.observed));
}

/** Reports whether applying the plan would do anything. */
export function planHasChanges(plan: Plan): boolean {
  return plan.steps.length > 0;
}

/**
 * Reports whether there is anything to show: something to do, programs to install again, drift, or a machine that was not
 * reached and may have drifted. The result of `-detailed-exitcode`.
 */
export function planTellsChanges(plan: Plan): boolean {
  const isTold = plan.drift.length > 0 || installsPrograms(plan) || unreachableWarnings(plan).length > 0;
  return planHasChanges(plan) || isTold;
}
