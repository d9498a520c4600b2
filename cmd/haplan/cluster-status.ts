/** Derives the result of `haplan status` from what was observed. Pure. */
import { appliedEndpoint } from "../../src/plan/applied-addresses.ts";
import { isAt, unitOf } from "../../src/plan/cluster-view.ts";
import {
  newestMachine,
  type ObservedCluster,
  type ObservedMachine,
  type ObservedMember,
  type ObservedMembership,
  whyUnreachable,
} from "../../src/plan/observed-cluster.ts";
import { specName } from "../../src/plan/resource.ts";
import type { State } from "../../src/plan/state.ts";
import type { LoadBalancerReport, VirtualAddressState } from "../../src/providers/load-balancer.ts";
import type { ClusterSpec, MasterSpec } from "../../src/spec/cluster-spec.ts";
import { faultToleranceOf, quorumOf } from "../../src/spec/quorum-table.ts";
import { clientUrl, clusterEndpoint, peerUrl } from "../../src/units/addresses.ts";
import { loadBalancerName } from "../../src/units/load-balancer-unit.ts";
import { agentUnitName, loadBalancerUnitName, workerUnitName } from "../../src/units/unit-definition.ts";
import { certificateStatus } from "./certificate-status.ts";
import type {
  ClusterStatus,
  InterruptedRestore,
  MemberRole,
  MemberStatus,
  PartState,
  SilentRole,
} from "./views/status-view.ts";

export type StatusInput = {
  readonly spec: ClusterSpec;
  readonly state: State | null;
  /** Why the state was not read; null if it was, or there is none. */
  readonly stateUnread?: string | null;
  readonly observed: ObservedCluster;
  readonly balancers: readonly {
    readonly name: string;
    /** Null if it has no status (HAProxy) or does not answer. */
    readonly report: LoadBalancerReport | null;
    readonly virtualAddress: VirtualAddressState;
  }[];
  /** Names of workers that report through the load balancer; null if that could not be read. */
  readonly reporting: ReadonlySet<string> | null;
  readonly interrupted: InterruptedRestore | null;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
};

export function clusterStatus(input: StatusInput): ClusterStatus {
  const { spec, observed } = input;
  const found = observed.membership?.members ?? [];
  const members = found.length > 0 ? found.map((member) => foundMember(input, member)) : membersInState(input);
  const learners = new Set(found.filter(({ learner }) => learner).map(({ id }) => id));
  const voting = members.filter(({ id }) => id === null || !learners.has(id));
  const healthyVoters = voting.filter(({ healthy }) => healthy).length;
  const quorum = quorumOf(voting.length);
  const canLose = healthyVoters >= quorum && quorum > 0 ? healthyVoters - quorum : null;
  return {
    cluster: spec.name,
    interrupted: input.interrupted,
    stateUnread: input.stateUnread ?? null,
    members: members.toSorted((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })),
    notMembers: mastersWithoutMember(spec, found),
    voters: voting.length,
    healthyVoters,
    quorum,
    faultTolerance: faultToleranceOf(voting.length),
    canLose,
    hasLeader: observed.membership?.hasLeader ?? false,
    notAuthenticated: whyNotAuthenticated(input),
    certificates: certificateStatus(input),
    loadBalancer: loadBalancerOf(input),
    workers: spec.workers.map(({ name, address }) => {
      // Without a quorum no lease expires, so existing reports prove nothing.
      const reporting = input.reporting === null || canLose === null ? null : input.reporting.has(name);
      return { name, address, ...partOn(observed, name, workerUnitName), reporting };
    }),
    unreachable: (observed.unreachable ?? []).map(({ name, reason }) => ({ name, reason })),
  };
}

/** Members that reject haplan's credentials, or that it cannot call, are not down. */
function whyNotAuthenticated({ state, observed }: StatusInput): string | null {
  const reported = observed.problems.find((problem) => problem.notAuthenticated)?.message;
  if (reported !== undefined) return reported;
  const { authority, membership, certificates } = observed;
  const uncalled = (observed.unreachable ?? []).filter((machine) => machine.uncalled === true);
  if (uncalled.length > 0 && !hasQuorumOfCalled(membership))
    return `cannot call ${uncalled.map(({ name }) => name).join(", ")}: ${uncalled[0]!.reason}`;
  const known = state?.resources.find(({ type }) => type === "haplan_ca")?.attributes["fingerprint"];
  if (membership !== null || authority === null || typeof known !== "string" || known === authority.fingerprint)
    return null;
  if (certificates.some(({ trusted }) => trusted)) return null;
  return `cannot authenticate: ca.crt in ${authority.directory} is not the authority that the members trust`;
}

