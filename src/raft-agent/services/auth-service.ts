/**
 * etcdserverpb.Auth. Changes go through the log; queries are read behind a read index. Passwords are hashed and
 * verified here, off the event loop: the log and the other members see only hashes.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { errorText } from "../../base/haplan-error.ts";
import { PermissionSchema } from "../api/gen/authpb/auth_pb.ts";
import {
  AuthDisableRequestSchema,
  AuthEnableRequestSchema,
  AuthEnableResponseSchema,
  AuthenticateRequestSchema,
  AuthenticateResponseSchema,
  AuthRoleAddRequestSchema,
  AuthRoleDeleteRequestSchema,
  AuthRoleGetRequestSchema,
  AuthRoleGetResponseSchema,
  AuthRoleGrantPermissionRequestSchema,
  AuthRoleListResponseSchema,
  AuthRoleRevokePermissionRequestSchema,
  AuthStatusResponseSchema,
  AuthUserAddRequestSchema,
  AuthUserChangePasswordRequestSchema,
  AuthUserDeleteRequestSchema,
  AuthUserGetRequestSchema,
  AuthUserGetResponseSchema,
  AuthUserGrantRoleRequestSchema,
  AuthUserListResponseSchema,
  AuthUserRevokeRoleRequestSchema,
  type ResponseHeader,
} from "../api/gen/etcdserverpb/rpc_pb.ts";
import { StatusCode } from "../api/status-code.ts";
import { type PasswordCaller, type PasswordHasher, PasswordHasherBusyError } from "../auth/password-hasher.ts";
import { randomTokenPrefix } from "../auth/simple-tokens.ts";
import type { ServerCall } from "../grpc/call.ts";
import { type AuthChangeKind, encodeLogin } from "../state-machine/auth-command.ts";
import { type AuthStore, rootName } from "../state-machine/auth-store.ts";
import type { Caller } from "../state-machine/caller.ts";
import { CommandKind } from "../state-machine/command.ts";
import type { AppliedBy } from "../state-machine/command-table.ts";
import { type EtcdError, EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import { PermissionType } from "../state-machine/key-permissions.ts";
import { answerBytes, failCall, guarded, type UnaryHandler, unary } from "./answer.ts";
import { generatedHeader } from "./generated-header.ts";
import { propose } from "./propose-for-call.ts";
import type { ServedMethod, UnaryMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

/** etcd has no code and no prefix for these. */
const noPasswordUser = "auth: authentication failed, password was given for no password user";
const verifyOnly = "auth: token signing attempted with verify-only key";

export function createAuthMethods(context: ServiceContext, hasher: PasswordHasher): ServedMethod[] {
  const method = (name: string, handler: UnaryHandler): UnaryMethod =>
    unary(context, { path: `/etcdserverpb.Auth/${name}`, access: "checkedByMethod" }, handler);
  return [
    method("Authenticate", (bytes, call) => authenticate(context, hasher, bytes, call)),
    method("AuthStatus", (_bytes, call) => authStatus(context, call)),
    method("UserGet", (bytes, call) => getUser(context, bytes, call)),
    method("UserList", (_bytes, call) => listNames(context, call, (auth) => userList(context, auth))),
    method("RoleGet", (bytes, call) => getRole(context, bytes, call)),
    method("RoleList", (_bytes, call) => listNames(context, call, (auth) => roleList(context, auth))),
    method("UserAdd", (bytes, call) => addUser(context, hasher, bytes, call)),
    method("UserChangePassword", (bytes, call) => changePassword(context, hasher, bytes, call)),
    ...changes.map(([name, kind, request]) =>
      method(name, (bytes, call) => {
        // Only valid messages may be appended to the log: applying must not fail on them.
        const body = toBinary(request, fromBinary(request, bytes));
        change(context, call, kind, body);
      }),
    ),
  ];
}

// biome-ignore format: a table
const changes = [
  ["AuthEnable", CommandKind.authEnable, AuthEnableRequestSchema],
  ["AuthDisable", CommandKind.authDisable, AuthDisableRequestSchema],
  ["UserDelete", CommandKind.authUserDelete, AuthUserDeleteRequestSchema],
  ["UserGrantRole", CommandKind.authUserGrantRole, AuthUserGrantRoleRequestSchema],
  ["UserRevokeRole", CommandKind.authUserRevokeRole, AuthUserRevokeRoleRequestSchema],
  ["RoleAdd", CommandKind.authRoleAdd, AuthRoleAddRequestSchema],
  ["RoleDelete", CommandKind.authRoleDelete, AuthRoleDeleteRequestSchema],
  ["RoleGrantPermission", CommandKind.authRoleGrantPermission, AuthRoleGrantPermissionRequestSchema],
  ["RoleRevokePermission", CommandKind.authRoleRevokePermission, AuthRoleRevokePermissionRequestSchema],
] as const;

