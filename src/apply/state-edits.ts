/**
 * The effect of a completed step on the state: a pure function of the step, its plan and the outputs in its journal
 * record. So a record whose state was not written is enough to write it later.
 */
import { assertNever } from "../base/assert.ts";
import type { Json } from "../base/json.ts";
import type { Plan } from "../plan/plan.ts";
import type { Attributes, ResourceAddress } from "../plan/resource.ts";
import { isDeposed, resourceAddress } from "../plan/resource.ts";
import type { MemberRef, Step, StepAction } from "../plan/step.ts";
import { clusterEndpoint } from "../units/addresses.ts";
import { type InitialCluster, isInitialCluster } from "../units/initial-cluster.ts";
import { formerTargetOf, type LoadBalancerTargets } from "../units/load-balancer-targets.ts";
import { loadBalancerConfigDigest } from "../units/load-balancer-unit.ts";

export type StateEdit =
  | {
      readonly kind: "upsert";
      readonly address: ResourceAddress;
      /** Added to the spec's attributes of the resource and to the known ones. */
      readonly attributes: Attributes;
      /** If absent, the generation of the machine of the same name. */
      readonly generation?: number;
    }
  | { readonly kind: "remove"; readonly address: ResourceAddress }
  /** Renames a master's resources. */
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  /** Keeps a master's resources of this generation as those of a machine whose name another one has now. */
  | { readonly kind: "depose"; readonly name: string; readonly generation: number }
  /** The deposed machine of this generation has its name again. */
  | { readonly kind: "reinstate"; readonly name: string; readonly generation: number }
  /** Keeps where a machine of this generation is, which another one replaces. */
  | { readonly kind: "abandon"; readonly name: string; readonly generation: number };

/** Outputs known only after the step. */
export type StepOutputs = { readonly [name: string]: Json };

/** Of a step that found nothing to do: what the state has stays. */
export const leftAlone: StepOutputs = { leftAlone: true };

export function stateEdits(plan: Plan, step: Step, facts: StepOutputs): readonly StateEdit[] {
  const { action, addresses } = step;
  if (facts["leftAlone"] === true) return [];
  const all = (): readonly StateEdit[] => addresses.map((address) => upsert(address, facts));
  switch (action.kind) {
    case "createAuthority":
    case "renewAuthority":
    case "activateAuthority":
    case "issueCertificate":
    case "startWorker":
    case "writeKubeadmConfig":
    case "bootstrapNode":
    case "updateMachine":
      return all();
    case "createMachine":
      return [...deposed(action), ...addresses.map((address) => upsertMachine(address, action.generation, facts))];
    case "startAgent":
    case "updateAgent":
    case "upgradeAgent":
    case "reloadAgent":
    case "restartAgent": {
      const { clusterState, initialCluster } = action.join ?? joinOf(facts);
      const members = initialCluster.map((member) => member.name).sort();
      const join: Attributes = { join: { clusterState, initialCluster } };
      const begun: Attributes = clusterState === "new" ? { initialMembers: members } : {};
      return addresses.map((address) => upsert(address, { ...facts, ...join, ...begun }));
    }
    case "awaitQuorum":
      return addresses.map((address) => upsert(address, factsOf(facts, address)));
    case "addLearner":
    case "awaitCatchUp":
      return addresses.map((address) => upsert(address, { ...facts, role: "learner" }));
    case "changeVoters":
      return votersEdits(action.from, action.to, addresses);
    case "renameMaster":
      return [{ kind: "rename", from: action.from, to: action.to }];
    case "startLoadBalancer":
    case "updateLoadBalancer":
      return addresses.map((address) => loadBalancerEdit(plan, action, address, facts));
    case "removeMember":
    case "stopAgent":
    case "stopWorker":
    case "removeKubeadmConfig":
    case "stopLoadBalancer":
    case "destroyMachine":
    case "removeCertificate":
    case "removeAuthority":
      return removals(plan, addresses);
    case "recordState":
      return [
        ...(action.reinstates ?? []).map((each): StateEdit => ({ kind: "reinstate", ...each })),
        ...addresses.map((address) => recorded(plan, address)),
      ];
    case "checkMembers":
      return addresses.map((address) => upsert(address, factsOf(facts, address)));
    // It gets its new URLs, in the state as well, once it has restarted with them.
    case "updateMember":
    // The authority that signs is the same.
    case "addAuthority":
    case "dropAuthority":
    case "takeSnapshot":
    case "saveSurvivor":
    // Its member gets its id once all have a quorum.
    case "restoreMember":
    case "moveLeader":
      return [];
    default:
      return assertNever(action);
  }
}

