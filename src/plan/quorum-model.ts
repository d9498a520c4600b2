/**
 * The effect of each step on the quorum, as a model small enough to be checked over every combination. A member is a
 * voter of the incoming half, of the outgoing half, both, or neither; it is up or down. The model is pessimistic: a
 * member is up only after a step that waits for it.
 */

import { assertNever } from "../base/assert.ts";
import { majorityOf } from "../base/majority.ts";
import { formerTargetOf, type LoadBalancerTargets } from "../units/load-balancer-targets.ts";
import { balancerOf } from "../units/load-balancer-unit.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { QuorumRow } from "./plan.ts";
import type { MemberRef, StepAction } from "./step.ts";

export type ModelMember = {
  readonly key: string;
  readonly name: string;
  readonly up: boolean;
  /** `host:port` of its clients; absent if unknown. */
  readonly place?: string;
};

/** The load balancer's side of the model. */
export type EndpointModel = {
  /** The targets of each running load balancer, `host:port` by name. */
  readonly running: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** The address at which each master of the spec serves clients once a step has started it. */
  readonly wanted: ReadonlyMap<string, string>;
};

export type QuorumModel = {
  readonly members: readonly ModelMember[];
  readonly voters: readonly string[];
  /** Empty unless joint. */
  readonly votersOutgoing: readonly string[];
  /** Absent if only the quorum matters. */
  readonly endpoint?: EndpointModel;
};

/** Id of a known member; members that the plan adds are keyed by name. */
export function memberKey(member: MemberRef): string {
  return member.memberId === null || member.memberId === "" ? `new:${member.name}` : member.memberId;
}

export function modelOf(view: ClusterView, endpoint?: EndpointModel): QuorumModel {
  const served = endpoint === undefined ? {} : { endpoint };
  if (view.phase !== "formed") return withInitialMembers({ ...noMembers, ...served }, view.initialMembers);
  const facts = view.members;
  const key = (fact: { id: string; name: string }): string => memberKey({ name: fact.name, memberId: fact.id });
  return {
    // Without a leader no member passes a linearizable read; a member that answers at all is up and only lacks the
    // others.
    members: facts.map((fact) => ({
      key: key(fact),
      name: fact.name,
      up: view.hasLeader ? fact.healthy : fact.answers,
      ...(fact.clientPlace === null ? {} : { place: fact.clientPlace }),
    })),
    voters: facts.filter((fact) => fact.voter).map(key),
    votersOutgoing: view.votersOutgoing,
    ...served,
  };
}

const noMembers: QuorumModel = { members: [], voters: [], votersOutgoing: [] };

/**
 * The first member of a new cluster that starts knows all initial members, and they are voters from then on, running or
 * not.
 */
function withInitialMembers(model: QuorumModel, initialMembers: readonly string[]): QuorumModel {
  const missing = initialMembers.filter((name) => !model.members.some((member) => member.name === name));
  return missing.reduce((grown, name) => withMember(grown, { key: `new:${name}`, name, up: false }, true), model);
}

/** The model during a step (a restarting agent is down, a joint change counts both halves) and after it. */
export function simulateStep(model: QuorumModel, action: StepAction): { during: QuorumModel; after: QuorumModel } {
  switch (action.kind) {
    case "startAgent": {
      const initialMembers =
        action.join?.clusterState === "new" ? action.join.initialCluster.map(({ name }) => name) : [];
      return still(withPlace(withInitialMembers(model, initialMembers), action.member));
    }
    case "restartAgent":
    case "updateAgent":
    case "upgradeAgent":
      return still(withPlace(setUp(model, [action.member], false), action.member));
    case "stopAgent":
      return still(withoutAgent(model, action));
    // Its peers use the URL that it will listen on once it has restarted.
    case "updateMember":
      return still(setUp(model, [action.member], false));
    case "destroyMachine":
      return still(action.generation === undefined ? setUp(model, [action.machine], false) : model);
    case "awaitQuorum":
      return { during: model, after: setUp(model, action.members, true) };
    case "awaitCatchUp":
      return { during: model, after: setUp(model, [action.member], true, nonVoter(model)) };
    case "addLearner":
      return still(withMember(model, { key: `new:${action.member}`, name: action.member, up: false }, false));
    case "changeVoters": {
      const to = action.to.map(memberKey);
      if (action.manner === "direct") return still({ ...model, voters: to });
      return {
        during: { ...model, voters: to, votersOutgoing: action.from.map(memberKey) },
        after: { ...model, voters: to, votersOutgoing: [] },
      };
    }
    case "removeMember":
      return still({
        ...model,
        members: model.members.filter((member) => member.key !== action.memberId),
        voters: model.voters.filter((key) => key !== action.memberId),
      });
    case "startLoadBalancer":
    case "updateLoadBalancer":
      return still(withTargets(model, balancerOf(action), (wanted) => targetsOf(action, wanted)));
    case "stopLoadBalancer":
      return still(withTargets(model, balancerOf(action), () => null));
    case "createAuthority":
    case "renewAuthority":
    case "addAuthority":
    case "activateAuthority":
    case "dropAuthority":
    case "issueCertificate":
    case "createMachine":
    case "updateMachine":
    case "renameMaster":
    case "reloadAgent":
    case "checkMembers":
    case "takeSnapshot":
    case "saveSurvivor":
    case "restoreMember":
    case "moveLeader":
    case "startWorker":
    case "stopWorker":
    case "writeKubeadmConfig":
    case "removeKubeadmConfig":
    case "bootstrapNode":
    case "recordState":
    case "removeCertificate":
    case "removeAuthority":
      return still(model);
    default:
      return assertNever(action);
  }
}