/** Proposes a change under the caller's name; it is authorized where it is applied. */
function change(context: ServiceContext, call: ServerCall, kind: AuthChangeKind, body: Uint8Array): void {
  propose(context, call, kind, body, ({ revision }) => {
    // The responses to all changes are the same on the wire: only a header.
    const message = create(AuthEnableResponseSchema, { header: generatedHeader(context, revision) });
    answerBytes(call, toBinary(AuthEnableResponseSchema, message));
  });
}

function addUser(context: ServiceContext, hasher: PasswordHasher, bytes: Uint8Array, call: ServerCall): void {
  const { name, options, password } = fromBinary(AuthUserAddRequestSchema, bytes);
  const add = (hashedPassword: string): void => {
    const message = create(AuthUserAddRequestSchema, { name, hashedPassword });
    if (options !== undefined) message.options = options;
    change(context, call, CommandKind.authUserAdd, toBinary(AuthUserAddRequestSchema, message));
  };
  if (options?.noPassword) add("");
  else hashForAdmin(context, hasher, password, call, add);
}

function changePassword(context: ServiceContext, hasher: PasswordHasher, bytes: Uint8Array, call: ServerCall): void {
  const { name, password } = fromBinary(AuthUserChangePasswordRequestSchema, bytes);
  hashForAdmin(context, hasher, password, call, (hashedPassword) => {
    const message = create(AuthUserChangePasswordRequestSchema, { name, hashedPassword });
    const body = toBinary(AuthUserChangePasswordRequestSchema, message);
    change(context, call, CommandKind.authUserChangePassword, body);
  });
}

/** Hashing is expensive: only root may request it. `then` gets the hash in base64, as sent by etcd. */
function hashForAdmin(
  context: ServiceContext,
  hasher: PasswordHasher,
  password: string,
  call: ServerCall,
  then: (hashedPassword: string) => void,
): void {
  const hash = (): void => {
    // New passwords have their own queue among the users' logins.
    hasher.hash(password, context.access.settings.bcryptCost, passwordCaller("", call)).then(
      (hashed) => {
        if (call.open) guarded(call, () => then(Buffer.from(hashed).toString("base64")));
      },
      (error: unknown) => failHashing(call, error),
    );
  };
  if (!context.access.enabled) {
    hash();
    return;
  }
  whenRead(context, call, (caller) => context.machine.auth.checkAdmin(caller), hash);
}

function failHashing(call: ServerCall, error: unknown): void {
  if (error instanceof PasswordHasherBusyError) failCall(call, EtcdErrors.tooManyRequests);
  else call.finish(StatusCode.internal, `haplan-agent: cannot hash a password: ${errorText(error)}`);
}

/** Runs `then` on the state of a read index, if `check` passes. */
function whenRead(
  context: ServiceContext,
  call: ServerCall,
  check: (caller: Caller | null) => EtcdError | null,
  then: () => void,
): void {
  context.reads.request((error) => {
    if (!call.open) return;
    const caller = context.access.callerOf(call);
    const denied = error ?? (isEtcdError(caller) ? caller : check(caller));
    if (denied !== null) failCall(call, denied);
    else guarded(call, then);
  });
}

function authenticate(context: ServiceContext, hasher: PasswordHasher, bytes: Uint8Array, call: ServerCall): void {
  const { name, password } = fromBinary(AuthenticateRequestSchema, bytes);
  context.reads.request((error) => {
    if (!call.open) return;
    if (error !== null) failCall(call, error);
    else checkPassword(context, hasher, { name, password }, call);
  });
}

type Credentials = { readonly name: string; readonly password: string };

function checkPassword(context: ServiceContext, hasher: PasswordHasher, given: Credentials, call: ServerCall): void {
  const { auth } = context.machine;
  const user = auth.user(given.name);
  if (!auth.enabled) {
    failCall(call, EtcdErrors.authNotEnabled);
    return;
  }
  if (user?.options?.noPassword) {
    call.finish(StatusCode.unknown, noPasswordUser);
    return;
  }
  if (user === undefined) {
    failCall(call, EtcdErrors.authFailed);
    return;
  }
  const checkedRevision = auth.revision;
  hasher.matches(given.password, Buffer.from(user.password).toString("latin1"), passwordCaller(given.name, call)).then(
    (matches) => {
      if (!call.open) return;
      if (matches) login(context, hasher, given, checkedRevision, call);
      else failCall(call, EtcdErrors.authFailed);
    },
    (error: unknown) => failHashing(call, error),
  );
}

