/**
 * Passwords that were found right before, so that a login that is known to be right waits for no check: neither behind
 * others' wrong passwords nor behind a thousand clients that come again. Kept in memory only, as codes that are of
 * no use without a key that this process has made for itself. Wrong passwords are not remembered: each costs a
 * guesser the whole check.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** Of so many users; the one that was used longest ago is forgotten. */
const entriesMax = 10_000;

export class VerifiedPasswords {
  readonly #key: Buffer = randomBytes(32);
  /** By the hash that is stored for the user, which is salted and so belongs to one password alone. */
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
