/** Calls to a cluster that is copied, or to its copy: all are part of etcd's API, so either may be a real etcd. */
import { callMethod } from "../etcd-client/call-channel.ts";
import { freezeAlarmId } from "../raft-agent/api/freeze-alarm.ts";
import {
  AlarmRequest_AlarmAction,
  AlarmType,
  Auth,
  Lease,
  Maintenance,
} from "../raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import type { ClusterEnd } from "./cluster-end.ts";

const callTimeoutMs = 10_000;
/** Of one attempt, all of which may be repeated. */
const options = { timeoutMs: 3_000, idempotent: true };
/** The revision that a linearizable read finds: everything that was acknowledged before is part of it. */
export function currentRevision({ pool }: ClusterEnd): Promise<number> {
  return pool.tryEach(async (client) => {
    const { header } = await client.range(Buffer.from([0]), { limit: 1, keysOnly: true });
    return header?.revision ?? 0;
  }, callTimeoutMs);
}

/** From its answer on no change of a key or a lease is acknowledged. Does nothing if that is so already. */
export async function freeze(end: ClusterEnd): Promise<void> {
  await alarm(end, AlarmRequest_AlarmAction.ACTIVATE);
}

/** Ends `freeze`. */
export async function unfreeze(end: ClusterEnd): Promise<void> {
  await alarm(end, AlarmRequest_AlarmAction.DEACTIVATE);
}

export async function isFrozen(end: ClusterEnd): Promise<boolean> {
  return (await alarm(end, AlarmRequest_AlarmAction.GET)).some(
    ({ memberID, alarm: type }) => memberID === freezeAlarmId && type === AlarmType.CORRUPT,
  );
}

async function alarm(
  { pool }: ClusterEnd,
  action: AlarmRequest_AlarmAction,
): Promise<readonly { readonly memberID: bigint; readonly alarm: AlarmType }[]> {
  const request = { action, memberID: freezeAlarmId, alarm: AlarmType.CORRUPT };
  const { alarms } = await pool.tryEach(
    (client) => callMethod(client.grpc, Maintenance.method.alarm, request, options),
    callTimeoutMs,
  );
  return alarms;
}

/** All alarms, as `CORRUPT of member 8e9e05c52164694d`. */
export async function otherAlarms(end: ClusterEnd): Promise<readonly string[]> {
  const found = await alarm(end, AlarmRequest_AlarmAction.GET);
  return found
    .filter(({ memberID }) => memberID !== freezeAlarmId)
    .map(
      ({ memberID, alarm: type }) =>
        `${type === AlarmType.NOSPACE ? "NOSPACE" : "CORRUPT"} of member ${memberID.toString(16)}`,
    );
}

/** The ids of all leases. */
export function leaseIds({ pool }: ClusterEnd): Promise<readonly bigint[]> {
  return pool.tryEach(async (client) => {
    const { leases } = await callMethod(client.grpc, Lease.method.leaseLeases, {}, options);
    return leases.map(({ ID }) => ID);
  }, callTimeoutMs);
}

export type LeaseFacts = {
  readonly grantedSeconds: number;
  readonly remainingSeconds: number;
  readonly keys: readonly Uint8Array[];
};

/** Null if there is no such lease. */
export function leaseFacts({ pool }: ClusterEnd, id: bigint, keys = false): Promise<LeaseFacts | null> {
  return pool.tryEach(async (client) => {
    const request = { ID: id, keys };
    const found = await callMethod(client.grpc, Lease.method.leaseTimeToLive, request, options);
    if (found.TTL < 0n) return null;
    return { grantedSeconds: Number(found.grantedTTL), remainingSeconds: Number(found.TTL), keys: found.keys };
  }, callTimeoutMs);
}

export type KeyspaceHash = { readonly hash: number; readonly compactRevision: number };

/** The hash of all changes of keys up to `revision`, by the member at `endpoint`. */
export async function keyspaceHash({ pool }: ClusterEnd, endpoint: string, revision: number): Promise<KeyspaceHash> {
  const client = pool.client(endpoint);
  const request = { revision: BigInt(revision) };
  const ample = { timeoutMs: 60_000, idempotent: true };
  const { hash, compactRevision } = await callMethod(client.grpc, Maintenance.method.hashKV, request, ample);
  // Nothing is compacted: -1, or 0 before etcd 3.5.
  return { hash, compactRevision: Math.max(0, Number(compactRevision)) };
}

/** Everything of users and roles that a client can read; passwords are no part of it. */
export function usersAndRoles({ pool }: ClusterEnd): Promise<string> {
  return pool.tryEach(async (client) => {
    const { users } = await callMethod(client.grpc, Auth.method.userList, {}, options);
    const { roles } = await callMethod(client.grpc, Auth.method.roleList, {}, options);
    const granted: string[] = [];
    for (const name of [...users].sort()) {
      const user = await callMethod(client.grpc, Auth.method.userGet, { name }, options);
      granted.push(`user ${name}: ${[...user.roles].sort().join(" ")}`);
    }
    for (const role of [...roles].sort()) {
      const { perm } = await callMethod(client.grpc, Auth.method.roleGet, { role }, options);
      const shown = perm.map(({ permType, key, rangeEnd }) => `${permType} ${hex(key)} ${hex(rangeEnd)}`);
      granted.push(`role ${role}: ${shown.sort().join(", ")}`);
    }
    return granted.join("\n");
  }, callTimeoutMs);
}

/** Whether auth is enabled, and its revision, which every change of users and roles raises; null before etcd 3.5. */
export async function authState({ pool }: ClusterEnd): Promise<{ enabled: boolean; revision: number } | null> {
  try {
    return await pool.tryEach(async (client) => {
      const { enabled, authRevision } = await callMethod(client.grpc, Auth.method.authStatus, {}, options);
      return { enabled, revision: Number(authRevision) };
    }, callTimeoutMs);
  } catch (error) {
    if (isUnimplemented(error)) return null;
    throw error;
  }
}

function isUnimplemented(error: unknown): boolean {
  return error instanceof Error && /unknown method|unimplemented/i.test(error.message);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