/** The initial cluster that a new member was started with; a journal of an earlier version does not have it. */
function joinOf({ join }: StepOutputs): InitialCluster {
  if (isInitialCluster(join)) return join;
  return { clusterState: "existing", initialCluster: [] };
}

function deposed({
  machine: name,
  deposes,
  abandons,
}: StepAction & { readonly kind: "createMachine" }): readonly StateEdit[] {
  return [
    ...(deposes === undefined ? [] : [{ kind: "depose", name, generation: deposes } as const]),
    ...(abandons === undefined ? [] : [{ kind: "abandon", name, generation: abandons } as const]),
  ];
}

function upsertMachine(address: ResourceAddress, generation: number, facts: StepOutputs): StateEdit {
  return { ...upsert(address, facts), generation };
}

function upsert(address: ResourceAddress, attributes: Attributes): StateEdit & { kind: "upsert" } {
  return { kind: "upsert", address, attributes };
}

/** An observed generation is a field of the resource, not an attribute. */
function recorded(plan: Plan, address: ResourceAddress): StateEdit {
  const after = plan.changes.find((change) => change.address === address)?.after ?? null;
  if (after === null) return { kind: "remove", address };
  const { generation, ...attributes } = after;
  return { ...upsert(address, attributes), ...(typeof generation === "number" ? { generation } : {}) };
}

/** Outputs of steps over several resources are kept by address. */
function factsOf(facts: StepOutputs, address: ResourceAddress): Attributes {
  const own = facts[address];
  return typeof own === "object" && own !== null && !Array.isArray(own) ? (own as Attributes) : {};
}

/** A resource that the plan wants afterwards is only replaced: its entry stays and keeps its generation. */
function removals(plan: Plan, addresses: readonly ResourceAddress[]): readonly StateEdit[] {
  const wanted = new Set(plan.changes.filter((change) => change.after !== null).map((change) => change.address));
  return addresses.filter((address) => !wanted.has(address)).map((address) => ({ kind: "remove", address }));
}

function votersEdits(
  from: readonly MemberRef[],
  to: readonly MemberRef[],
  addresses: readonly ResourceAddress[],
): readonly StateEdit[] {
  const votes = new Set(to.map((member) => resourceAddress("haplan_raft_member", member.name)));
  const voted = new Set(from.map((member) => resourceAddress("haplan_raft_member", member.name)));
  return addresses
    .filter((address) => votes.has(address) || voted.has(address) || isDeposed(address))
    .map((address) => upsert(address, { role: votes.has(address) ? "voter" : "learner" }));
}

/** Its client address, while that is not the one in the spec. */
function placeOf({ spec }: Plan, { listensAt }: LoadBalancerTargets): Attributes {
  if (listensAt === undefined) return {};
  const endpoint = clusterEndpoint({ ...spec, loadBalancer: { ...spec.loadBalancer, ...listensAt } });
  return { ...listensAt, endpoint };
}

/** During a plan the load balancer has other targets than at its end: the state records which. */
function loadBalancerEdit(
  plan: Plan,
  targets: LoadBalancerTargets,
  address: ResourceAddress,
  facts: StepOutputs,
): StateEdit {
  if (!address.startsWith("haplan_lb_backend.")) {
    const configDigest = loadBalancerConfigDigest(plan.spec, targets);
    return upsert(address, { ...facts, ...placeOf(plan, targets), configDigest });
  }
  const name = targets.backends.find((backend) => resourceAddress("haplan_lb_backend", backend) === address);
  if (name === undefined) return { kind: "remove", address };
  const former = formerTargetOf(targets, name);
  return upsert(address, former === undefined ? {} : { target: former });
}
