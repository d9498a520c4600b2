import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { beforeAll, describe, expect, it } from "vitest";
import { createHarness, type Harness, type RecordedCall } from "../../../test/support/single-member.ts";
import { encodeCompactionRequest } from "../api/compaction.ts";
import { type Compare, CompareResult, CompareTarget } from "../api/compare.ts";
import { encodeDeleteRangeRequest } from "../api/delete-range.ts";
import { Permission_Type } from "../api/gen/authpb/auth_pb.ts";
import * as rpc from "../api/gen/etcdserverpb/rpc_pb.ts";
import { encodeLeaseKeepAliveRequest } from "../api/lease-keep-alive.ts";
import { encodePutRequest, type PutRequest } from "../api/put.ts";
import { encodeRangeRequest, rangeRequest } from "../api/range.ts";
import { StatusCode } from "../api/status-code.ts";
import { encodeTxnRequest, type RequestOp, type TxnRequest } from "../api/txn.ts";
import { decodeWatchResponse, encodeWatchRequest, watchCreateRequest } from "../api/watch.ts";
import { type EtcdErrorName, EtcdErrors } from "../state-machine/etcd-error.ts";

const text = (value: string): Uint8Array => Buffer.from(value);
const { READ, WRITE, READWRITE } = Permission_Type;
type Headers = Record<string, string>;

async function ask<Request extends DescMessage>(
  harness: Harness,
  method: string,
  schema: Request,
  fields: MessageInitShape<Request>,
  headers: Headers = {},
): Promise<RecordedCall> {
  return await harness.unary(`/etcdserverpb.${method}`, toBinary(schema, create(schema, fields)), headers);
}

function answerOf<Answer extends DescMessage>(schema: Answer, call: RecordedCall): MessageShape<Answer> {
  expect(call.status).toEqual({ code: StatusCode.ok, text: "" });
  return fromBinary(schema, call.messages[0]!);
}

const addUser = (harness: Harness, name: string, password = name, headers: Headers = {}): Promise<RecordedCall> =>
  ask(harness, "Auth/UserAdd", rpc.AuthUserAddRequestSchema, { name, password }, headers);
const addRole = (harness: Harness, name: string, headers: Headers = {}): Promise<RecordedCall> =>
  ask(harness, "Auth/RoleAdd", rpc.AuthRoleAddRequestSchema, { name }, headers);
const grantRole = (harness: Harness, user: string, role: string, headers: Headers = {}): Promise<RecordedCall> =>
  ask(harness, "Auth/UserGrantRole", rpc.AuthUserGrantRoleRequestSchema, { user, role }, headers);
const grant = (
  harness: Harness,
  name: string,
  permType: Permission_Type,
  key: string,
  rangeEnd = "",
  headers: Headers = {},
): Promise<RecordedCall> => {
  const perm = { permType, key: text(key), rangeEnd: text(rangeEnd) };
  return ask(harness, "Auth/RoleGrantPermission", rpc.AuthRoleGrantPermissionRequestSchema, { name, perm }, headers);
};
const enable = (harness: Harness, headers: Headers = {}): Promise<RecordedCall> =>
  ask(harness, "Auth/AuthEnable", rpc.AuthEnableRequestSchema, {}, headers);

async function login(harness: Harness, name: string, password = name): Promise<Headers> {
  const call = await ask(harness, "Auth/Authenticate", rpc.AuthenticateRequestSchema, { name, password });
  return { token: answerOf(rpc.AuthenticateResponseSchema, call).token };
}

/** Users root and ann; ann reads [a, c), writes [b, d) and both reads and writes `rw`. */
async function guardedHarness(): Promise<{ harness: Harness; root: Headers; ann: Headers }> {
  const harness = await createHarness({ auth: { bcryptCost: 4 } });
  for (const name of ["root", "ann"]) await addUser(harness, name);
  await addRole(harness, "r");
  await grant(harness, "r", READ, "a", "b");
  await grant(harness, "r", READ, "b", "c");
  await grant(harness, "r", WRITE, "b", "d");
  await grant(harness, "r", READWRITE, "rw");
  await grantRole(harness, "ann", "r");
  await grantRole(harness, "root", "root");
  await enable(harness);
  return { harness, root: await login(harness, "root"), ann: await login(harness, "ann") };
}

