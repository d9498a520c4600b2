/**
 * A user of a cluster with auth enabled: gets a token, sends it with every call, and gets a new one when it is no
 * longer accepted, as clientv3 does. Password and token are in memory only.
 */

import { errorText, HaplanError } from "../base/haplan-error.ts";
import type { CallChannel } from "../etcd-client/call-channel.ts";
import type { CallOptions } from "../etcd-client/client-stream.ts";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import type { Refusal } from "./access-refusal.ts";
import type { EtcdUser } from "./control-plane.ts";
import type { MemberPool } from "./member-pool.ts";

const loginTimeoutMs = 3_000;
/** A failed login is not repeated by every following call: without a majority none succeeds. */
const retryAfterMs = 1_000;
/** The role that may change members and take snapshots. */
const rootRole = "root";

export type Account = { readonly name: string; readonly root: boolean };

export class Login {
  readonly #pool: MemberPool;
  readonly #user: EtcdUser;
  #token: Promise<string | null> | null = null;
  #failedAt = Number.NEGATIVE_INFINITY;

  /** `pool` has channels without a login; `close` closes it. */
  constructor(pool: MemberPool, user: EtcdUser) {
    this.#pool = pool;
    this.#user = user;
  }

  get userName(): string {
    return this.#user.name;
  }

  /**
   * Null if the cluster has no users. @throws HaplanError `control-plane/login-refused`, or the error of a cluster that
   * does not answer
   */
  token(): Promise<string | null> {
    if (performance.now() - this.#failedAt > retryAfterMs) {
      this.#failedAt = Number.POSITIVE_INFINITY;
      this.#token = null;
    }
    this.#token ??= this.#ask().catch((error: unknown) => {
      this.#failedAt = performance.now();
      throw error;
    });
    return this.#token;
  }

  /** The user as the members know it; null if they have no users. */
  async account(): Promise<Account | null> {
    if ((await this.token()) === null) return null;
    const name = this.userName;
    const roles = await this.#pool.tryEach(
      (client) => client.over((channel) => withLogin(channel, this)).auth.rolesOf(name),
      loginTimeoutMs,
    );
    return { name, root: roles.includes(rootRole) };
  }

  /**
   * The next call gets a new token, unless another one was asked for since `stale`: of many calls that are rejected at once, one
   * logs in. A login costs the members tens of milliseconds of work each.
   */
  forget(stale: Promise<string | null>): void {
    if (this.#token === stale) this.#token = null;
  }

  close(): void {
    this.#pool.close();
  }

  async #ask(): Promise<string | null> {
    const { name, password } = this.#user;
    try {
      return await this.#pool.tryEach((client) => client.auth.authenticate(name, password), loginTimeoutMs);
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      if (error.code === StatusCode.failedPrecondition) return null;
      if (error.code !== StatusCode.invalidArgument && error.code !== StatusCode.unauthenticated) throw error;
      throw new HaplanError(
        "control-plane/login-refused",
        `The members reject user "${name}": ${errorText(error)}. Check HAPLAN_ETCD_USER and HAPLAN_ETCD_PASSWORD`,
        { cause: error },
      );
    }
  }
}

/** The same channel, for the user. */
export function withLogin(channel: CallChannel, login: Login): CallChannel {
  // Some calls need no user; the others fail with a specific error.
  const asUser = async <Options extends CallOptions>(
    options: Options,
    asked: Promise<string | null> = login.token(),
  ): Promise<Options> => {
    const token = await asked.catch(() => null);
    return token === null ? options : { ...options, metadata: { ...options.metadata, token } };
  };
  return {
    unary: async (path, request, options = {}) => {
      const asked = login.token();
      try {
        return await channel.unary(path, request, await asUser(options, asked));
      } catch (error) {
        if (!isStale(error)) throw error;
        login.forget(asked);
        await login.token().catch((reason: unknown) => {
          // The call was not processed, and may succeed once a login does.
          throw reason instanceof GrpcError ? reason : error;
        });
        return channel.unary(path, request, await asUser(options));
      }
    },
    stream: async (path, options = {}) => channel.stream(path, await asUser(options)),
    close: () => channel.close(),
  };
}

/** It has expired, the member does not know it (yet), users have changed since, or there are users only now; the call was not processed. */
function isStale(error: unknown): boolean {
  return (
    error instanceof GrpcError &&
    (error.code === StatusCode.unauthenticated ||
      /revision .* is old|auth token|user name is empty/.test(error.message))
  );
}

/** `account`: null if it is not known. @throws HaplanError if all members that answer reject haplan */
export function requireAccess(refusals: readonly Refusal[], login: Login | null, account: Account | null): void {
  if (refusals.length === 0 || refusals.includes(null)) return;
  if (login === null) {
    throw new HaplanError(
      "control-plane/user-needed",
      "This cluster has users, but haplan has no credentials. Set HAPLAN_ETCD_USER to a user with the role root, and HAPLAN_ETCD_PASSWORD to its password",
    );
  }
  // A failed login has been reported already, or could not be decided without a majority: what was refused is a call without a user, or
  // with that of haplan's certificate. It may also be decided meanwhile.
  if (refusals.includes("user needed") || account === null || account.root) return;
  throw new HaplanError(
    "control-plane/not-permitted",
    `User "${login.userName}" may not read below /haplan/. Set HAPLAN_ETCD_USER to a user with the role root`,
  );
}
