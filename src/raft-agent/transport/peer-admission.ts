/**
 * Which callers on the peer port are what they say they are. A member's certificate speaks for that member alone: it has
 * to be for the member's peer URLs. A caller that is not known here may be a new member whose configuration has not
 * reached this one yet, so the members that are known here are asked for its URLs.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { MemberId } from "../raft/entry.ts";
import type { Hello } from "./handshake.ts";
import type { PeerAddresses } from "./peer-addresses.ts";
import type { TransportContext } from "./transport-types.ts";

/** Why not, or where the caller can be called back. */
export type Admission = { readonly refusal: string } | { readonly refusal: null; readonly urls: readonly string[] };

export class PeerAdmission {
  readonly #context: TransportContext;
  readonly #addresses: PeerAddresses;
  /** Members that are being asked for, so that a caller that comes again and again is asked for once. */
  readonly #searches = new Map<MemberId, Promise<readonly string[] | null>>();

  constructor(context: TransportContext, addresses: PeerAddresses) {
    this.#context = context;
    this.#addresses = addresses;
  }

  async admit(socket: Socket, { from, urls }: Hello): Promise<Admission> {
    const { refuseAt, identifiesMembers } = this.#context.options.tls ?? {};
    const isIdentified = socket instanceof TLSSocket && refuseAt !== undefined && identifiesMembers?.() === true;
    if (!isIdentified) return { refusal: null, urls };
    const known = this.#addresses.get(from);
    if (known !== undefined) {
      const why = refuseAt(socket, known.urls);
      if (why === null) this.#addresses.arrived(from);
      else if (known.former.length === 0 || refuseAt(socket, known.former) !== null) return imposter(from, why);
      return { refusal: null, urls: known.urls };
    }
    const found = await this.#find(from);
    if (found === null) return { refusal: `member ${from} is not known here, nor to any member that is` };
    const why = refuseAt(socket, found);
    return why === null ? { refusal: null, urls: found } : imposter(from, why);
  }

  /** Over HTTP a caller does not say which member it is: it has to be one of them. */
  refuseHttp(socket: Socket): string | null {
    const { tls, advertisedUrls } = this.#context.options;
    if (tls?.refuseAt === undefined || !(socket instanceof TLSSocket)) return null;
    return tls.refuseAt(socket, [...this.#addresses.all(), ...advertisedUrls]);
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
  return { refusal: `it says that it is member ${from}, but ${why}` };
}