const put = (key: string, overrides: Partial<PutRequest> = {}): PutRequest => ({
  key: text(key),
  value: text("v"),
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
  ...overrides,
});
const putBytes = (key: string, overrides: Partial<PutRequest> = {}): Uint8Array =>
  encodePutRequest(put(key, overrides));
const rangeBytes = (key: string, rangeEnd = "", serializable = false): Uint8Array =>
  encodeRangeRequest(rangeRequest(text(key), { rangeEnd: text(rangeEnd), serializable }));
const deleteBytes = (key: string, rangeEnd = "", prevKv = false): Uint8Array =>
  encodeDeleteRangeRequest({ key: text(key), rangeEnd: text(rangeEnd), prevKv });
const txnBytes = (parts: Partial<TxnRequest>): Uint8Array =>
  encodeTxnRequest({ compare: [], success: [], failure: [], ...parts });
const rangeOp = (key: string): RequestOp => ({ kind: "range", request: rangeRequest(text(key)) });
const putOp = (key: string, overrides: Partial<PutRequest> = {}): RequestOp => ({
  kind: "put",
  request: put(key, overrides),
});
const compareOf = (key: string): Compare => ({
  key: text(key),
  rangeEnd: text(""),
  target: CompareTarget.version,
  result: CompareResult.equal,
  operand: { kind: "version", number: 0 },
});

type Row = readonly [title: string, path: string, request: Uint8Array, error: EtcdErrorName | null];
const kv = "/etcdserverpb.KV/";

const annsRequests: readonly Row[] = [
  ["reads a key", `${kv}Range`, rangeBytes("a"), null],
  ["reads a range covered by two grants", `${kv}Range`, rangeBytes("a", "c"), null],
  ["reads serializably", `${kv}Range`, rangeBytes("a", "", true), null],
  ["may not read beyond", `${kv}Range`, rangeBytes("a", "ca"), "permissionDenied"],
  ["may not read to the end", `${kv}Range`, rangeBytes("a", "\0"), "permissionDenied"],
  ["may not read serializably beyond", `${kv}Range`, rangeBytes("d", "", true), "permissionDenied"],
  ["may not read what it may only write", `${kv}Range`, rangeBytes("c"), "permissionDenied"],
  ["writes a key", `${kv}Put`, putBytes("c"), null],
  ["may not write what it may only read", `${kv}Put`, putBytes("a"), "permissionDenied"],
  ["may not see previous values by writing", `${kv}Put`, putBytes("c", { prevKv: true }), "permissionDenied"],
  ["sees previous values where it may also read", `${kv}Put`, putBytes("b", { prevKv: true }), null],
  ["deletes a range", `${kv}DeleteRange`, deleteBytes("b", "d"), null],
  ["may not delete beyond", `${kv}DeleteRange`, deleteBytes("b", "e"), "permissionDenied"],
  ["may not see what it deletes", `${kv}DeleteRange`, deleteBytes("b", "d", true), "permissionDenied"],
  ["reads in a transaction", `${kv}Txn`, txnBytes({ compare: [compareOf("a")], success: [rangeOp("b")] }), null],
  ["may not compare", `${kv}Txn`, txnBytes({ compare: [compareOf("z")] }), "permissionDenied"],
  ["may not read on a branch", `${kv}Txn`, txnBytes({ failure: [rangeOp("z")] }), "permissionDenied"],
  ["may not write on a branch", `${kv}Txn`, txnBytes({ failure: [putOp("a")] }), "permissionDenied"],
  ["may not see by a put", `${kv}Txn`, txnBytes({ success: [putOp("c", { prevKv: true })] }), "permissionDenied"],
  [
    "may not write in a nested transaction",
    `${kv}Txn`,
    txnBytes({ success: [{ kind: "txn", request: { compare: [], success: [putOp("a")], failure: [] } }] }),
    "permissionDenied",
  ],
  ["may not compact", `${kv}Compact`, encodeCompactionRequest({ revision: 1, physical: false }), "permissionDenied"],
  ["lists the members", "/etcdserverpb.Cluster/MemberList", new Uint8Array(0), null],
  ["reads the status", "/etcdserverpb.Maintenance/Status", new Uint8Array(0), null],
  ["lists alarms", "/etcdserverpb.Maintenance/Alarm", new Uint8Array(0), null],
  ["may not raise an alarm", "/etcdserverpb.Maintenance/Alarm", Uint8Array.of(8, 1, 24, 1), "permissionDenied"],
  ["may not defragment", "/etcdserverpb.Maintenance/Defragment", new Uint8Array(0), "permissionDenied"],
  ["may not hash", "/etcdserverpb.Maintenance/HashKV", new Uint8Array(0), "permissionDenied"],
  ["may not move the leader", "/etcdserverpb.Maintenance/MoveLeader", new Uint8Array(0), "permissionDenied"],
  ["may not add members", "/etcdserverpb.Cluster/MemberAdd", new Uint8Array(0), "permissionDenied"],
  ["may not list users", "/etcdserverpb.Auth/UserList", new Uint8Array(0), "permissionDenied"],
  ["may not list roles", "/etcdserverpb.Auth/RoleList", new Uint8Array(0), "permissionDenied"],
  ["may not read the auth status", "/etcdserverpb.Auth/AuthStatus", new Uint8Array(0), "permissionDenied"],
  ["may not disable auth", "/etcdserverpb.Auth/AuthDisable", new Uint8Array(0), "permissionDenied"],
];

