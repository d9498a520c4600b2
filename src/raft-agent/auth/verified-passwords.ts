/**
 * Passwords that were verified before, so that a login that is known to be right waits for no check: neither behind
 * wrong passwords of other callers nor behind a thousand reconnecting clients. Kept in memory only, as MACs that are
 * useless without a key that this process generated. Wrong passwords are not remembered: each guess costs a full
 * check.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** The number of users; the least recently used one is dropped. */
const entriesMax = 10_000;

export class VerifiedPasswords {
  readonly #key: Buffer = randomBytes(32);
  /** By the user's stored hash, which is salted and so belongs to one password alone. */
  readonly #codes = new Map<string, Buffer>();

  remember(hash: string, password: string): void {
    this.#codes.delete(hash);
    this.#codes.set(hash, this.#code(hash, password));
    if (this.#codes.size <= entriesMax) return;
    const [oldest = ""] = this.#codes.keys();
    this.#codes.delete(oldest);
  }

  /** Whether this is certainly the password of the hash. */
  has(hash: string, password: string): boolean {
    const code = this.#codes.get(hash);
    return code !== undefined && timingSafeEqual(code, this.#code(hash, password));
  }

  #code(hash: string, password: string): Buffer {
    return createHmac("sha256", this.#key).update(`${hash.length}:${hash}`).update(password).digest();
  }
}
