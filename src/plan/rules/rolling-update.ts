/**
 * Changes of running masters, one at a time and the leader last: new configuration or certificate in place, a new
 * address with a new member. Each has to be healthy again before the next one is changed.
 */

import { hasOtherSettings } from "../../units/agent-unit.ts";
import { agentUnitName } from "../../units/unit-definition.ts";
import { asRequested, type ChangeReason, newCertificate } from "../change-reason.ts";
import { generationOf, isUnreachable, unitOf } from "../cluster-view.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { ObservedUnit } from "../observed-cluster.ts";
import type { PlanBuilder } from "../plan-builder.ts";
import type { Planning } from "../planning.ts";
import { type ResourceAddress, resourceAddress } from "../resource.ts";
import type { MemberRef } from "../step.ts";
import {
  certificateSteps,
  isHandedCertificate,
  isRefusedByOthers,
  notePresented,
  takesUpCertificates,
} from "./agent-certificates.ts";
import { agentStart, awaitCaughtUp, awaitStarted } from "./agent-start.ts";
import { knownInitialCluster } from "./known-initial-cluster.ts";
import { isLeftOut, ownAddresses } from "./left-out-masters.ts";
import { createMachine } from "./machines.ts";
import { forcedBy, type KeptMaster, movesPeerUrl, whyRebuild } from "./masters.ts";
import { bestSuccessor, type MembershipResult, memberUpdate, planBackup, sortedByName } from "./membership.ts";
import { moveMember } from "./move-member.ts";
import { postpones } from "./postponed-updates.ts";
import { isRequested } from "./requested-replacements.ts";
import type { WithCertificates, WithMasters } from "./stages.ts";
import { stopsBeforeRemoval } from "./stop-before-removal.ts";
import { changedWhileStopped, planStoppedChange } from "./stopped-machines.ts";
import { configurationChanged, needsVersion, noteVersion, versionReason, whyUnitDiffers } from "./unit-condition.ts";

/**
 * Running masters with certificates that others reject get new ones before everything else: no member that starts,
 * comes back or joins could connect to them. The leader is last. Returns their names.
 */
export function planUrgentRenewals(planning: WithMasters): ReadonlySet<string> {
  const { desired, masterChanges, builder } = planning;
  const urgent = masterChanges.kept.filter(
    ({ kind, condition, name, voter }) =>
      kind === "keep" && condition === "healthy" && !voter.adopted && isRefusedByOthers(planning, name),
  );
  const renewed = new Set<string>();
  const restarting: string[] = [];
  for (const master of urgent.sort((a, b) => Number(a.voter.leader) - Number(b.voter.leader))) {
    const change = plannedChange(planning, agentOf(desired, master));
    if (change?.kind !== "reload" || memberUpdate(desired, master.voter) !== null) {
      restarting.push(master.name);
      continue;
    }
    updateInPlace(planning, master, change);
    renewed.add(master.name);
  }
  if (restarting.length > 1) refuseRestarts(restarting.sort(), builder);
  return renewed;
}

/** The first of them to restart could not connect to the others, and the plan would wait for it forever. */
function refuseRestarts(names: readonly string[], builder: PlanBuilder): void {
  builder.refuse(
    "plan/expired-and-changed",
    `The certificates of ${names.join(", ")} have to be renewed before these masters can restart`,
    "Others reject their certificates, so a restarted master could not connect to the rest; but their configuration or files change as well, which requires a restart. Renew first: apply the last applied spec, with the version of haplan that applied it. Then apply this one. If that is not possible, kill the agents' processes: apply then starts all of them at once, with an outage of some seconds.",
  );
}

