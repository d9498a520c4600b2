/** haplan's connection to the members: one channel to each, requests to whichever answers. */

import { systemClock } from "../base/clock.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import type { ObservedMembership } from "../plan/observed-cluster.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import { type Refusal, refusedFor } from "./access-refusal.ts";
import { changeVoters } from "./change-voters.ts";
import type { ConnectControlPlane, ProbeListener, SnapshotSource } from "./control-plane.ts";
import { requireAccess } from "./login.ts";
import { isLearnerRefusal, type MemberPool } from "./member-pool.ts";
import { cheapestForSnapshot, isLeader, membershipFrom } from "./observe-membership.ts";
import { type OpenedMembers, openMembers } from "./open-members.ts";

const changeTimeoutMs = 10_000;
const pollMs = 100;
/** The write probe should measure the cluster, not this client. */
const writePauseMs = 10;
/** No member answered: this reports members that reject the call. */
const refusalTimeoutMs = 250;
const snapshotTimeoutMs = 600_000;

/** Connects to each member on its first call. */
export const connectControlPlane: ConnectControlPlane = (request) => {
  const members = openMembers(request);
  const { pool } = members;
  return {
    observe: (onProbe) => observe(members, onProbe),
    addLearner: (request) => addLearner(pool, request.peerUrl),
    learnerLag: (memberId) => learnerLag(pool, memberId),
    changeVoters: ({ from, to }) => changeVoters(pool, from, to),
    removeMember: (memberId) => removeFromCluster(pool, memberId),
    updateMember: ({ memberId, peerUrl }) => updatePeerUrl(pool, memberId, peerUrl),
    moveLeader: (memberId) => moveLeader(pool, memberId),
    snapshot: (onSource) => snapshotOf(pool, onSource),
    put: (key, value, timeoutMs, repeats = true) =>
      pool.tryEach((client) => client.put(key, value).then(() => {}), timeoutMs, {
        mayRepeat: (error) => repeats && isUnprocessed(error),
        pauseMs: writePauseMs,
        // A write that may have been processed is not retried: the client waits for it.
        attemptTimeoutMs: timeoutMs,
      }),
    close: () => members.close(),
  };
};

async function observe({ pool, login }: OpenedMembers, onProbe?: ProbeListener): Promise<ObservedMembership | null> {
  const account = (await login?.account().catch(rethrowRefused)) ?? null;
  const answers = await pool.probeAll(onProbe);
  const refusals = answers.length > 0 ? answers.map((answer) => answer.refused) : [await refusalOf(pool)];
  requireAccess(refusals, login, account);
  const membership = membershipFrom(answers);
  return membership === null || account === null ? membership : { ...membership, user: account };
}

/** haplan's agents report nothing without a user. */
function refusalOf(pool: MemberPool): Promise<Refusal> {
  return pool.tryEach((client) => client.maintenance.status(), refusalTimeoutMs).then(() => null, refusedFor);
}

/** Without a majority no user can log in; a missing user is not the problem. */
function rethrowRefused(error: unknown): null {
  if (error instanceof HaplanError && error.code === "control-plane/login-refused") throw error;
  return null;
}

async function addLearner(pool: MemberPool, peerUrl: string): Promise<{ readonly memberId: string }> {
  const present = await learnerWith(pool, peerUrl);
  if (present !== null) return { memberId: present };
  try {
    return { memberId: await pool.tryEach((client) => client.cluster.addLearner(peerUrl), changeTimeoutMs) };
  } catch (error) {
    // A lost response leaves a learner behind: it is the requested one.
    const added = await learnerWith(pool, peerUrl);
    if (added !== null) return { memberId: added };
    throw failed(`add a learner with peer URL ${peerUrl}`, error);
  }
}

async function learnerWith(pool: MemberPool, peerUrl: string): Promise<string | null> {
  const membership = membershipFrom(await pool.probeAll());
  const learner = membership?.members.find((member) => member.learner && member.peerUrls.includes(peerUrl));
  return learner?.id ?? null;
}

async function learnerLag(pool: MemberPool, memberId: string): Promise<number | null> {
  const answers = await pool.probeAll();
  const learner = answers.find((answer) => answer.status.memberId === memberId);
  const leader = answers.find((answer) => answer.status.leader === answer.status.memberId);
  if (learner === undefined || leader === undefined || !learner.serializableRead) return null;
  return Math.max(0, leader.status.raftIndex - learner.status.raftAppliedIndex);
}

async function removeFromCluster(pool: MemberPool, memberId: string): Promise<void> {
  try {
    await pool.tryEach((client) => client.cluster.removeMember(memberId), changeTimeoutMs);
  } catch (error) {
    const membership = membershipFrom(await pool.probeAll());
    const gone = membership?.members.every((member) => member.id !== memberId);
    if (gone !== true) throw failed(`remove member ${memberId}`, error);
  }
}

async function updatePeerUrl(pool: MemberPool, memberId: string, peerUrl: string): Promise<void> {
  const isThere = async (): Promise<boolean> => {
    const members = membershipFrom(await pool.probeAll())?.members ?? [];
    return members.some(({ id, peerUrls }) => id === memberId && peerUrls.join() === peerUrl);
  };
  if (await isThere()) return;
  try {
    await pool.tryEach((client) => client.cluster.updateMember(memberId, [peerUrl]), changeTimeoutMs);
  } catch (error) {
    if (!(await isThere())) throw failed(`give member ${memberId} the peer URL ${peerUrl}`, error);
  }
}

/** Reading the whole database is work, and the leader is busy enough. */
async function* snapshotOf(
  pool: MemberPool,
  onSource: (source: SnapshotSource) => void = () => {},
): AsyncGenerator<Uint8Array> {
  const member = cheapestForSnapshot(await pool.probeAll());
  if (member === null) throw new HaplanError("control-plane/no-endpoint", "No member answers for a snapshot");
  const { status, listing, endpoint } = member;
  const name = listing.members.find(({ id }) => id === status.memberId)?.name ?? "";
  onSource({ name, endpoint, leads: isLeader(member), clusterId: listing.clusterId });
  try {
    yield* pool.client(member.endpoint).within(snapshotTimeoutMs).maintenance.snapshot();
  } catch (error) {
    if (!(error instanceof GrpcError) || error.code !== StatusCode.unimplemented) throw error;
    throw new HaplanError("control-plane/no-snapshot", `The members cannot send a snapshot: ${errorText(error)}`);
  }
}

async function moveLeader(pool: MemberPool, memberId: string): Promise<void> {
  const deadline = performance.now() + changeTimeoutMs;
  let reason: unknown = new Error("no member leads");
  while (performance.now() < deadline) {
    const answers = await pool.probeAll();
    const leader = answers.find((answer) => answer.status.leader === answer.status.memberId);
    if (leader?.status.memberId === memberId) return;
    if (leader !== undefined) {
      const leftMs = Math.max(1, deadline - performance.now());
      const { maintenance } = pool.client(leader.endpoint).within(leftMs);
      await maintenance.moveLeader(memberId).catch((error: unknown) => (reason = error));
    }
    await systemClock.sleep(pollMs);
  }
  throw failed(`move the leader to member ${memberId}`, reason);
}

/** Errors after which etcd's own client retries a write, which no member has processed, and that voters may accept. */
function isUnprocessed(error: unknown): boolean {
  return isLearnerRefusal(error) || (error instanceof GrpcError && error.notProcessed);
}

function failed(action: string, cause: unknown): HaplanError {
  return new HaplanError("control-plane/failed", `Cannot ${action}: ${errorText(cause)}`, { cause });
}