describe("permissions", () => {
  let shared: Awaited<ReturnType<typeof guardedHarness>>;
  beforeAll(async () => {
    shared = await guardedHarness();
  });

  it.each(annsRequests)("user %s", async (_title, path, request, error) => {
    const { harness, ann } = shared;
    const wanted = error === null ? { code: StatusCode.ok, text: "" } : pick(EtcdErrors[error]);
    expect((await harness.unary(path, request, ann)).status).toEqual(wanted);
  });

  it("calls without a user are rejected, and root may do everything", async () => {
    const { harness, root } = await guardedHarness();
    for (const [, path, request] of annsRequests) {
      expect((await harness.unary(path, request)).status, path).toEqual(pick(EtcdErrors.userEmpty));
      expect((await harness.unary(path, request, { token: "x" })).status, path).toEqual(
        pick(EtcdErrors.invalidAuthToken),
      );
    }
    for (const [, path, request] of annsRequests.filter(([, , , error]) => error !== null).slice(0, 14)) {
      expect((await harness.unary(path, request, root)).status?.text, path).not.toMatch(/permission|user/);
    }
  });

  it("a user may read only its own entry and roles", async () => {
    const { harness, ann } = await guardedHarness();
    const user = (name: string): Promise<RecordedCall> =>
      ask(harness, "Auth/UserGet", rpc.AuthUserGetRequestSchema, { name }, ann);
    const role = (name: string): Promise<RecordedCall> =>
      ask(harness, "Auth/RoleGet", rpc.AuthRoleGetRequestSchema, { role: name }, ann);
    expect(answerOf(rpc.AuthUserGetResponseSchema, await user("ann")).roles).toEqual(["r"]);
    expect((await user("root")).status).toEqual(pick(EtcdErrors.permissionDenied));
    expect(answerOf(rpc.AuthRoleGetResponseSchema, await role("r")).perm).toHaveLength(4);
    expect((await role("root")).status).toEqual(pick(EtcdErrors.permissionDenied));
  });

  it("a lease with keys of other users cannot be revoked, used or inspected", async () => {
    const { harness, root, ann } = await guardedHarness();
    await ask(harness, "Lease/LeaseGrant", rpc.LeaseGrantRequestSchema, { ID: 7n, TTL: 100n }, ann);
    await harness.unary(`${kv}Put`, putBytes("foreign", { lease: 7n }), root);
    const denied = pick(EtcdErrors.permissionDenied);
    expect((await ask(harness, "Lease/LeaseRevoke", rpc.LeaseRevokeRequestSchema, { ID: 7n }, ann)).status).toEqual(
      denied,
    );
    expect((await harness.unary(`${kv}Put`, putBytes("c", { lease: 7n }), ann)).status).toEqual(denied);
    const ask7 = { ID: 7n, keys: true };
    const looked = await ask(harness, "Lease/LeaseTimeToLive", rpc.LeaseTimeToLiveRequestSchema, ask7, ann);
    expect(looked.status).toEqual(denied);
    expect((await ask(harness, "Lease/LeaseLeases", rpc.LeaseLeasesRequestSchema, {}, ann)).status).toEqual(denied);
    // A7: the remaining TTL of a lease is not secret, as in etcd.
    const left = await ask(harness, "Lease/LeaseTimeToLive", rpc.LeaseTimeToLiveRequestSchema, { ID: 7n }, ann);
    expect(answerOf(rpc.LeaseTimeToLiveResponseSchema, left)).toMatchObject({ grantedTTL: 100n, keys: [] });
    expect((await ask(harness, "Lease/LeaseRevoke", rpc.LeaseRevokeRequestSchema, { ID: 7n }, root)).status?.code).toBe(
      0,
    );
  });

  it.each<[string, "root" | "ann", (at: number) => string]>([
    ["another user, on one connection", "ann", () => "127.77.15.9:1"],
    ["root, on root's own connection", "root", () => "127.77.15.1:1"],
    ["root, on as many connections", "root", (at) => `127.77.15.1:${2 + at}`],
  ])("A11: root logs in at once while 270 wrong passwords wait, for %s", async (_, name, addressOf) => {
    const { harness } = await guardedHarness();
    const request = create(rpc.AuthenticateRequestSchema, { name, password: "wrong" });
    const bytes = toBinary(rpc.AuthenticateRequestSchema, request);
    let waiting = 270;
    const wrong = Array.from({ length: waiting }, (_each, at) =>
      harness.unary("/etcdserverpb.Auth/Authenticate", bytes, {}, addressOf(at)).finally(() => {
        waiting--;
      }),
    );
    expect((await login(harness, "root"))["token"]).not.toBe("");
    expect(waiting).toBeGreaterThan(200);
    const codes = (await Promise.all(wrong)).map(({ status }) => status?.code);
    expect(codes.filter((code) => code === EtcdErrors.authFailed.code).length).toBeGreaterThan(200);
  });

  it("A7: a lease is renewed by users that may write its keys, at a follower and at the leader", async () => {
    const { harness, root, ann } = await guardedHarness();
    const follower = await guardedHarness();
    follower.harness.consensus.leader = "00000000000000aa";
    follower.harness.consensus.peers.set("00000000000000aa", harness.services);
    follower.harness.services.leadershipChanged();
    const renew = async (at: Harness, headers: Headers): Promise<RecordedCall> => {
      const { call, handler } = at.stream("/etcdserverpb.Lease/LeaseKeepAlive", headers);
      handler.onMessage(encodeLeaseKeepAliveRequest({ id: 7n }));
      while (call.messages.length === 0 && call.status === null) await new Promise((resolve) => setImmediate(resolve));
      return call;
    };
    await ask(harness, "Lease/LeaseGrant", rpc.LeaseGrantRequestSchema, { ID: 7n, TTL: 100n }, ann);
    expect((await renew(harness, ann)).messages).toHaveLength(1);
    await harness.unary(`${kv}Put`, putBytes("rw", { lease: 7n }), ann);
    expect((await renew(harness, ann)).messages).toHaveLength(1);
    expect((await renew(follower.harness, follower.ann)).messages).toHaveLength(1);
    await harness.unary(`${kv}Put`, putBytes("foreign", { lease: 7n }), root);
    expect((await renew(harness, ann)).status).toEqual(pick(EtcdErrors.permissionDenied));
    expect((await renew(follower.harness, follower.ann)).status).toEqual(pick(EtcdErrors.permissionDenied));
    expect((await renew(harness, root)).messages).toHaveLength(1);
    expect((await renew(follower.harness, follower.root)).messages).toHaveLength(1);
  });

  it("A2: hashes of the keyspace are for root only, and limited in number", async () => {
    const { harness, root, ann } = await guardedHarness();
    const facts = (request: unknown, headers: Headers): Promise<RecordedCall> =>
      harness.unary("/haplan.v1.Haplan/Facts", text(JSON.stringify(request)), headers);
    expect((await facts({ hash: true }, ann)).status).toEqual(pick(EtcdErrors.permissionDenied));
    expect((await facts({}, ann)).status?.code).toBe(0);
    const hashKv = (): Promise<RecordedCall> => ask(harness, "Maintenance/HashKV", rpc.HashKVRequestSchema, {}, root);
    const scans = await Promise.all([1, 2, 3].flatMap(() => [facts({ hash: true }, root), hashKv()]));
    const tooMany = pick(EtcdErrors.tooManyRequests);
    expect(scans.map(({ status }) => status?.code)).toEqual([0, 0, 0, 0, tooMany.code, tooMany.code]);
    expect(scans.at(-1)?.status).toEqual(tooMany);
    expect((await hashKv()).status?.code).toBe(0);
    expect((await facts({ hash: true, revision: 1_000 }, root)).status).toMatchObject({ code: StatusCode.outOfRange });
  });

  it.each(["null", "[]", "7", "{", '{"hash":"yes"}'])(
    "A low: message %s to haplan's service is rejected as malformed",
    async (body) => {
      const { harness, root } = await guardedHarness();
      const { status } = await harness.unary("/haplan.v1.Haplan/Facts", text(body), root);
      expect(status).toMatchObject({
        code: StatusCode.internal,
        text: expect.stringContaining("the message is not a haplan.v1.FactsRequest"),
      });
    },
  );

  it("a watch is rejected with the reason in grpc-go's format", async () => {
    const { harness, ann } = await guardedHarness();
    const reasonFor = (headers: Headers, key: string, rangeEnd = ""): string | undefined => {
      const { call, handler } = harness.stream("/etcdserverpb.Watch/Watch", headers);
      const request = watchCreateRequest(text(key), { rangeEnd: text(rangeEnd) });
      handler.onMessage(encodeWatchRequest({ kind: "create", request }));
      const { created, canceled, cancelReason, watchId } = decodeWatchResponse(call.messages[0]!);
      handler.onClose();
      expect(created).toBe(true);
      expect(watchId).toBe(canceled ? -1 : 0);
      return canceled ? cancelReason : undefined;
    };
    const denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
    expect(reasonFor(ann, "a", "c")).toBe(undefined);
    expect(reasonFor(ann, "c")).toBe(denied);
    expect(reasonFor(ann, "a", "\0")).toBe(denied);
    expect(reasonFor({}, "a")).toBe("rpc error: code = InvalidArgument desc = etcdserver: user name is empty");
    const unknown = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";
    expect(reasonFor({ token: "x" }, "a")).toBe(unknown);
  });

  it("streams require a user, or root", async () => {
    const { harness, ann } = await guardedHarness();
    const alive = harness.stream("/etcdserverpb.Lease/LeaseKeepAlive");
    alive.handler.onMessage(encodeLeaseKeepAliveRequest({ id: 1n }));
    expect(alive.call.status).toEqual(pick(EtcdErrors.userEmpty));
    expect(harness.stream("/etcdserverpb.Maintenance/Snapshot", ann).call.status).toEqual(
      pick(EtcdErrors.permissionDenied),
    );
  });
});

