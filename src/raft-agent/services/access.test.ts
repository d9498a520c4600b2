import { createSecretKey } from "node:crypto";
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { createHarness, type Harness, type RecordedCall } from "../../../test/support/single-member.ts";
import * as rpc from "../api/gen/etcdserverpb/rpc_pb.ts";
import { encodeRangeRequest, rangeRequest } from "../api/range.ts";
import { signToken, type TokenKeys } from "../auth/json-web-token.ts";
import type { ServerCall } from "../grpc/call.ts";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import type { AccessLevel } from "./served-method.ts";

const secret = createSecretKey(Buffer.from("secret"));
const signing: TokenKeys = { method: "HS256", signKey: secret, verifyKey: secret };

function ask<Request extends DescMessage>(
  harness: Harness,
  method: string,
  schema: Request,
  fields: MessageInitShape<Request>,
  headers: Record<string, string> = {},
): Promise<RecordedCall> {
  return harness.unary(`/etcdserverpb.Auth/${method}`, toBinary(schema, create(schema, fields)), headers);
}

async function worldWithRoot(
  auth: NonNullable<Parameters<typeof createHarness>[0]>["auth"] & object,
): Promise<Harness> {
  const harness = await createHarness({ auth: { bcryptCost: 4, ...auth } });
  await ask(harness, "UserAdd", rpc.AuthUserAddRequestSchema, { name: "root", password: "pw" });
  await ask(harness, "UserGrantRole", rpc.AuthUserGrantRoleRequestSchema, { user: "root", role: "root" });
  await ask(harness, "AuthEnable", rpc.AuthEnableRequestSchema, {});
  return harness;
}

const login = (harness: Harness): Promise<RecordedCall> =>
  ask(harness, "Authenticate", rpc.AuthenticateRequestSchema, { name: "root", password: "pw" });
const read = async (harness: Harness, headers: Record<string, string>): Promise<string | undefined> =>
  (await harness.unary("/etcdserverpb.KV/Range", encodeRangeRequest(rangeRequest(Buffer.from("k"))), headers)).status
    ?.text;

describe("access by JSON web tokens", () => {
  it("needs no stored login, and ends with its expiry and with every change of users and roles", async () => {
    const harness = await worldWithRoot({ tokens: { kind: "jwt", keys: signing, ttlMs: 60_000 } });
    const { token } = fromBinary(rpc.AuthenticateResponseSchema, (await login(harness)).messages[0]!);
    const headers = { authorization: `Bearer ${token}` };
    expect(await read(harness, headers)).toBe("");
    harness.services.snapshotInstalled();
    expect(await read(harness, headers)).toBe("");
    await ask(harness, "RoleAdd", rpc.AuthRoleAddRequestSchema, { name: "r" }, headers);
    expect(await read(harness, headers)).toBe(EtcdErrors.authOldRevision.text);
    const again = fromBinary(rpc.AuthenticateResponseSchema, (await login(harness)).messages[0]!);
    expect(await read(harness, { token: again.token })).toBe("");
    harness.clock.nowMs += 60_000;
    expect(await read(harness, { token: again.token })).toBe(EtcdErrors.invalidAuthToken.text);
  });

  it.each([2 ** 53, 1e300, -1, 1.5, "1", null])("A low: rejects tokens with the revision %s", async (revision) => {
    const harness = await worldWithRoot({ tokens: { kind: "jwt", keys: signing, ttlMs: 60_000 } });
    const exp = Math.floor(harness.clock.nowMs / 1_000) + 60;
    const token = signToken(signing, { username: "root", revision, exp } as never);
    expect(await read(harness, { token })).toBe(EtcdErrors.invalidAuthToken.text);
    const added = await ask(harness, "RoleAdd", rpc.AuthRoleAddRequestSchema, { name: "r" }, { token });
    expect(added.status).toEqual({ code: EtcdErrors.invalidAuthToken.code, text: EtcdErrors.invalidAuthToken.text });
  });

  it("reports that a member without a private key cannot issue tokens", async () => {
    const keys: TokenKeys = { ...signing, signKey: null };
    const harness = await worldWithRoot({ tokens: { kind: "jwt", keys, ttlMs: 60_000 } });
    expect((await login(harness)).status?.text).toBe("auth: token signing attempted with verify-only key");
  });
});

