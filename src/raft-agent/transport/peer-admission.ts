/**
 * Verifies that callers on the peer port are the members they claim to be. A member's certificate is valid for that
 * member alone: it has to cover the member's peer URLs. An unknown caller may be a new member whose configuration has
 * not been replicated to this one yet, so the known members are asked for its URLs.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { MemberId } from "../raft/entry.ts";
import type { Hello } from "./handshake.ts";
import type { PeerAddresses } from "./peer-addresses.ts";
import type { TransportContext } from "./transport-types.ts";

/** The reason for a rejection, or the URLs at which the caller can be dialed. */
export type Admission = { readonly rejection: string } | { readonly rejection: null; readonly urls: readonly string[] };

export class PeerAdmission {
  readonly #context: TransportContext;
  readonly #addresses: PeerAddresses;
  /** Lookups in progress, so that a caller that reconnects repeatedly is looked up once. */
  readonly #searches = new Map<MemberId, Promise<readonly string[] | null>>();

  constructor(context: TransportContext, addresses: PeerAddresses) {
    this.#context = context;
    this.#addresses = addresses;
  }

  async admit(socket: Socket, { from, urls }: Hello): Promise<Admission> {
    const { rejectReasonAt, identifiesMembers } = this.#context.options.tls ?? {};
    const isIdentified = socket instanceof TLSSocket && rejectReasonAt !== undefined && identifiesMembers?.() === true;
    if (!isIdentified) return { rejection: null, urls };
    const known = this.#addresses.get(from);
    if (known !== undefined) {
      const why = rejectReasonAt(socket, known.urls);
      if (why === null) this.#addresses.arrived(from);
      else if (known.former.length === 0 || rejectReasonAt(socket, known.former) !== null) return imposter(from, why);
      return { rejection: null, urls: known.urls };
    }
    const found = await this.#find(from);
    if (found === null) return { rejection: `member ${from} is unknown here and to all known members` };
    const why = rejectReasonAt(socket, found);
    return why === null ? { rejection: null, urls: found } : imposter(from, why);
  }

  /** Over HTTP a caller does not identify itself: it has to be one of the members. */
  httpRejection(socket: Socket): string | null {
    const { tls, advertisedUrls } = this.#context.options;
    if (tls?.rejectReasonAt === undefined || !(socket instanceof TLSSocket)) return null;
    return tls.rejectReasonAt(socket, [...this.#addresses.all(), ...advertisedUrls]);
  }

  #find(peer: MemberId): Promise<readonly string[] | null> {
    const { findMember } = this.#context.options;
    if (findMember === undefined) return Promise.resolve(null);
    let search = this.#searches.get(peer);
    if (search === undefined) {
      search = findMember(peer, this.#addresses.all()).finally(() => this.#searches.delete(peer));
      this.#searches.set(peer, search);
    }
    return search;
  }
}

function imposter(from: MemberId, why: string): Admission {
  return { rejection: `it claims to be member ${from}, but ${why}` };
}
