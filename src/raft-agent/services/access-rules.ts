/**
 * What a call needs while authentication is on, apart from permissions on keys, which are checked where keys are touched.
 * etcd 3.4 leaves some of these open; ours follow etcd's later fixes (GHSA advisories on leases, alarms, compaction and
 * the member list): without a user a caller learns and changes nothing. Every method is listed: one that is not cannot be
 * served.
 */
import { assert } from "../../base/assert.ts";

/**
 * - `root`: a user with the role root.
 * - `user`: any user.
 * - `own`: the method checks by itself.
 * - `member`: only other members can ask for it, on the peer port.
 */
export type AccessLevel = "root" | "user" | "own" | "member";

const pathsByLevel: Readonly<Record<AccessLevel, readonly string[]>> = {
  root: [
    "/etcdserverpb.KV/Compact",
    "/etcdserverpb.Cluster/MemberAdd",
    "/etcdserverpb.Cluster/MemberRemove",
    "/etcdserverpb.Cluster/MemberUpdate",
    "/etcdserverpb.Cluster/MemberPromote",
    "/etcdserverpb.Maintenance/Defragment",
    "/etcdserverpb.Maintenance/Hash",
    "/etcdserverpb.Maintenance/HashKV",
    "/etcdserverpb.Maintenance/Snapshot",
    "/etcdserverpb.Maintenance/MoveLeader",
    "/etcdserverpb.Maintenance/Downgrade",
    "/haplan.v1.Haplan/ChangeMembers",
    "/haplan.v1.Haplan/Drain",
  ],
  user: [
    "/etcdserverpb.Lease/LeaseGrant",
    "/etcdserverpb.Lease/LeaseRevoke",
    "/etcdserverpb.Lease/LeaseKeepAlive",
    "/etcdserverpb.Lease/LeaseTimeToLive",
    "/etcdserverpb.Lease/LeaseLeases",
    "/etcdserverpb.Cluster/MemberList",
    "/etcdserverpb.Maintenance/Status",
    "/etcdserverpb.Maintenance/Alarm",
    "/haplan.v1.Haplan/Facts",
  ],
  own: [
    "/etcdserverpb.KV/Range",
    "/etcdserverpb.KV/RangeStream",
    "/etcdserverpb.KV/Put",
    "/etcdserverpb.KV/DeleteRange",
    "/etcdserverpb.KV/Txn",
    "/etcdserverpb.Watch/Watch",
    "/etcdserverpb.Auth/Authenticate",
    "/etcdserverpb.Auth/AuthStatus",
    "/etcdserverpb.Auth/AuthEnable",
    "/etcdserverpb.Auth/AuthDisable",
    "/etcdserverpb.Auth/UserGet",
    "/etcdserverpb.Auth/UserList",
    "/etcdserverpb.Auth/UserAdd",
    "/etcdserverpb.Auth/UserChangePassword",
    "/etcdserverpb.Auth/UserDelete",
    "/etcdserverpb.Auth/UserGrantRole",
    "/etcdserverpb.Auth/UserRevokeRole",
    "/etcdserverpb.Auth/RoleGet",
    "/etcdserverpb.Auth/RoleList",
    "/etcdserverpb.Auth/RoleAdd",
    "/etcdserverpb.Auth/RoleDelete",
    "/etcdserverpb.Auth/RoleGrantPermission",
    "/etcdserverpb.Auth/RoleRevokePermission",
    "/v3lockpb.Lock/Lock",
    "/v3lockpb.Lock/Unlock",
    "/v3electionpb.Election/Campaign",
    "/v3electionpb.Election/Proclaim",
    "/v3electionpb.Election/Leader",
    "/v3electionpb.Election/Observe",
    "/v3electionpb.Election/Resign",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
  ],
  member: ["/haplan.Peer/LeaseRenew", "/haplan.Peer/HashKv", "/haplan.Peer/ExpectState", "/haplan.Peer/CompareMembers"],
};

/** By path: what the method needs. */
export const accessLevels: ReadonlyMap<string, AccessLevel> = new Map(
  Object.entries(pathsByLevel).flatMap(([level, paths]) => paths.map((path) => [path, level as AccessLevel] as const)),
);

export function accessLevel(path: string): AccessLevel {
  const level = accessLevels.get(path);
  assert(level !== undefined, () => `no access rule says who may call ${path}`);
  return level;
}
