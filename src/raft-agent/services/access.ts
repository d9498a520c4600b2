/**
 * Authenticates and authorizes callers. Costs only a check of `enabled` while authentication is disabled.
 *
 * A user is identified by the token in the call's metadata, by the common name of a verified client certificate, or by
 * another member that forwards the call.
 */
import { signToken, type TokenKeys, verifyToken } from "../auth/json-web-token.ts";
import { SimpleTokens, tokenIndex } from "../auth/simple-tokens.ts";
import type { ConsensusPort } from "../consensus/consensus-port.ts";
import type { ServerCall } from "../grpc/call.ts";
import type { LogIndex } from "../raft/entry.ts";
import type { AuthEvent } from "../state-machine/auth-command.ts";
import type { AuthStore } from "../state-machine/auth-store.ts";
import type { Caller } from "../state-machine/caller.ts";
import { type EtcdError, EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import type { AccessLevel } from "./served-method.ts";

export type TokenSettings =
  | { readonly kind: "simple"; readonly ttlMs: number }
  | { readonly kind: "jwt"; readonly keys: TokenKeys; readonly ttlMs: number };

export type AuthSettings = {
  readonly tokens: TokenSettings;
  readonly bcryptCost: number;
  /** etcd's `--client-cert-auth`: a verified certificate's common name is a user. */
  readonly loginByCertificate: boolean;
};

export const defaultAuthSettings: AuthSettings = {
  tokens: { kind: "simple", ttlMs: 300_000 },
  bcryptCost: 10,
  loginByCertificate: false,
};

export type AccessOptions = {
  readonly auth: AuthStore;
  readonly consensus: ConsensusPort;
  readonly settings: AuthSettings;
  readonly clock: { now(): number; monotonicMs(): number };
  readonly requestTimeoutMs: number;
  /** Runs `done` once this member has applied all that the leader had committed; with an error if that is unknown. */
  readonly awaitCommitted: (done: (error: EtcdError | null) => void) => void;
};

/** A call whose token was created by another member, in an entry that is not applied here yet. */
type PendingToken = { readonly index: LogIndex; readonly deadlineMs: number; readonly run: () => void };

/** Calls with tokens from the future; an attacker can invent such tokens, so they must not accumulate. */
const pendingTokensMax = 1_000;

export class Access {
  readonly #options: AccessOptions;
  readonly #simpleTokens: SimpleTokens;
  #pendingTokens: PendingToken[] = [];

  constructor(options: AccessOptions) {
    this.#options = options;
    const { tokens } = options.settings;
    this.#simpleTokens = new SimpleTokens({ ttlMs: tokens.ttlMs, clock: options.clock });
  }

  get enabled(): boolean {
    return this.#options.auth.enabled;
  }

  get settings(): AuthSettings {
    return this.#options.settings;
  }

  /** The call's user; null when it names none, or while authentication is disabled. */
  callerOf(call: ServerCall): Caller | null | EtcdError {
    const { auth, settings } = this.#options;
    if (!auth.enabled) return null;
    if (call.forwardedCaller !== undefined) return call.forwardedCaller;
    const token = tokenOf(call);
    if (token !== undefined) return this.#callerOfToken(token) ?? EtcdErrors.invalidAuthToken;
    const name = settings.loginByCertificate ? call.clientCommonName : undefined;
    return name === undefined ? null : { user: name, authRevision: auth.revision };
  }

  /** Authorizes the call as a whole. */
  authorize(call: ServerCall, level: AccessLevel): EtcdError | null {
    if (!this.enabled || level === "checkedByMethod" || level === "member") return null;
    const caller = this.callerOf(call);
    if (isEtcdError(caller)) return caller;
    if (level === "root") return this.#options.auth.checkAdmin(caller);
    return caller === null ? EtcdErrors.userEmpty : null;
  }

  /** Authorizes the response to a read. Call it in the turn in which the response is sent. */
  authorizeRead(call: ServerCall, check: (caller: Caller | null) => EtcdError | null): EtcdError | null {
    if (!this.enabled) return null;
    const caller = this.callerOf(call);
    if (isEtcdError(caller)) return caller;
    const stale = caller !== null && caller.authRevision !== this.#options.auth.revision;
    return check(caller) ?? (stale ? EtcdErrors.authOldRevision : null);
  }

  checkKeyAccess(call: ServerCall, key: Uint8Array, rangeEnd: Uint8Array): EtcdError | null {
    return this.authorizeRead(call, (caller) => this.#options.auth.checkKeyAccess(caller, "read", key, rangeEnd));
  }

  /** True when the call's token comes from an entry that is not applied here yet: use `awaitToken`. */
  isTokenPending(call: ServerCall): boolean {
    if (!this.enabled || call.forwardedCaller !== undefined || this.settings.tokens.kind !== "simple") return false;
    const index = indexOfToken(call);
    return index !== null && index > this.#options.consensus.appliedIndex();
  }

  /**
   * Runs `run` once the call's token can be known here, or it times out. A token that is ahead of everything committed is
   * another cluster's: etcd lets such a call wait until its deadline, here it is rejected at once, so that the client logs in again.
   */
  awaitToken(call: ServerCall, run: () => void): void {
    const { clock, requestTimeoutMs, awaitCommitted } = this.#options;
    if (this.#pendingTokens.length >= pendingTokensMax) {
      run();
      return;
    }
    const deadlineMs = clock.monotonicMs() + requestTimeoutMs;
    const pending = { index: indexOfToken(call) ?? 0, deadlineMs, run };
    this.#pendingTokens.push(pending);
    awaitCommitted((error) => {
      if (error === null) this.#release((each) => each === pending);
    });
  }

  applied(index: LogIndex): void {
    if (this.#pendingTokens.length > 0) this.#release((pendingTokens) => pendingTokens.index <= index);
  }

  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#pendingTokens.length > 0) this.#release((pendingTokens) => pendingTokens.deadlineMs <= nowMs);
    this.#simpleTokens.tick();
  }

  stop(): void {
    this.#release(() => true);
  }

  authChanged(event: AuthEvent): void {
    if (event.kind === "disabled") this.#simpleTokens.clear();
    else if (event.kind === "userChanged") this.#simpleTokens.forgetUser(event.user);
    else if (this.settings.tokens.kind === "simple") this.#simpleTokens.assign(event.token, event.user);
  }

  /** A snapshot replaced entries that may have invalidated logins. */
  snapshotInstalled(): void {
    this.#simpleTokens.clear();
  }

  /** The token for the client; null when this member has no key to sign one. */
  issueToken(login: { user: string; simpleToken: string; authRevision: number }): string | null {
    const { tokens } = this.settings;
    if (tokens.kind === "simple") return login.simpleToken;
    if (tokens.keys.signKey === null) return null;
    const exp = Math.floor((this.#options.clock.now() + tokens.ttlMs) / 1_000);
    return signToken(tokens.keys, { username: login.user, revision: login.authRevision, exp });
  }

  #callerOfToken(token: string): Caller | null {
    const { auth, clock, settings } = this.#options;
    if (settings.tokens.kind === "simple") {
      const user = this.#simpleTokens.userOf(token);
      return user === null ? null : { user, authRevision: auth.revision };
    }
    const claims = verifyToken(settings.tokens.keys, token, clock.now());
    if (claims === null) return null;
    const { username, revision } = claims as { username?: unknown; revision?: unknown };
    if (typeof username !== "string" || !Number.isSafeInteger(revision) || Number(revision) < 0) return null;
    return { user: username, authRevision: Number(revision) };
  }

  #release(isDue: (pendingTokens: PendingToken) => boolean): void {
    const due = this.#pendingTokens.filter(isDue);
    if (due.length === 0) return;
    this.#pendingTokens = this.#pendingTokens.filter((pendingTokens) => !isDue(pendingTokens));
    for (const pendingTokens of due) pendingTokens.run();
  }
}

/** gRPC clients send `token`, clients of the JSON gateway `authorization`. */
function tokenOf(call: ServerCall): string | undefined {
  return (call.header("token") ?? call.header("authorization"))?.replace(/^Bearer /i, "");
}

function indexOfToken(call: ServerCall): LogIndex | null {
  const token = tokenOf(call);
  return token === undefined ? null : tokenIndex(token);
}
