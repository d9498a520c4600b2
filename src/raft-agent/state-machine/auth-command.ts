/**
 * Changes of users and roles: etcd's request messages, with passwords replaced by their hashes, applied with etcd's
 * checks in etcd's order (server/auth/store.go).
 */
import { create, fromBinary } from "@bufbuild/protobuf";
import { type Permission, PermissionSchema, UserAddOptionsSchema } from "../api/gen/authpb/auth_pb.ts";
import {
  AuthRoleAddRequestSchema,
  AuthRoleDeleteRequestSchema,
  AuthRoleGrantPermissionRequestSchema,
  AuthRoleRevokePermissionRequestSchema,
  AuthUserAddRequestSchema,
  AuthUserChangePasswordRequestSchema,
  AuthUserDeleteRequestSchema,
  AuthUserGrantRoleRequestSchema,
  AuthUserRevokeRoleRequestSchema,
} from "../api/gen/etcdserverpb/rpc_pb.ts";
import { StatusCode } from "../api/status-code.ts";
import { bytesEqual, compareBytes } from "../mvcc/key-range.ts";
import { type AuthStore, rootName } from "./auth-store.ts";
import { CommandKind } from "./command.ts";
import { type EtcdError, EtcdErrors, etcdError } from "./etcd-error.ts";
import { isGrantable } from "./key-permissions.ts";

/** A name is a key of the store's metadata, whose keys are bounded. */
const nameBytesMax = 1_024;

/** The effect of a change on the members' tokens. */
export type AuthEvent =
  | { readonly kind: "login"; readonly user: string; readonly token: string }
  /** The user was deleted or has another password. */
  | { readonly kind: "userChanged"; readonly user: string }
  | { readonly kind: "disabled" };

/** The body of the `authenticate` command; the password stays on the member that has verified it. */
export type LoginBody = { readonly user: string; readonly tokenPrefix: string };

export function encodeLogin(body: LoginBody): Uint8Array {
  return Buffer.from(JSON.stringify(body));
}

/** The bytes come from `encodeLogin` of a member of the same cluster. */
export function decodeLogin(bytes: Uint8Array): LoginBody {
  return JSON.parse(Buffer.from(bytes).toString("utf8")) as LoginBody;
}

export type AuthOutcome = { readonly event: AuthEvent | null };

const untold: AuthOutcome = { event: null };

/** Changes of users and roles. */
export type AuthChangeKind = (typeof CommandKind)[
  | "authEnable"
  | "authDisable"
  | "authUserAdd"
  | "authUserDelete"
  | "authUserChangePassword"
  | "authUserGrantRole"
  | "authUserRevokeRole"
  | "authRoleAdd"
  | "authRoleDelete"
  | "authRoleGrantPermission"
  | "authRoleRevokePermission"];

type Change = (auth: AuthStore, body: Uint8Array) => AuthOutcome | EtcdError;

const changes: { readonly [Kind in AuthChangeKind]: Change } = {
  [CommandKind.authEnable]: enable,
  [CommandKind.authDisable]: disable,
  [CommandKind.authUserAdd]: addUser,
  [CommandKind.authUserDelete]: deleteUser,
  [CommandKind.authUserChangePassword]: changePassword,
  [CommandKind.authUserGrantRole]: grantRole,
  [CommandKind.authUserRevokeRole]: revokeRole,
  [CommandKind.authRoleAdd]: addRole,
  [CommandKind.authRoleDelete]: deleteRole,
  [CommandKind.authRoleGrantPermission]: grantPermission,
  [CommandKind.authRoleRevokePermission]: revokePermission,
};

/** The caller has been authorized. */
export function applyAuthChange(auth: AuthStore, kind: AuthChangeKind, body: Uint8Array): AuthOutcome | EtcdError {
  return changes[kind](auth, body);
}

function enable(auth: AuthStore): AuthOutcome | EtcdError {
  if (auth.enabled) return untold;
  const root = auth.user(rootName);
  if (root === undefined) return EtcdErrors.rootUserNotExist;
  if (!root.roles.includes(rootName)) return EtcdErrors.rootRoleNotExist;
  auth.setEnabled(true);
  return untold;
}

function disable(auth: AuthStore): AuthOutcome {
  if (!auth.enabled) return untold;
  auth.setEnabled(false);
  auth.countRevision();
  return { event: { kind: "disabled" } };
}

function addUser(auth: AuthStore, body: Uint8Array): AuthOutcome | EtcdError {
  const { name, hashedPassword, options } = fromBinary(AuthUserAddRequestSchema, body);
  if (name === "") return EtcdErrors.userEmpty;
  if (auth.user(name) !== undefined) return EtcdErrors.userAlreadyExists;
  const tooLong = validateName("user", name);
  if (tooLong !== null) return tooLong;
  const kept = create(UserAddOptionsSchema, { noPassword: options?.noPassword ?? false });
  const password = kept.noPassword ? new Uint8Array(0) : Buffer.from(hashedPassword, "base64");
  auth.putUser(name, { password, roles: [], options: kept });
  auth.countRevision();
  return untold;
}

function deleteUser(auth: AuthStore, body: Uint8Array): AuthOutcome | EtcdError {
  const { name } = fromBinary(AuthUserDeleteRequestSchema, body);
  if (auth.enabled && name === rootName) return EtcdErrors.invalidAuthManagement;
  if (auth.user(name) === undefined) return EtcdErrors.userNotFound;
  auth.deleteUser(name);
  auth.countRevision();
  return { event: { kind: "userChanged", user: name } };
}

