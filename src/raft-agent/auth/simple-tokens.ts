/**
 * Tokens of the kind `simple`: sixteen random letters, a dot, and the index of the log entry that created them. Every
 * member learns of each login from the log and keeps it in memory for a while after the last use; a restart drops all,
 * and clients log in again.
 */
import { randomInt } from "node:crypto";

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const prefixLetters = 16;
/** The least recently used one is evicted: a client that never reuses its token must not exhaust memory. */
const tokensMax = 100_000;

type Login = { readonly user: string; expiresAtMs: number };

export type SimpleTokensOptions = {
  readonly ttlMs: number;
  readonly clock: { monotonicMs(): number };
};

export class SimpleTokens {
  /** In order of their last use. */
  readonly #logins = new Map<string, Login>();
  readonly #options: SimpleTokensOptions;

  constructor(options: SimpleTokensOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#logins.size;
  }

  assign(token: string, user: string): void {
    if (this.#logins.size >= tokensMax) {
      for (const oldest of this.#logins.keys()) {
        this.#logins.delete(oldest);
        break;
      }
    }
    this.#logins.set(token, { user, expiresAtMs: this.#nextExpiryMs() });
  }

  /** Null for a token that is unknown or expired. Using a token renews it. */
  userOf(token: string): string | null {
    const login = this.#logins.get(token);
    if (login === undefined) return null;
    this.#logins.delete(token);
    if (login.expiresAtMs <= this.#options.clock.monotonicMs()) return null;
    login.expiresAtMs = this.#nextExpiryMs();
    this.#logins.set(token, login);
    return login.user;
  }

  forgetUser(user: string): void {
    for (const [token, login] of this.#logins) if (login.user === user) this.#logins.delete(token);
  }

  clear(): void {
    this.#logins.clear();
  }

  /** Called periodically: drops expired tokens. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [token, { expiresAtMs }] of this.#logins) {
      if (expiresAtMs > nowMs) return;
      this.#logins.delete(token);
    }
  }

  #nextExpiryMs(): number {
    return this.#options.clock.monotonicMs() + this.#options.ttlMs;
  }
}

/** The part before the dot. */
export function randomTokenPrefix(): string {
  return Array.from({ length: prefixLetters }, () => letters[randomInt(letters.length)]).join("");
}

/** The log index in a token; null when it is not of this kind. */
export function tokenIndex(token: string): number | null {
  const match = /^[^.]*\.(\d{1,15})$/.exec(token);
  return match === null ? null : Number(match[1]);
}
