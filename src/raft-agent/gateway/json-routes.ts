/** Maps paths of the JSON gateway to gRPC methods (the `google.api.http` options of etcd's rpc.proto). */
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Auth, Cluster, KV, Lease, Maintenance, Watch } from "../api/gen/etcdserverpb/rpc_pb.ts";
import { Election } from "../api/gen/v3electionpb/v3election_pb.ts";
import { Lock } from "../api/gen/v3lockpb/v3lock_pb.ts";

/** Last parts of paths, by the method's name. Spaces separate several paths of one method. */
const declaredRoutes: readonly (readonly [DescService, string, Readonly<Record<string, string>>])[] = [
  [KV, "kv", { Range: "range", Put: "put", DeleteRange: "deleterange", Txn: "txn", Compact: "compaction" }],
  [Watch, "watch", { Watch: "" }],
  [
    Lease,
    "lease",
    {
      LeaseGrant: "grant",
      LeaseRevoke: "revoke",
      LeaseKeepAlive: "keepalive",
      LeaseTimeToLive: "timetolive",
      LeaseLeases: "leases",
    },
  ],
  [Lease, "kv/lease", { LeaseRevoke: "revoke", LeaseTimeToLive: "timetolive", LeaseLeases: "leases" }],
  [
    Cluster,
    "cluster/member",
    {
      MemberAdd: "add",
      MemberRemove: "remove",
      MemberUpdate: "update",
      MemberList: "list",
      MemberPromote: "promote",
    },
  ],
  [
    Maintenance,
    "maintenance",
    {
      Alarm: "alarm",
      Status: "status",
      Defragment: "defragment",
      Hash: "hash",
      HashKV: "hashkv",
      Snapshot: "snapshot",
      MoveLeader: "transfer-leadership",
      Downgrade: "downgrade",
    },
  ],
  [Auth, "auth", { AuthEnable: "enable", AuthDisable: "disable", AuthStatus: "status", Authenticate: "authenticate" }],
  [
    Auth,
    "auth/user",
    {
      UserAdd: "add",
      UserGet: "get",
      UserList: "list",
      UserDelete: "delete",
      UserChangePassword: "changepw",
      UserGrantRole: "grant",
      UserRevokeRole: "revoke",
    },
  ],
  [
    Auth,
    "auth/role",
    {
      RoleAdd: "add",
      RoleGet: "get",
      RoleList: "list",
      RoleDelete: "delete",
      RoleGrantPermission: "grant",
      RoleRevokePermission: "revoke",
    },
  ],
  [Lock, "lock", { Lock: "lock", Unlock: "unlock" }],
  [
    Election,
    "election",
    { Campaign: "campaign", Proclaim: "proclaim", Leader: "leader", Observe: "observe", Resign: "resign" },
  ],
];

/** gRPC method descriptions by gateway path, `/v3/kv/range` and so on. */
export function createJsonRoutes(): ReadonlyMap<string, DescMethod> {
  const routes = new Map<string, DescMethod>();
  for (const [service, directory, names] of declaredRoutes) {
    for (const [name, last] of Object.entries(names)) {
      const method = service.methods.find((one) => one.name === name);
      if (method === undefined) throw new Error(`${service.typeName} has no method ${name}`);
      routes.set(last === "" ? `/v3/${directory}` : `/v3/${directory}/${last}`, method);
    }
  }
  return routes;
}