/** Whether the members that haplan can call are a quorum by themselves. */
function hasQuorumOfCalled(membership: ObservedMembership | null): boolean {
  const voting = (membership?.members ?? []).filter(({ learner }) => !learner);
  return voting.length > 0 && voting.filter(({ healthy }) => healthy).length >= quorumOf(voting.length);
}

function foundMember(input: StatusInput, member: ObservedMember): MemberStatus {
  const { spec, observed } = input;
  const wanted = spec.controlPlane.masters.find((master) => isMemberOf(spec, member, master));
  const name = member.name !== "" ? member.name : (wanted?.name ?? "");
  const reachable = member.healthy || member.raftIndex !== null;
  const peer = member.peerUrls[0] ?? null;
  return {
    name,
    zone: zoneOf(spec, name),
    version: member.version ?? null,
    lag: lagOf(observed, member),
    alarms: member.alarms ?? [],
    id: member.id,
    role: reachable ? roleOf(member) : member.answersItsHost === true ? "unknown" : silentRole(input, name, peer),
    clientUrl: member.clientUrls[0] ?? (wanted === undefined ? null : clientUrl(spec, wanted)),
    peerUrl: peer,
    ...machineFacts(observed, name, peer),
    raftTerm: member.raftTerm,
    raftIndex: member.raftIndex,
    dbSizeBytes: member.dbSizeBytes,
    readLatencyMs: member.readLatencyMs === undefined ? null : Math.round(member.readLatencyMs * 10) / 10,
    healthy: member.healthy,
  };
}

/** Only where the members are known: one that was removed with `etcdctl`, or is in the spec and not applied yet. */
function mastersWithoutMember(spec: ClusterSpec, found: readonly ObservedMember[]): readonly string[] {
  if (found.length === 0) return [];
  return spec.controlPlane.masters
    .filter((master) => !found.some((member) => isMemberOf(spec, member, master)))
    .map(({ name }) => name);
}

function isMemberOf(spec: ClusterSpec, member: ObservedMember, master: MasterSpec): boolean {
  return master.name === member.name || member.peerUrls.includes(peerUrl(spec, master));
}

function zoneOf({ controlPlane }: ClusterSpec, name: string): string | null {
  return controlPlane.masters.find((master) => master.name === name)?.zone ?? null;
}

/** Log entries behind the leader; null if one of the two indexes is unknown. */
function lagOf({ membership }: ObservedCluster, { raftIndex }: ObservedMember): number | null {
  const leaderIndex = membership?.members.find(({ leader }) => leader)?.raftIndex ?? null;
  return leaderIndex === null || raftIndex === null ? null : Math.max(0, leaderIndex - raftIndex);
}

function roleOf(member: ObservedMember): MemberRole {
  if (member.learner) return "learner";
  return member.leader ? "leader" : "follower";
}

/** What observing finds neither there nor unreachable does not exist. Of an adopted member, haplan knows no machine. */
function silentRole({ spec, observed }: StatusInput, name: string, peer: string | null): SilentRole {
  const master = spec.controlPlane.masters.find((each) => each.name === name);
  const isOurs = master !== undefined && master.adoptedAt === undefined;
  if (!isOurs) return "unreachable";
  const machine = machineOf(observed, name, peer);
  if (machine !== undefined) return unitOf(machine, agentUnitName)?.running === true ? "unreachable" : "stopped";
  const isElsewhere = observed.machines.some((each) => each.name === name);
  return isElsewhere || whyMemberUnreachable(observed, name, peer) !== null ? "unreachable" : "absent";
}

/** The machine of a member: of two of one name, as exist while a master moves, the one at its address. */
function machineOf({ machines }: ObservedCluster, name: string, peer: string | null): ObservedMachine | undefined {
  if (peer === null) return newestMachine(machines, name);
  return machines.find((machine) => machine.name === name && isAt(peer, machine.address));
}

function machineFacts(
  observed: ObservedCluster,
  name: string,
  peer: string | null,
): Pick<MemberStatus, "pid" | "freeBytes" | "unreachable"> {
  const machine = machineOf(observed, name, peer);
  return {
    pid: unitOf(machine, agentUnitName)?.pid ?? null,
    freeBytes: machine?.freeBytes ?? null,
    unreachable: whyMemberUnreachable(observed, name, peer),
  };
}