describe("access by certificate", () => {
  const callOf = (commonName: string | undefined, headers: Record<string, string> = {}): ServerCall => ({
    path: "",
    header: (name) => headers[name],
    clientCommonName: commonName,
    remoteAddress: "",
    open: true,
    send: () => true,
    finish: () => {},
  });

  it("uses the common name as the user, unless a token names another one", async () => {
    const harness = await worldWithRoot({ loginByCertificate: true });
    const { access, machine } = harness.services.context;
    expect(access.callerOf(callOf("root"))).toEqual({ user: "root", authRevision: machine.auth.revision });
    expect(access.authorize(callOf("root"), "root")).toBeNull();
    expect(access.authorize(callOf("unknown"), "root")).toEqual(EtcdErrors.userNotFound);
    expect(access.authorize(callOf(undefined), "user")).toEqual(EtcdErrors.userEmpty);
    expect(access.authorize(callOf("root", { token: "x" }), "user")).toEqual(EtcdErrors.invalidAuthToken);
  });

  it("is ignored without --client-cert-auth", async () => {
    const harness = await worldWithRoot({});
    expect(harness.services.context.access.callerOf(callOf("root"))).toBeNull();
  });
});

describe("served methods", () => {
  it("declare their callers while authentication is enabled", async () => {
    const { methods } = (await createHarness()).services;
    const pathsOf = (level: AccessLevel): string[] =>
      methods.filter(({ access }) => access === level).map(({ path }) => path);
    expect(pathsOf("root").toSorted()).toEqual([
      "/etcdserverpb.Cluster/MemberAdd",
      "/etcdserverpb.Cluster/MemberPromote",
      "/etcdserverpb.Cluster/MemberRemove",
      "/etcdserverpb.Cluster/MemberUpdate",
      "/etcdserverpb.KV/Compact",
      "/etcdserverpb.Maintenance/Defragment",
      "/etcdserverpb.Maintenance/Downgrade",
      "/etcdserverpb.Maintenance/Hash",
      "/etcdserverpb.Maintenance/HashKV",
      "/etcdserverpb.Maintenance/MoveLeader",
      "/etcdserverpb.Maintenance/Snapshot",
      "/haplan.v1.Haplan/ChangeMembers",
      "/haplan.v1.Haplan/Drain",
    ]);
    expect(pathsOf("user").toSorted()).toEqual([
      "/etcdserverpb.Cluster/MemberList",
      "/etcdserverpb.Lease/LeaseGrant",
      "/etcdserverpb.Lease/LeaseKeepAlive",
      "/etcdserverpb.Lease/LeaseLeases",
      "/etcdserverpb.Lease/LeaseRevoke",
      "/etcdserverpb.Lease/LeaseTimeToLive",
      "/etcdserverpb.Maintenance/Alarm",
      "/etcdserverpb.Maintenance/Status",
      "/haplan.v1.Haplan/Facts",
    ]);
    // Each of these calls `Access` itself, or does what any caller may: review the method before it is added here.
    const services = new Set(pathsOf("checkedByMethod").map((path) => path.slice(0, path.lastIndexOf("/"))));
    expect([...services].toSorted()).toEqual([
      "/etcdserverpb.Auth",
      "/etcdserverpb.KV",
      "/etcdserverpb.Watch",
      "/grpc.health.v1.Health",
      "/v3electionpb.Election",
      "/v3lockpb.Lock",
    ]);
    expect(pathsOf("member")).toEqual([]);
  });
});