function passwordCaller(user: string, call: ServerCall): PasswordCaller {
  return {
    user,
    remoteAddress: call.remoteAddress,
    get open() {
      return call.open;
    },
  };
}

/** The password may have been changed while it was verified: then it is verified again. */
function login(
  context: ServiceContext,
  hasher: PasswordHasher,
  given: Credentials,
  checkedRevision: number,
  call: ServerCall,
): void {
  const body = encodeLogin({ user: given.name, tokenPrefix: randomTokenPrefix() });
  context.proposer.propose(CommandKind.authenticate, body, (result) => {
    if (!call.open) return;
    if (isEtcdError(result)) failCall(call, result);
    else if (result.authRevision !== checkedRevision) checkPassword(context, hasher, given, call);
    else answerLogin(context, call, result);
  });
}

function answerLogin(
  context: ServiceContext,
  call: ServerCall,
  result: AppliedBy<typeof CommandKind.authenticate>,
): void {
  const token = context.access.issueToken(result);
  if (token === null) {
    call.finish(StatusCode.unknown, verifyOnly);
    return;
  }
  const message = create(AuthenticateResponseSchema, { header: generatedHeader(context, result.revision), token });
  answerBytes(call, toBinary(AuthenticateResponseSchema, message));
}

function authStatus(context: ServiceContext, call: ServerCall): void {
  const { auth } = context.machine;
  const asAdmin = (caller: Caller | null): EtcdError | null => auth.checkAdmin(caller);
  whenRead(context, call, asAdmin, () => {
    const message = create(AuthStatusResponseSchema, {
      header: header(context),
      enabled: auth.enabled,
      authRevision: BigInt(auth.revision),
    });
    answerBytes(call, toBinary(AuthStatusResponseSchema, message));
  });
}

/** Users may read their own entry. */
function getUser(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { auth } = context.machine;
  const { name } = fromBinary(AuthUserGetRequestSchema, bytes);
  const mayRead = (caller: Caller | null): EtcdError | null => (caller?.user === name ? null : auth.checkAdmin(caller));
  whenRead(context, call, mayRead, () => {
    const user = auth.user(name);
    if (user === undefined) {
      failCall(call, EtcdErrors.userNotFound);
      return;
    }
    const message = create(AuthUserGetResponseSchema, { header: header(context), roles: user.roles });
    answerBytes(call, toBinary(AuthUserGetResponseSchema, message));
  });
}

/** And the roles that they have. */
function getRole(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { auth } = context.machine;
  const { role: name } = fromBinary(AuthRoleGetRequestSchema, bytes);
  const mayRead = (caller: Caller | null): EtcdError | null =>
    caller !== null && auth.user(caller.user)?.roles.includes(name) ? null : auth.checkAdmin(caller);
  whenRead(context, call, mayRead, () => {
    const role = auth.role(name);
    if (role === undefined) {
      failCall(call, EtcdErrors.roleNotFound);
      return;
    }
    const everything = create(PermissionSchema, { permType: PermissionType.readWrite, rangeEnd: Uint8Array.of(0) });
    const perm = name === rootName ? [everything] : role.keyPermission;
    const message = create(AuthRoleGetResponseSchema, { header: header(context), perm });
    answerBytes(call, toBinary(AuthRoleGetResponseSchema, message));
  });
}

/** Responds with a list of names that only the administrator may see. */
function listNames(context: ServiceContext, call: ServerCall, answer: (auth: AuthStore) => Uint8Array): void {
  const { auth } = context.machine;
  const mayRead = (caller: Caller | null): EtcdError | null => auth.checkAdmin(caller);
  whenRead(context, call, mayRead, () => answerBytes(call, answer(auth)));
}

function userList(context: ServiceContext, auth: AuthStore): Uint8Array {
  const message = create(AuthUserListResponseSchema, { header: header(context), users: auth.userNames() });
  return toBinary(AuthUserListResponseSchema, message);
}

function roleList(context: ServiceContext, auth: AuthStore): Uint8Array {
  const message = create(AuthRoleListResponseSchema, { header: header(context), roles: auth.roleNames() });
  return toBinary(AuthRoleListResponseSchema, message);
}

function header(context: ServiceContext): ResponseHeader {
  return generatedHeader(context, context.machine.store.revision);
}