function targetsOf(targets: LoadBalancerTargets, wanted: EndpointModel["wanted"]): ReadonlyMap<string, string> {
  return new Map(targets.backends.map((name) => [name, formerTargetOf(targets, name) ?? wanted.get(name) ?? ""]));
}

/** `targets` returns null for a load balancer that stops. */
function withTargets(
  model: QuorumModel,
  balancer: string,
  targets: (wanted: EndpointModel["wanted"]) => ReadonlyMap<string, string> | null,
): QuorumModel {
  const { endpoint } = model;
  if (endpoint === undefined) return model;
  const running = new Map(endpoint.running);
  const next = targets(endpoint.wanted);
  if (next === null) running.delete(balancer);
  else running.set(balancer, next);
  return { ...model, endpoint: { ...endpoint, running } };
}

/** From now on it serves at the address in the spec. Of two with one name it is the new one that was started. */
function withPlace(model: QuorumModel, name: string): QuorumModel {
  const place = model.endpoint?.wanted.get(name);
  if (place === undefined) return model;
  const named = model.members.filter((member) => member.name === name);
  const newMember = named.find(nonVoter(model)) ?? named[0];
  return { ...model, members: model.members.map((member) => (member === newMember ? { ...member, place } : member)) };
}

function still(model: QuorumModel): { during: QuorumModel; after: QuorumModel } {
  return { during: model, after: model };
}

const nonVoter =
  (model: QuorumModel) =>
  (member: ModelMember): boolean =>
    !model.voters.includes(member.key);

function withMember(model: QuorumModel, member: ModelMember, voter: boolean): QuorumModel {
  return {
    ...model,
    members: [...model.members, member],
    voters: voter ? [...model.voters, member.key] : model.voters,
  };
}

function setUp(
  model: QuorumModel,
  names: readonly string[],
  up: boolean,
  which: (member: ModelMember) => boolean = () => true,
): QuorumModel {
  return {
    ...model,
    members: model.members.map((member) => (names.includes(member.name) && which(member) ? { ...member, up } : member)),
  };
}

/** Of two of a name, the one that stops votes only if the step says so. */
function withoutAgent(
  model: QuorumModel,
  { member, generation, memberId }: Extract<StepAction, { readonly kind: "stopAgent" }>,
): QuorumModel {
  if (generation === undefined) return setUp(model, [member], false);
  return setUp(model, [member], false, ({ key }) => key === memberId);
}

/** How many more voters of one half may fail; negative if it has no majority already. */
function slack(model: QuorumModel, voters: readonly string[]): number {
  const up = new Set(model.members.filter((member) => member.up).map((member) => member.key));
  return voters.filter((key) => up.has(key)).length - majorityOf(voters.length);
}

/**
 * Tolerance of a configuration: the smaller one of both halves. Null without a working quorum, or without a cluster.
 */
export function canLose(model: QuorumModel): number | null {
  if (model.voters.length === 0) return null;
  const halves = [model.voters, ...(model.votersOutgoing.length > 0 ? [model.votersOutgoing] : [])];
  const least = Math.min(...halves.map((half) => slack(model, half)));
  return least < 0 ? null : least;
}

/** The load balancer's targets whose voter is up; of several the one with the fewest, since any of them may serve. */
function endpointRow({ endpoint, members, voters }: QuorumModel): Pick<QuorumRow, "endpoint"> {
  const serves = ([name, place]: readonly [string, string]): boolean =>
    members.some((each) => each.name === name && each.place === place && each.up && voters.includes(each.key));
  const [least] = [...(endpoint?.running.values() ?? [])]
    .map((targets) => ({ targets: targets.size, serving: [...targets].filter(serves).length }))
    .sort((a, b) => a.serving - b.serving);
  return least === undefined ? {} : { endpoint: least };
}

export function quorumRow(model: QuorumModel, afterStep: number | null, title: string): QuorumRow {
  const up = new Set(model.members.filter((member) => member.up).map((member) => member.key));
  const voting = new Set([...model.voters, ...model.votersOutgoing]);
  return {
    afterStep,
    title,
    voters: model.voters.length,
    votersOutgoing: model.votersOutgoing.length,
    learners: model.members.filter((member) => !voting.has(member.key)).length,
    healthyVoters: model.voters.filter((key) => up.has(key)).length,
    quorum: majorityOf(model.voters.length),
    canLose: canLose(model),
    ...endpointRow(model),
  };
}
