/** The peer URLs of the known members, which their certificates must cover. */
import type { MemberId } from "../raft/entry.ts";

type Addresses = { readonly urls: readonly string[]; readonly former: readonly string[] };

export class PeerAddresses {
  readonly #members = new Map<MemberId, Addresses>();

  set(peer: MemberId, urls: readonly string[]): void {
    const { urls: before, former } = this.#members.get(peer) ?? { urls: [], former: [] };
    this.#members.set(peer, { urls, former: [...former, ...before].filter((url) => !urls.includes(url)) });
  }

  remove(peer: MemberId): void {
    this.#members.delete(peer);
  }

  get(peer: MemberId): Addresses | undefined {
    return this.#members.get(peer);
  }

  /**
   * The member has shown that it is at its current URLs. Until then it is also accepted at the former ones: a member
   * that moves keeps its old certificate until it is restarted.
   */
  arrived(peer: MemberId): void {
    const { urls } = this.#members.get(peer) ?? { urls: [] };
    this.#members.set(peer, { urls, former: [] });
  }

  /** Every URL of every member. */
  all(): string[] {
    return [...this.#members.values()].flatMap(({ urls, former }) => [...urls, ...former]);
  }
}
