/**
 * The identity of this member. The ids are computed once, from the initial cluster or by asking the existing members,
 * and stored in the log's metadata from then on: a restarted member keeps its identity, whatever its flags are.
 */
import { HaplanError } from "../../../base/haplan-error.ts";
import type { AgentConfig } from "../../config/agent-config.ts";
import { assertInitialCluster } from "../../config/initial-cluster.ts";
import type { MemberId } from "../../raft/entry.ts";
import { computeClusterId, computeMemberId } from "../../state-machine/member-id.ts";
import type { Member } from "../../state-machine/membership.ts";

export type MemberIdentity = {
  readonly memberId: MemberId;
  readonly clusterId: string;
  /** Bootstrapped the cluster, rather than joining it later. The name is that of the log metadata on disk. */
  readonly founder: boolean;
};

/** For the log's metadata. */
export function encodeIdentity(identity: MemberIdentity): Uint8Array {
  return Buffer.from(JSON.stringify(identity));
}

/** @throws HaplanError `agent/identity` when the log was not written by an agent. */
export function decodeIdentity(metadata: Uint8Array): MemberIdentity {
  try {
    const { memberId, clusterId, founder } = JSON.parse(Buffer.from(metadata).toString("utf8")) as MemberIdentity;
    if (/^[0-9a-f]{16}$/.test(memberId) && /^[0-9a-f]{16}$/.test(clusterId)) return { memberId, clusterId, founder };
  } catch {
    // Falls through to the error: whatever it is, it is not ours.
  }
  throw new HaplanError("agent/identity", "Cannot use the log: its metadata does not name a member and a cluster");
}

export type InitialCluster = {
  readonly identity: MemberIdentity;
  /** Every initial member, the same list on each of them. */
  readonly members: readonly Member[];
};

/**
 * What each initial member computes independently from the same --initial-cluster and --initial-cluster-token. @throws
 * SettingsError when they do not name this member
 */
export function bootstrapCluster(
  config: Pick<AgentConfig, "name" | "initialCluster" | "initialClusterToken" | "advertisePeerUrls">,
): InitialCluster {
  assertInitialCluster(config);
  const members = config.initialCluster.map(({ name, peerUrls }) => ({
    id: computeMemberId(peerUrls, config.initialClusterToken),
    name,
    peerUrls,
    clientUrls: [],
    learner: false,
  }));
  const self = members.find(({ name }) => name === config.name)!;
  const clusterId = computeClusterId(members.map(({ id }) => id));
  return {
    identity: { memberId: self.id, clusterId, founder: true },
    // Names are set through the log once a member has started, as in etcd.
    members: members.map((member) => ({ ...member, name: "" })),
  };
}

/** The cluster as described by its current members. */
export type RunningCluster = {
  readonly clusterId: string;
  readonly members: readonly Member[];
  /** Ids of clusters that it was rebuilt in place of; absent if there are none. */
  readonly replaces?: readonly string[];
};

/**
 * Finds this member, by its peer URLs, among those known to the cluster: it has to be added first. A joining member
 * has no log, so it is never one that has started before: that one may have voted, and voting again in the same term
 * could elect two leaders. @throws HaplanError `agent/not-added`
 */
export function joinCluster(config: Pick<AgentConfig, "advertisePeerUrls">, cluster: RunningCluster): MemberIdentity {
  const own = [...config.advertisePeerUrls].sort().join();
  const here = cluster.members.filter(({ peerUrls }) => [...peerUrls].sort().join() === own);
  const self = here.find(({ name }) => name === "");
  if (self === undefined) {
    const started = here[0];
    throw new HaplanError(
      "agent/not-added",
      started === undefined
        ? `Cannot join cluster ${cluster.clusterId}: it has no member with the peer URLs ${own}; add the member first`
        : `Cannot join cluster ${cluster.clusterId}: the member at ${own} has started before as "${started.name}"; remove it and add a new one`,
    );
  }
  return { memberId: self.id, clusterId: cluster.clusterId, founder: false };
}

/**
 * An initial member without a log either starts for the first time, or has lost its log and with it its votes: then
 * another live member knows it. etcd makes the same check (server/etcdserver/cluster_util.go, isMemberBootstrapped).
 * @throws HaplanError `agent/log-lost`
 */
export function assertFirstStart(identity: MemberIdentity, answers: readonly RunningCluster[]): void {
  const remembered = answers
    .filter(({ clusterId }) => clusterId === identity.clusterId)
    .flatMap(({ members }) => members)
    .find(({ id, name }) => id === identity.memberId && name !== "");
  if (remembered === undefined) return;
  throw new HaplanError(
    "agent/log-lost",
    `Cannot start as an initial member: member ${identity.memberId} ("${remembered.name}") of cluster ${identity.clusterId} has started before, but its log is gone; ` +
      "remove the member from the cluster and add it as a new one",
  );
}