describe("users and roles", () => {
  it("are changed with etcd's errors", async () => {
    const harness = await createHarness({ auth: { bcryptCost: 4 } });
    const results: (string | undefined)[] = [];
    const note = async (call: Promise<RecordedCall>): Promise<void> => void results.push((await call).status?.text);
    const user = (method: string, fields: { name?: string; role?: string }): Promise<RecordedCall> =>
      ask(harness, `Auth/${method}`, rpc.AuthUserRevokeRoleRequestSchema, fields);
    await note(enable(harness));
    await note(addUser(harness, ""));
    await note(addUser(harness, "root"));
    await note(addUser(harness, "root"));
    await note(enable(harness));
    await note(grantRole(harness, "root", "root"));
    await note(grantRole(harness, "root", "root"));
    await note(grantRole(harness, "root", "none"));
    await note(grantRole(harness, "none", "none"));
    await note(user("UserRevokeRole", { name: "root", role: "none" }));
    await note(user("UserDelete", { name: "none" }));
    await note(addRole(harness, ""));
    await note(addRole(harness, "r"));
    await note(addRole(harness, "r"));
    await note(ask(harness, "Auth/RoleGrantPermission", rpc.AuthRoleGrantPermissionRequestSchema, { name: "r" }));
    await note(grant(harness, "none", READ, "a"));
    await note(ask(harness, "Auth/RoleRevokePermission", rpc.AuthRoleRevokePermissionRequestSchema, { role: "r" }));
    await note(ask(harness, "Auth/RoleDelete", rpc.AuthRoleDeleteRequestSchema, { role: "none" }));
    await note(ask(harness, "Auth/Authenticate", rpc.AuthenticateRequestSchema, { name: "root", password: "root" }));
    await note(addUser(harness, "n".repeat(1_025)));
    expect(results.map((one) => one?.replace("etcdserver: ", ""))).toEqual([
      "root user does not exist",
      "user name is empty",
      "",
      "user name already exists",
      "root user does not have root role",
      "",
      "",
      "role name not found",
      "user name not found",
      "role is not granted to the user",
      "user name not found",
      "role name is empty",
      "",
      "role name already exists",
      "permission not given",
      "role name not found",
      "permission is not granted to the role",
      "role name not found",
      "authentication is not enabled",
      "user name is longer than 1024 bytes",
    ]);
  });

  it("root stays root while authentication is enabled", async () => {
    const { harness, root } = await guardedHarness();
    const error = pick(EtcdErrors.invalidAuthManagement);
    const refused = [
      await ask(harness, "Auth/UserDelete", rpc.AuthUserDeleteRequestSchema, { name: "root" }, root),
      await ask(harness, "Auth/RoleDelete", rpc.AuthRoleDeleteRequestSchema, { role: "root" }, root),
      await ask(
        harness,
        "Auth/UserRevokeRole",
        rpc.AuthUserRevokeRoleRequestSchema,
        { name: "root", role: "root" },
        root,
      ),
    ];
    for (const { status } of refused) expect(status).toEqual(error);
  });

  it("increment their revision with every change, and survive a restart", async () => {
    const { harness, root } = await guardedHarness();
    const status = answerOf(
      rpc.AuthStatusResponseSchema,
      await ask(harness, "Auth/AuthStatus", rpc.AuthStatusRequestSchema, {}, root),
    );
    expect([status.enabled, status.authRevision]).toEqual([true, 10n]);
    harness.services.machine.load();
    const { auth } = harness.services.machine;
    expect([auth.enabled, auth.revision, auth.userNames(), auth.roleNames()]).toEqual([
      true,
      10,
      ["ann", "root"],
      ["r"],
    ]);
    expect(Buffer.from(auth.user("ann")!.password).toString()).toMatch(/^\$2[ab]\$04\$/);
  });

  it("a deleted role is revoked from its users", async () => {
    const { harness, root, ann } = await guardedHarness();
    await ask(harness, "Auth/RoleDelete", rpc.AuthRoleDeleteRequestSchema, { role: "r" }, root);
    expect((await harness.unary(`${kv}Range`, rangeBytes("a"), ann)).status).toEqual(pick(EtcdErrors.permissionDenied));
  });
});