export function planRollingUpdates(planning: WithMasters & { readonly membership: MembershipResult }): void {
  const { desired, view, masterChanges, membership, endpoint } = planning;
  let { leader, voters } = membership;
  // An unhealthy one costs no tolerance; the leader is last.
  const turn = ({ voter, condition }: KeptMaster): number =>
    voter.id === leader?.memberId ? 2 : condition === "healthy" ? 1 : 0;
  const own = masterChanges.kept.filter((master) => !master.voter.adopted).sort((a, b) => turn(a) - turn(b));
  const done = new Set<string>();
  for (const master of inOrderOfPlaces(planning, own)) {
    if (isUnreachable(view, master.name)) {
      endpoint.keep(master.name);
      continue;
    }
    const change = plannedChange(planning, agentOf(desired, master));
    const moves = memberUpdate(desired, master.voter) !== null;
    const stopped = master.kind === "keep" ? changedWhileStopped(planning, master.name) : [];
    if (!moves && !membership.started.has(master.name) && isLeftOut(planning, master)) {
      planning.builder.leaveAsRecorded(ownAddresses(master.name));
      endpoint.keep(master.name);
      continue;
    }
    const isAsWanted = (change === null && !moves) || membership.started.has(master.name);
    if (master.kind === "keep" && isAsWanted && stopped.length === 0) continue;
    const handsOver = (): void => {
      if (master.voter.id === leader?.memberId) leader = handOver(planning, master, done, leader, voters);
    };
    if (master.kind === "move") {
      const withdraw = (): void => {
        endpoint.withdraw([master.name]);
        handsOver();
      };
      voters = moveMember(planning, master, voters, withdraw);
      endpoint.offer(master.name);
      done.add(master.name);
      continue;
    }
    const isAway = master.kind === "rebuild" || stopped.length > 0;
    const stops = isAway || change?.kind !== "reload" || moves;
    if (stops && waits(planning, master, { change, moves, stopped })) continue;
    if (stops) {
      // A member that moves is removed from the load balancer before it stops; a short restart is detected by the load
      // balancer.
      if (isAway || endpoint.isElsewhere(master.name)) endpoint.withdraw([master.voter.name]);
      else endpoint.flush();
      handsOver();
    }
    if (master.kind === "rebuild") {
      voters = rebuild(planning, master, voters);
      endpoint.offer(master.name);
      done.add(master.name);
      continue;
    }
    updateInPlace(planning, master, change, stopped);
    if (isAway) done.add(master.name);
    endpoint.offer(master.name);
  }
  for (const master of masterChanges.kept) endpoint.offer(master.name);
  endpoint.flush();
}

type NeededChanges = {
  readonly change: AgentChange | null;
  /** Its peer URL changes. */
  readonly moves: boolean;
  /** Attributes of its machine. */
  readonly stopped: readonly string[];
};

/** Whether the changes of a master that stops are postponed. */
function waits(
  planning: WithMasters & { readonly membership: MembershipResult },
  master: KeptMaster,
  { change, moves, stopped }: NeededChanges,
): boolean {
  const { spec, view, membership, endpoint } = planning;
  const { name, kind } = master;
  const wanted = spec.controlPlane.masters.find((each) => each.name === name)?.address;
  // Another master may come to its address in this plan.
  if (view.machines.get(name)?.address !== wanted) return false;
  const [member, agent, machine] = ownAddresses(name);
  // One that this plan starts gets all but the changes of its machine.
  const isStarted = membership.started.has(name);
  const restarts = !isStarted && kind === "keep";
  const changes = [
    ...(kind === "rebuild" || (restarts && moves) ? [member] : []),
    ...(kind === "rebuild" || (restarts && change !== null) ? [agent] : []),
    ...(kind === "rebuild" || stopped.length > 0 ? [machine] : []),
  ];
  if (!postpones(planning, master, { changes, keeps: isStarted ? [] : [member, agent, machine] })) return false;
  if (!isStarted) endpoint.keep(name);
  return true;
}

function agentOf(desired: readonly DesiredResource[], { name }: KeptMaster): DesiredResource {
  return desired.find(({ address }) => address === resourceAddress("haplan_agent", name))!;
}

/**
 * The peers get the member's new URL first; it listens there once it has restarted. `stopped`: attributes of its machine that
 * change meanwhile.
 */
function updateInPlace(
  planning: WithCertificates,
  master: KeptMaster,
  change: AgentChange | null,
  stopped: readonly string[] = [],
): void {
  const { desired, certificates, builder } = planning;
  const { name } = master;
  const update = memberUpdate(desired, master.voter);
  if (update !== null) builder.chain(update, []);
  const agent = resourceAddress("haplan_agent", name);
  if (change !== null) builder.setAction(agent, "update", change.reason);
  if (stopped.length > 0) {
    const isNew = change !== null && change.kind !== "restart";
    planStoppedChange(planning, { name, changed: stopped, start: isNew ? "updateAgent" : "restartAgent" });
  } else if (change !== null) {
    if (change.kind === "restart") builder.chain({ kind: "stopAgent", member: name }, [agent]);
    builder.chain(agentStart(planning, name, stepKinds[change.kind]), [agent], certificateSteps(name, certificates));
  }
  builder.chain(awaitStarted(planning, [name]), movedMember(planning, master));
}