/** The machine that another one has replaced is unreachable as `name@generation`. */
function whyMemberUnreachable(observed: ObservedCluster, name: string, peer: string | null): string | null {
  const { unreachable = [] } = observed;
  if (machineOf(observed, name, peer) !== undefined) return null;
  const replaced = unreachable.find((machine) => specName(machine.name) === name);
  return whyUnreachable(unreachable, name) ?? replaced?.reason ?? null;
}

/** If no member answers, the state still lists the members. */
function membersInState(input: StatusInput): readonly MemberStatus[] {
  const text = (value: unknown): string | null => (typeof value === "string" ? value : null);
  const { spec, state, observed } = input;
  const unauthenticated = whyNotAuthenticated(input) !== null;
  return (state?.resources ?? [])
    .filter(({ type }) => type === "haplan_raft_member")
    .map(({ name, attributes }) => ({
      name,
      ...machineFacts(observed, name, text(attributes["peerUrl"])),
      zone: zoneOf(spec, name),
      version: null,
      lag: null,
      alarms: [],
      id: text(attributes["memberId"]),
      role: unauthenticated ? "unknown" : silentRole(input, name, text(attributes["peerUrl"])),
      clientUrl: text(attributes["clientUrl"]),
      peerUrl: text(attributes["peerUrl"]),
      raftTerm: null,
      raftIndex: null,
      dbSizeBytes: null,
      readLatencyMs: null,
      healthy: false,
    }));
}

/** Exit code for probes: 4 if writes fail or the status is unknown, 2 if a voter is missing. */
export function statusExitCode(status: ClusterStatus): 0 | 2 | 4 {
  const { members, notMembers, canLose, healthyVoters, voters, hasLeader } = status;
  if (members.length === 0 || canLose === null || !hasLeader) return 4;
  return healthyVoters < voters || notMembers.length > 0 ? 2 : 0;
}

/** Of several, the one that has the virtual address counts, or else one that runs, or else one of which anything is known. */
function loadBalancerOf({ spec, state, observed, balancers }: StatusInput): ClusterStatus["loadBalancer"] {
  const hosts = balancers.map(({ name, report, virtualAddress }) => {
    return { name, report, virtualAddress, ...balancerPart(observed, name) };
  });
  const there = hosts.filter((host) => host.state !== "absent");
  const counts =
    there.find(({ virtualAddress }) => virtualAddress === "holder") ??
    there.find(({ running }) => running) ??
    there.find((host) => host.state === "stopped") ??
    there[0];
  if (counts === undefined) return null;
  const { running, unreachable, pid } = counts;
  const reported = counts.report?.backends.map(({ name, state: backend }) => ({ name, state: backend }));
  return {
    type: spec.loadBalancer.type,
    endpoint: appliedEndpoint(state) ?? clusterEndpoint(spec),
    running,
    state: counts.state,
    unreachable,
    pid,
    backends: reported ?? observed.backends.map(({ name }) => ({ name, state: "unknown" })),
    ...(spec.loadBalancer.hosts === undefined ? {} : { hosts: hosts.map(({ report: _, ...host }) => host) }),
  };
}

type Part = {
  readonly running: boolean;
  readonly state: PartState;
  readonly unreachable: string | null;
  readonly pid: number | null;
};

/** One of a cloud is unreachable under the name of a load balancer that has no other. */
function balancerPart(observed: ObservedCluster, name: string): Part {
  const { loadBalancer } = observed;
  if (loadBalancer === undefined) return partOn(observed, name, loadBalancerUnitName);
  const unreachable = whyUnreachable(observed.unreachable ?? [], loadBalancerName);
  if (unreachable !== null) return { running: false, state: "unreachable", unreachable, pid: null };
  const running = loadBalancer?.running === true;
  const state = running ? "running" : loadBalancer === null ? "absent" : "stopped";
  return { running, state, unreachable: null, pid: null };
}

/** What is known of a unit on a machine. */
function partOn(observed: ObservedCluster, name: string, unitName: string): Part {
  const unreachable = whyUnreachable(observed.unreachable ?? [], name);
  const machine = newestMachine(observed.machines, name);
  const unit = unitOf(machine, unitName);
  const running = unit?.running === true;
  const silent = unreachable !== null ? "unreachable" : machine === undefined ? "absent" : "stopped";
  return { running, state: running ? "running" : silent, unreachable, pid: unit?.pid ?? null };
}