describe("logins", () => {
  it("are rejected with etcd's texts", async () => {
    const { harness, root } = await guardedHarness();
    const options = { noPassword: true };
    await ask(harness, "Auth/UserAdd", rpc.AuthUserAddRequestSchema, { name: "cn", options }, root);
    const attempt = async (name: string, password: string): Promise<RecordedCall["status"]> =>
      (await ask(harness, "Auth/Authenticate", rpc.AuthenticateRequestSchema, { name, password })).status;
    expect(await attempt("ann", "wrong")).toEqual(pick(EtcdErrors.authFailed));
    expect(await attempt("unknown", "x")).toEqual(pick(EtcdErrors.authFailed));
    expect(await attempt("cn", "x")).toEqual({
      code: StatusCode.unknown,
      text: "auth: authentication failed, password was given for no password user",
    });
  });

  it("end with a new password, with the user, after 300 s without use, and when authentication ends", async () => {
    const { harness, root, ann } = await guardedHarness();
    const read = async (headers: Headers): Promise<StatusCode | undefined> =>
      (await harness.unary(`${kv}Range`, rangeBytes("a"), headers)).status?.code;
    harness.clock.nowMs += 299_000;
    expect(await read(ann)).toBe(StatusCode.ok);
    harness.clock.nowMs += 299_000;
    expect(await read(ann)).toBe(StatusCode.ok);
    harness.clock.nowMs += 300_000;
    expect(await read(ann)).toBe(StatusCode.unauthenticated);
    expect(await read(root)).toBe(StatusCode.unauthenticated);
    const [again, asRoot] = [await login(harness, "ann"), await login(harness, "root")];
    const change = { name: "ann", password: "new" };
    await ask(harness, "Auth/UserChangePassword", rpc.AuthUserChangePasswordRequestSchema, change, asRoot);
    expect(await read(again)).toBe(StatusCode.unauthenticated);
    const renewed = await login(harness, "ann", "new");
    expect(await read(renewed)).toBe(StatusCode.ok);
    await ask(harness, "Auth/UserDelete", rpc.AuthUserDeleteRequestSchema, { name: "ann" }, asRoot);
    expect(await read(renewed)).toBe(StatusCode.unauthenticated);
    await ask(harness, "Auth/AuthDisable", rpc.AuthDisableRequestSchema, {}, asRoot);
    expect(await read({})).toBe(StatusCode.ok);
  });

  it("the token of an entry that is not applied here yet is waited for", async () => {
    const { harness } = await guardedHarness();
    const index = harness.consensus.index + 2;
    // The leader does not say what is committed.
    harness.consensus.swallowReads = true;
    let done = false;
    const early = harness.unary(`${kv}Put`, putBytes("b"), { token: `AAAAAAAAAAAAAAAA.${index}` });
    void early.then(() => {
      done = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    harness.consensus.swallowReads = false;
    harness.clock.nowMs += 1_000;
    harness.services.tick();
    await login(harness, "ann");
    await login(harness, "ann");
    expect((await early).status).toEqual(pick(EtcdErrors.invalidAuthToken));
  });

  it("14/4: a token ahead of everything committed, as of a former cluster, is rejected at once", async () => {
    const { harness } = await guardedHarness();
    const token = `AAAAAAAAAAAAAAAA.${harness.consensus.index + 1_000}`;
    const { status } = await harness.unary(`${kv}Range`, rangeBytes("a"), { token });
    expect(status).toEqual(pick(EtcdErrors.invalidAuthToken));
  });

  it("a command based on older users and roles is rejected where it is applied", async () => {
    const { harness, ann } = await guardedHarness();
    const { auth } = harness.services.machine;
    const putting = harness.unary(`${kv}Put`, putBytes("b"), ann);
    // As if a change had been applied in between.
    auth.countRevision();
    expect((await putting).status).toEqual(pick(EtcdErrors.authOldRevision));
  });

  it("a forwarded call is made under its user's name", async () => {
    const { harness, root, ann } = await guardedHarness();
    const follower = await guardedHarness();
    follower.harness.consensus.leader = "00000000000000aa";
    follower.harness.consensus.peers.set("00000000000000aa", harness.services);
    follower.harness.services.leadershipChanged();
    const timeToLive = (headers: Headers): Promise<RecordedCall> =>
      ask(follower.harness, "Lease/LeaseTimeToLive", rpc.LeaseTimeToLiveRequestSchema, { ID: 7n, keys: true }, headers);
    await ask(harness, "Lease/LeaseGrant", rpc.LeaseGrantRequestSchema, { ID: 7n, TTL: 100n }, ann);
    await harness.unary(`${kv}Put`, putBytes("foreign", { lease: 7n }), root);
    expect((await timeToLive({})).status).toEqual(pick(EtcdErrors.userEmpty));
    expect((await timeToLive(follower.ann)).status).toEqual(pick(EtcdErrors.permissionDenied));
    expect(answerOf(rpc.LeaseTimeToLiveResponseSchema, await timeToLive(follower.root)).grantedTTL).toBe(100n);
  });
});

function pick({ code, text: words }: { code: StatusCode; text: string }): { code: StatusCode; text: string } {
  return { code, text: words };
}