/** With another version, each is an upgrade. */
const stepKinds = {
  update: "updateAgent",
  upgrade: "updateAgent",
  reload: "reloadAgent",
  restart: "restartAgent",
} as const;

/** The member as a resource, if restarting its agent changes its known attributes. */
function movedMember({ desired, view, builder }: Planning, { name, voter }: KeptMaster): readonly ResourceAddress[] {
  const address = resourceAddress("haplan_raft_member", name);
  const resource = desired.find((candidate) => candidate.address === address)!;
  const known = view.resources.get(resource.address)?.attributes;
  const differs = (url: string): boolean => known !== undefined && known[url] !== resource.attributes[url];
  const peers = movesPeerUrl(resource, voter) || differs("peerUrl");
  if (!peers && !differs("clientUrl")) return [];
  builder.setAction(resource.address, "update", `its ${peers ? "peer" : "client"} URL has changed`);
  return [resource.address];
}

/**
 * `update`: the unit is written again and restarted if needed; `reload`: only its certificate changes, which it reloads
 * while it runs; `restart`: it has the right files but does not use them; `upgrade`: it is started with another version of
 * haplan, which can be undone.
 */
type AgentChange = { readonly kind: "update" | "upgrade" | "reload" | "restart"; readonly reason: ChangeReason };

function plannedChange(planning: WithCertificates, resource: DesiredResource): AgentChange | null {
  const needed = neededChange(planning, resource);
  if (!isRequested(planning, resource.address)) return needed;
  // A restart loads everything else that is new.
  return needed?.kind === "upgrade" ? { ...needed, reason: asRequested } : { kind: "restart", reason: asRequested };
}

function neededChange(planning: WithCertificates, resource: DesiredResource): AgentChange | null {
  const { view, certificates, builder } = planning;
  const known = view.resources.get(resource.address)?.attributes;
  const found = unitOf(view.machines.get(resource.name), agentUnitName);
  if (needsVersion(resource, known, found)) {
    noteVersion(resource.address, known?.["artifact"], found?.artifact, builder);
    return { kind: "upgrade", reason: versionReason(resource, known, found) };
  }
  const differs =
    known === undefined ? whyImportedDiffers(planning, resource, found) : whyUnitDiffers(resource, known, found);
  if (isHandedCertificate(resource.name, certificates)) {
    const isSame = differs === null && knownInitialCluster(planning, resource.name) !== null;
    const restarts = !isSame || !takesUpCertificates(planning.spec, builder);
    return { kind: restarts ? "update" : "reload", reason: differs ?? newCertificate };
  }
  if (differs !== null) return { kind: "update", reason: differs };
  const shown = notePresented(planning, resource);
  return shown === null ? null : { kind: "restart", reason: shown };
}

/** The state does not say with which settings it was started: its unit does. */
function whyImportedDiffers(
  { spec }: Planning,
  { name }: DesiredResource,
  found: ObservedUnit | undefined,
): string | null {
  const started = found?.arguments;
  return started !== undefined && hasOtherSettings(spec, name, started) ? configurationChanged : null;
}

/** A member that moves to the address of another one waits until that one has moved. */
function inOrderOfPlaces(planning: Planning, masters: readonly KeptMaster[]): readonly KeptMaster[] {
  const { view } = planning;
  const { masters: wanted } = planning.spec.controlPlane;
  const waiting = [...masters];
  const ordered: KeptMaster[] = [];
  while (waiting.length > 0) {
    const free = waiting.findIndex(({ kind, name, voter }) => {
      const address = wanted.find((master) => master.name === name)?.address;
      const holds = (other: KeptMaster): boolean =>
        other.voter !== voter && view.machines.get(other.voter.name)?.address === address;
      return kind === "keep" || !waiting.some(holds);
    });
    // Cycles have been refused before.
    ordered.push(...waiting.splice(Math.max(free, 0), 1));
  }
  return ordered;
}