function changePassword(auth: AuthStore, body: Uint8Array): AuthOutcome | EtcdError {
  const { name, hashedPassword } = fromBinary(AuthUserChangePasswordRequestSchema, body);
  const user = auth.user(name);
  if (user === undefined) return EtcdErrors.userNotFound;
  const password = user.options?.noPassword ? new Uint8Array(0) : Buffer.from(hashedPassword, "base64");
  auth.putUser(name, { ...rest(user), roles: user.roles, password });
  auth.countRevision();
  return { event: { kind: "userChanged", user: name } };
}

function grantRole(auth: AuthStore, body: Uint8Array): AuthOutcome | EtcdError {
  const { user: name, role } = fromBinary(AuthUserGrantRoleRequestSchema, body);
  const user = auth.user(name);
  if (user === undefined) return EtcdErrors.userNotFound;
  if (role !== rootName && auth.role(role) === undefined) return EtcdErrors.roleNotFound;
  if (user.roles.includes(role)) return untold;
  const roles = [...user.roles, role].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  auth.putUser(name, { ...rest(user), roles });
  auth.countRevision();
  return untold;
}

function revokeRole(auth: AuthStore, body: Uint8Array): AuthOutcome | EtcdError {
  const { name, role } = fromBinary(AuthUserRevokeRoleRequestSchema, body);
  if (auth.enabled && name === rootName && role === rootName) return EtcdErrors.invalidAuthManagement;
  const user = auth.user(name);
  if (user === undefined) return EtcdErrors.userNotFound;
  if (!user.roles.includes(role)) return EtcdErrors.roleNotGranted;
  auth.putUser(name, { ...rest(user), roles: user.roles.filter((one) => one !== role) });
  auth.countRevision();
  return untold;
}

function addRole(auth: AuthStore, body: Uint8Array): AuthOutcome | EtcdError {
  const { name } = fromBinary(AuthRoleAddRequestSchema, body);
  if (name === "") return EtcdErrors.roleEmpty;
  if (auth.role(name) !== undefined) return EtcdErrors.roleAlreadyExists;
  const tooLong = validateName("role", name);
  if (tooLong !== null) return tooLong;
  auth.putRole(name, []);
  auth.countRevision();
  return untold;
}

function deleteRole(auth: AuthStore, body: Uint8Array): AuthOutcome | EtcdError {
  const { role } = fromBinary(AuthRoleDeleteRequestSchema, body);
  if (auth.enabled && role === rootName) return EtcdErrors.invalidAuthManagement;
  if (auth.role(role) === undefined) return EtcdErrors.roleNotFound;
  auth.deleteRole(role);
  for (const name of auth.userNames()) {
    const user = auth.user(name)!;
    if (!user.roles.includes(role)) continue;
    auth.putUser(name, { ...rest(user), roles: user.roles.filter((one) => one !== role) });
  }
  auth.countRevision();
  return untold;
}

function grantPermission(auth: AuthStore, body: Uint8Array): AuthOutcome | EtcdError {
  const { name, perm } = fromBinary(AuthRoleGrantPermissionRequestSchema, body);
  if (perm === undefined) return EtcdErrors.permissionNotGiven;
  if (!isGrantable(perm.key, perm.rangeEnd)) return EtcdErrors.invalidAuthManagement;
  const role = auth.role(name);
  if (role === undefined) return EtcdErrors.roleNotFound;
  const { permType, key, rangeEnd } = perm;
  const granted = create(PermissionSchema, { permType, key: key.slice(), rangeEnd: rangeEnd.slice() });
  const at = role.keyPermission.findIndex((one) => isSameRange(one, granted));
  const permissions = [...role.keyPermission];
  if (at >= 0) permissions[at] = granted;
  else permissions.push(granted);
  auth.putRole(
    name,
    permissions.sort((a, b) => compareBytes(a.key, b.key)),
  );
  auth.countRevision();
  return untold;
}

function revokePermission(auth: AuthStore, body: Uint8Array): AuthOutcome | EtcdError {
  const request = fromBinary(AuthRoleRevokePermissionRequestSchema, body);
  const role = auth.role(request.role);
  if (role === undefined) return EtcdErrors.roleNotFound;
  const left = role.keyPermission.filter((one) => !isSameRange(one, request));
  if (left.length === role.keyPermission.length) return EtcdErrors.permissionNotGranted;
  auth.putRole(request.role, left);
  auth.countRevision();
  return untold;
}

function rest(user: NonNullable<ReturnType<AuthStore["user"]>>): Parameters<AuthStore["putUser"]>[1] {
  const { password, roles, options } = user;
  return options === undefined ? { password, roles } : { password, roles, options };
}

function isSameRange(a: Pick<Permission, "key" | "rangeEnd">, b: Pick<Permission, "key" | "rangeEnd">): boolean {
  return bytesEqual(a.key, b.key) && bytesEqual(a.rangeEnd, b.rangeEnd);
}

function validateName(what: "user" | "role", name: string): EtcdError | null {
  if (Buffer.byteLength(name) <= nameBytesMax) return null;
  return etcdError(StatusCode.invalidArgument, `${what} name is longer than ${nameBytesMax} bytes`);
}
