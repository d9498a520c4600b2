/** An example request for each method: one that distinguishes permitted from other callers. */
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { PermissionSchema } from "../../src/raft-agent/api/gen/authpb/auth_pb.ts";
import * as rpc from "../../src/raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { encodeHaplan, haplanMethods } from "../../src/raft-agent/api/haplan-messages.ts";
import { encodeLeaseKeepAliveRequest } from "../../src/raft-agent/api/lease-keep-alive.ts";
import type { GuardedMember } from "./guarded-member.ts";

/** A lease with a key that no role grants. */
export const secretLease = 77n;
/** Users beside root; `spare` may be deleted. */
export const plainUser = "plain";
export const spareUser = "spare";

/** `method` as in the tables, for example `KV/Put`; a method without an example gets an empty message. */
export function exampleRequest(member: GuardedMember, method: string, condition: string): Uint8Array {
  const example = examples[`${method} ${condition}`] ?? examples[method];
  return example === undefined ? new Uint8Array(0) : example(member);
}

const text = (value: string): Buffer => Buffer.from(value);

function message<Schema extends DescMessage>(schema: Schema, fields: MessageInitShape<Schema>): () => Uint8Array {
  return () => toBinary(schema, create(schema, fields));
}

/** No role grants it. */
const key = text("secret");
const permission = create(PermissionSchema, { permType: 2, key });
const put = { request: { case: "requestPut", value: { key } } } as const;

const examples: Readonly<Record<string, (member: GuardedMember) => Uint8Array>> = {
  "KV/Range": message(rpc.RangeRequestSchema, { key }),
  "KV/Put": message(rpc.PutRequestSchema, { key }),
  "KV/DeleteRange": message(rpc.DeleteRangeRequestSchema, { key }),
  "KV/Txn": message(rpc.TxnRequestSchema, { success: [put] }),
  "Lease/LeaseGrant": message(rpc.LeaseGrantRequestSchema, { TTL: 600n }),
  "Maintenance/Alarm to raise or disarm": message(rpc.AlarmRequestSchema, { action: 2, alarm: 1 }),
  "Auth/Authenticate": message(rpc.AuthenticateRequestSchema, { name: plainUser, password: "wrong" }),
  "Auth/UserGet": message(rpc.AuthUserGetRequestSchema, { name: "root" }),
  "Auth/RoleGet": message(rpc.AuthRoleGetRequestSchema, { role: "root" }),
  "Auth/UserAdd": message(rpc.AuthUserAddRequestSchema, { name: "new", options: { noPassword: true } }),
  "Auth/UserChangePassword": message(rpc.AuthUserChangePasswordRequestSchema, { name: spareUser, password: "other" }),
  "Auth/UserGrantRole": message(rpc.AuthUserGrantRoleRequestSchema, { user: spareUser, role: "root" }),
  "Auth/UserRevokeRole": message(rpc.AuthUserRevokeRoleRequestSchema, { name: spareUser, role: "root" }),
  "Auth/UserDelete": message(rpc.AuthUserDeleteRequestSchema, { name: spareUser }),
  "Auth/RoleAdd": message(rpc.AuthRoleAddRequestSchema, { name: "new" }),
  "Auth/RoleGrantPermission": message(rpc.AuthRoleGrantPermissionRequestSchema, { name: "new", perm: permission }),
  "Auth/RoleRevokePermission": message(rpc.AuthRoleRevokePermissionRequestSchema, { role: "new", key }),
  "Auth/RoleDelete": message(rpc.AuthRoleDeleteRequestSchema, { role: "new" }),
  "Haplan/Facts with `hash`": message(haplanMethods.facts.input, { hash: true }),
  "Haplan/ChangeMembers": sameMembers,
  "Peer/Change": sameMembers,
  "Peer/LeaseRenew": () => encodeLeaseKeepAliveRequest({ id: secretLease }),
};

/** A change that changes nothing. */
function sameMembers({ ids }: GuardedMember): Uint8Array {
  return encodeHaplan(haplanMethods.changeMembers.input, { voters: [ids.m1], learners: [ids.m2, ids.m3] }, "protobuf");
}
