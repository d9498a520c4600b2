import { expect, it } from "vitest";
import type { CallChannel } from "../etcd-client/call-channel.ts";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import { Login, requireAccess, withLogin } from "./login.ts";
import type { MemberPool } from "./member-pool.ts";

it("logs in once a cluster has users that had none before", async () => {
  let hasUsers = false;
  const pool = {
    tryEach: async () => {
      if (!hasUsers) throw new GrpcError(StatusCode.failedPrecondition, "etcdserver: authentication is not enabled");
      return "token-1";
    },
    close: () => {},
  } as unknown as MemberPool;
  const sent: unknown[] = [];
  const channel = {
    unary: async (_path: string, _request: Uint8Array, { metadata }: { readonly metadata?: { token?: string } }) => {
      sent.push(metadata?.token ?? null);
      if (hasUsers && metadata?.token === undefined)
        throw new GrpcError(StatusCode.invalidArgument, "etcdserver: user name is empty");
      return new Uint8Array();
    },
  } as unknown as CallChannel;
  const user = withLogin(channel, new Login(pool, { name: "root", password: "secret" }));
  await user.unary("/etcdserverpb.KV/Range", new Uint8Array());
  hasUsers = true;
  await user.unary("/etcdserverpb.KV/Range", new Uint8Array());
  expect(sent).toEqual([null, null, "token-1"]);
});

it("logs in once for many calls whose token is rejected at once", async () => {
  let logins = 0;
  const pool = { tryEach: async () => `token-${++logins}`, close: () => {} } as unknown as MemberPool;
  let valid = "token-1";
  const channel = {
    unary: async (_path: string, _request: Uint8Array, { metadata }: { readonly metadata?: { token?: string } }) => {
      if (metadata?.token !== valid) throw new GrpcError(StatusCode.unauthenticated, "etcdserver: invalid auth token");
      return new Uint8Array();
    },
  } as unknown as CallChannel;
  const user = withLogin(channel, new Login(pool, { name: "root", password: "secret" }));
  const call = (): Promise<unknown> => user.unary("/etcdserverpb.KV/Put", new Uint8Array());
  await call();
  valid = "token-2";
  await Promise.all(Array.from({ length: 30 }, call));
  expect(logins).toBe(2);
});

it("does not blame the user for calls with the certificate's name, while no login succeeds", async () => {
  let hasMajority = false;
  const pool = {
    tryEach: async () => {
      if (!hasMajority) throw new GrpcError(StatusCode.unavailable, "etcdserver: no leader");
      return "token-1";
    },
    close: () => {},
  } as unknown as MemberPool;
  const login = new Login(pool, { name: "operator", password: "secret" });
  await expect(login.token()).rejects.toThrow("no leader");
  expect(() => requireAccess(["not permitted"], login, null)).not.toThrow();
  hasMajority = true;
  const later = new Login(pool, { name: "operator", password: "secret" });
  await later.token();
  // Its calls may have been made before it had the token.
  expect(() => requireAccess(["not permitted"], later, null)).not.toThrow();
});

it.each([
  [true, "does not blame a user with the role root, whose token a member may not know yet"],
  [false, "blames a user without the role root"],
])("root %s: %s", (root) => {
  const login = new Login({} as MemberPool, { name: "operator", password: "secret" });
  const require = (): void => requireAccess(["not permitted"], login, { name: "operator", root });
  if (root) expect(require).not.toThrow();
  else expect(require).toThrow('User "operator" may not read below /haplan/');
});

it("fails a call that needs a user with the error of the login, which may be repeated", async () => {
  const pool = {
    tryEach: async () => {
      throw new GrpcError(StatusCode.deadlineExceeded, "no answer in time");
    },
    close: () => {},
  } as unknown as MemberPool;
  const channel = {
    unary: async () => {
      throw new GrpcError(StatusCode.invalidArgument, "etcdserver: user name is empty");
    },
  } as unknown as CallChannel;
  const call = withLogin(channel, new Login(pool, { name: "operator", password: "secret" }));
  await expect(call.unary("/etcdserverpb.KV/Range", new Uint8Array())).rejects.toMatchObject({
    code: StatusCode.deadlineExceeded,
  });
});
