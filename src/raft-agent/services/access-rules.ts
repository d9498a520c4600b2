/**
 * What a call needs while authentication is on, apart from permissions on keys, which are checked where keys are touched.
 * etcd 3.4 leaves some of these open; ours follow etcd's later fixes (GHSA advisories on leases, alarms, compaction and
 * the member list): nobody without a user learns or changes anything.
 */

/** `user`: any user. `root`: a user with the role root. `own`: the method checks by itself. */
export type AccessLevel = "own" | "user" | "root";

const ROOT_ONLY: readonly string[] = [
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
];

const ANY_USER: readonly string[] = [
  "/etcdserverpb.Lease/LeaseGrant",
  "/etcdserverpb.Lease/LeaseRevoke",
  "/etcdserverpb.Lease/LeaseKeepAlive",
  "/etcdserverpb.Lease/LeaseTimeToLive",
  "/etcdserverpb.Lease/LeaseLeases",
  "/etcdserverpb.Cluster/MemberList",
  "/etcdserverpb.Maintenance/Status",
  "/etcdserverpb.Maintenance/Alarm",
  "/haplan.v1.Haplan/Facts",
];

const LEVELS: ReadonlyMap<string, AccessLevel> = new Map<string, AccessLevel>([
  ...ROOT_ONLY.map((path) => [path, "root"] as const),
  ...ANY_USER.map((path) => [path, "user"] as const),
]);

export function accessLevel(path: string): AccessLevel {
  return LEVELS.get(path) ?? "own";
}