/** To a member that stays if there is one, or that has already been rebuilt. */
function handOver(
  { masterChanges, builder }: WithMasters,
  master: KeptMaster,
  done: ReadonlySet<string>,
  leader: MemberRef,
  voters: readonly MemberRef[],
): MemberRef | null {
  const others = masterChanges.kept.filter((candidate) => candidate !== master);
  const settled = others.filter(({ kind, name }) => kind === "keep" || done.has(name));
  const successor = bestSuccessor(settled) ?? bestSuccessor(others);
  const names = successor === null ? [] : [successor.name, successor.voter.name];
  const to =
    voters.find(({ name }) => names.includes(name)) ?? voters.find(({ memberId }) => memberId !== leader.memberId);
  if (to === undefined) return null;
  builder.chain({ kind: "moveLeader", from: leader, to }, []);
  return to;
}

/** Another member at the same address, of the same name or another one: the old one stops first. */
function rebuild(planning: WithCertificates, master: KeptMaster, voters: readonly MemberRef[]): readonly MemberRef[] {
  const { desired, view, certificates, builder } = planning;
  const { name, voter } = master;
  const [member, agent, machine] = ownAddresses(name);
  const [oldMember, oldAgent, oldMachine] = ownAddresses(voter.name);
  const resource = desired.find((candidate) => candidate.address === member)!;
  planRebuild(planning, resource, master);
  const stepwise = planning.spec.controlPlane.engine === "etcd";
  planBackup(planning);
  // A real etcd accepts no new member while one is down: the old one is removed before.
  const remove = { kind: "removeMember", member: voter.name, memberId: voter.id } as const;
  const removed = voter.name === name ? [] : [oldMember];
  const stopsFirst = stopsBeforeRemoval(planning, voter);
  if (stepwise && !stopsFirst) builder.chain(remove, removed);
  builder.chain({ kind: "stopAgent", member: voter.name }, [oldAgent]);
  if (stopsFirst) builder.chain(remove, removed);
  builder.chain({ kind: "destroyMachine", machine: voter.name }, [oldMachine]);
  const machineResource = desired.find((candidate) => candidate.address === machine)!;
  builder.chain(createMachine(machineResource, generationOf(view, name) + 1), [machine]);
  builder.chain({ kind: "addLearner", member: name, peerUrl: String(resource.attributes["peerUrl"]) }, [member]);
  builder.chain({ kind: "startAgent", member: name, join: null }, [agent], [certificates.get(name) ?? null]);
  builder.chain(awaitCaughtUp(planning, name, null), [member]);
  const others = voters.filter((each) => each.memberId !== voter.id);
  const to = sortedByName([...others, { name, memberId: null }]);
  const from = stepwise ? others : voters;
  builder.chain({ kind: "changeVoters", manner: stepwise ? "direct" : "joint", from, to }, [member]);
  if (!stepwise) builder.chain(remove, removed);
  return to;
}

function planRebuild(planning: Planning, resource: DesiredResource, { name, voter }: KeptMaster): void {
  const { view, builder } = planning;
  if (voter.name !== name) {
    for (const address of ownAddresses(name)) builder.setAction(address, "create", `it replaces ${voter.name}`);
    for (const address of ownAddresses(voter.name)) builder.setAction(address, "delete", `${name} replaces it`);
    builder.warn(
      "plan/renamed-master",
      `${name} replaces ${voter.name}, which has the same address`,
      `${voter.name} is destroyed with its data, and ${name} is a new member that catches up from the others. If only the name has changed, write \`moved: [{ from: ${voter.name}, to: ${name} }]\` beside \`masters\` in the spec: then the machine, its data and the member's id are kept.`,
    );
    return;
  }
  const reason = whyRebuild(planning, resource, voter);
  const wanted = planning.spec.controlPlane.masters.find((master) => master.name === name)?.address;
  const moves = view.machines.get(name)?.address !== wanted;
  const forced = moves ? ["address"] : forcedBy(planning, name);
  const forces = forced.length === 0 ? undefined : forced;
  for (const address of [...ownAddresses(name)].reverse())
    builder.setAction(address, "deleteThenCreate", reason, forces);
}
