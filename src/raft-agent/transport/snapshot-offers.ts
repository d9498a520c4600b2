/**
 * Snapshots for peers that this member cannot dial: each is offered on the connection opened by the peer, and the peer
 * connects once more to fetch it.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import type { MemberId } from "../raft/entry.ts";
import type { Dialed } from "./dial.ts";
import type { PeerChannel } from "./peer-channel.ts";

type Offer = { readonly peer: MemberId; readonly accept: (connection: Dialed) => void };

export class SnapshotOffers {
  readonly #offers: Offer[] = [];

  /**
   * Resolves with the connection on which the peer receives the snapshot. @throws HaplanError `transport/unreachable`
   * when the peer does not connect in time
   */
  make(peer: MemberId, channel: PeerChannel, timeoutMs: number): Promise<Dialed> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#offers.splice(this.#offers.indexOf(offer), 1);
      };
      const timer = setTimeout(() => {
        end();
        const text = `Cannot send a snapshot to member ${peer}: it cannot be dialed, and did not connect to fetch it within ${timeoutMs} ms`;
        reject(new HaplanError("transport/unreachable", text));
      }, timeoutMs);
      const offer: Offer = {
        peer,
        accept: (connection) => {
          end();
          resolve(connection);
        },
      };
      this.#offers.push(offer);
      channel.offerSnapshot();
    });
  }

  /** The peer connects for what it was offered. False when there is no offer (any more). */
  accept(peer: MemberId, connection: Dialed): boolean {
    const offer = this.#offers.find((each) => each.peer === peer);
    offer?.accept(connection);
    return offer !== undefined;
  }
}
