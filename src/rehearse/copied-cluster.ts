/** The description of a copy: the present cluster and the one that the plan makes of it, at the copy's addresses. Pure. */
import type { ObservedMembership } from "../plan/observed-cluster.ts";
import { specName } from "../plan/resource.ts";
import type { State } from "../plan/state.ts";
import type { ClusterSpec, MasterSpec } from "../spec/cluster-spec.ts";
import { clientPortOf, hostPort } from "../units/addresses.ts";
import { adoptedUrl, CopyAddresses, copiedPort, copiedSpec } from "./copied-spec.ts";

/** A member that haplan has not started: the copy starts it itself. */
export type OutsideMember = {
  readonly name: string;
  readonly address: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
};

export type CopiedCluster = {
  readonly name: string;
  readonly engine: ClusterSpec["controlPlane"]["engine"];
  readonly etcdBinary: string;
  readonly electionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly tls: boolean;
  /** The spec of the present cluster; null while haplan has made none of its members. */
  readonly before: string | null;
  readonly after: string;
  readonly outside: readonly OutsideMember[];
  /** Names of the present voters. */
  readonly present: readonly string[];
  /** The present leader; null if it is unknown. */
  readonly leader: string | null;
  /** Names of present members whose process, or whose whole machine, is gone. */
  readonly ended: readonly { readonly name: string; readonly machineGone: boolean }[];
  /** All masters of both specs, each with its addresses in the copy. */
  readonly members: ReadonlyMap<string, readonly string[]>;
  readonly peerPorts: readonly number[];
  /** Where clients write: the load balancer of the present cluster, or its members where it has none. */
  readonly endpoints: readonly string[];
  /** Client URLs of the present members. */
  readonly memberUrls: readonly WatchedUrl[];
};

export type WatchedUrl = { readonly name: string; readonly clientUrls: readonly string[] };

export type CopyRequest = {
  /** The spec that the plan applies. */
  readonly spec: ClusterSpec;
  /** The last applied spec; null if nothing was applied. */
  readonly applied: ClusterSpec | null;
  readonly state: State | null;
  readonly membership: ObservedMembership | null;
  /** Machines that were observed. */
  readonly machines: readonly string[];
  readonly network: string;
  readonly cwd: string;
};

/** Null if there is no cluster: a plan that creates one has no clients. */
export function describeCopy(request: CopyRequest): CopiedCluster | null {
  const { spec, applied, network, cwd } = request;
  const names = presentNames(request);
  const base = applied ?? spec;
  const present = base.controlPlane.masters.filter(({ name }) => names.has(name));
  if (present.length === 0) return null;
  const addresses = new CopyAddresses(network);
  const outside = present.filter((master) => master.adoptedAt !== undefined);
  const isMadeByHaplan = present.length > outside.length || applied !== null;
  const options = { addresses, cwd };
  const copied = {
    before: isMadeByHaplan ? copiedSpec(base, { ...options, masters: present.map(({ name }) => name) }) : null,
    after: copiedSpec(spec, options),
  };
  const scheme = base.controlPlane.tls.enabled && outside.length === 0 ? "https" : "http";
  const clientUrl = (master: MasterSpec): string =>
    master.adoptedAt === undefined
      ? `${scheme}://${hostPort(addresses.master(master), copiedPort(clientPortOf(base, master)))}`
      : adoptedUrl(base, master, addresses);
  const { electionTimeoutMs, heartbeatIntervalMs, engine, etcd } = base.controlPlane;
  const memberUrls = present.map((master) => ({ name: master.name, clientUrls: [clientUrl(master)] }));
  const balancer = `${scheme}://${hostPort(addresses.loadBalancer(base.loadBalancer), copiedPort(base.loadBalancer.ports[0] ?? base.controlPlane.clientPort))}`;
  return {
    name: spec.name,
    engine,
    etcdBinary: etcd?.binary ?? "etcd",
    electionTimeoutMs,
    heartbeatIntervalMs,
    tls: scheme === "https",
    ...copied,
    outside: outside.map((master) => ({
      name: master.name,
      address: addresses.master(master),
      clientUrl: adoptedUrl(base, master, addresses),
      peerUrl: `http://${hostPort(addresses.master(master), copiedPort(base.controlPlane.peerPort))}`,
    })),
    present: present.map(({ name }) => name),
    leader: presentLeader(request, present),
    ended: endedMembers(request, present),
    members: memberAddresses([base, spec], addresses),
    peerPorts: [...new Set([base, spec].map(({ controlPlane }) => copiedPort(controlPlane.peerPort)))],
    endpoints: isMadeByHaplan ? [balancer] : memberUrls.flatMap(({ clientUrls }) => clientUrls),
    memberUrls,
  };
}

/** Masters that are members now: in the state, or adopted by the spec. */
function presentNames({ spec, applied, state, membership }: CopyRequest): ReadonlySet<string> {
  const recorded = (state?.resources ?? []).filter(({ type }) => type === "haplan_raft_member");
  const known = recorded
    .filter(({ attributes }) => isVoter(membership, attributes["memberId"]))
    .map(({ name }) => specName(name));
  const adopted = (applied ?? spec).controlPlane.masters.filter((master) => master.adoptedAt !== undefined);
  return new Set([...known, ...adopted.map(({ name }) => name)]);
}

function isVoter(membership: ObservedMembership | null, id: unknown): boolean {
  return membership === null || membership.members.some((member) => member.id === id && !member.learner);
}

function endedMembers(
  { state, membership, machines }: CopyRequest,
  present: readonly MasterSpec[],
): CopiedCluster["ended"] {
  if (membership === null || state === null) return [];
  return present.flatMap(({ name, adoptedAt }) => {
    const member = membership.members.find(({ id }) => id === memberIdIn(state, name));
    if (adoptedAt !== undefined || member === undefined || member.healthy) return [];
    return [{ name, machineGone: !machines.includes(name) }];
  });
}

function presentLeader({ state, membership }: CopyRequest, present: readonly MasterSpec[]): string | null {
  const leader = membership?.members.find((member) => member.leader);
  if (leader === undefined) return null;
  const isLeader = ({ name, adoptedAt }: MasterSpec): boolean =>
    adoptedAt === undefined
      ? memberIdIn(state, name) === leader.id
      : leader.clientUrls.includes(adoptedAt.replace(/\/$/, ""));
  return present.find(isLeader)?.name ?? null;
}

function memberIdIn(state: State | null, name: string): unknown {
  return state?.resources.find(({ address }) => address === `haplan_raft_member.${name}`)?.attributes["memberId"];
}

function memberAddresses(specs: readonly ClusterSpec[], addresses: CopyAddresses): CopiedCluster["members"] {
  const found = new Map<string, readonly string[]>();
  for (const master of specs.flatMap(({ controlPlane }) => controlPlane.masters)) {
    const known = found.get(master.name) ?? [];
    found.set(master.name, [...new Set([...known, addresses.master(master)])]);
  }
  return found;
}
