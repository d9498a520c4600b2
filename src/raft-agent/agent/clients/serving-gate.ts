/**
 * Holds connections and requests that arrive before the member serves. As in etcd the ports listen from the start, so
 * that an address in use is detected at once, and requests are served later: the responses of a member that has not
 * caught up would be wrong.
 */
import type { Writable } from "node:stream";

/**
 * A client that disconnects is not detected while its connection is held: after this time the connection is closed,
 * and a live client reconnects.
 */
const holdMs = 10_000;

type Held = { readonly serve: () => void; readonly drop: () => void };

export class ServingGate {
  readonly #held = new Set<Held>();
  #isOpen = false;

  /** Serves what is held, and from now on everything at once. */
  open(): void {
    this.#isOpen = true;
    for (const { serve } of [...this.#held]) serve();
  }

  /** Closes what is held. */
  close(): void {
    for (const { drop } of [...this.#held]) drop();
  }

  /** Calls `serve` once the gate is open, unless `stream`, a connection or a response, is closed by then. */
  hold(stream: Writable, serve: () => void): void {
    if (this.#isOpen) {
      serve();
      return;
    }
    const drop = (): void => void stream.destroy();
    const timer = setTimeout(drop, holdMs).unref();
    const release = (): void => {
      clearTimeout(timer);
      stream.off("error", drop);
      stream.off("close", release);
      this.#held.delete(held);
    };
    const held: Held = {
      serve: () => {
        release();
        serve();
      },
      drop,
    };
    this.#held.add(held);
    stream.on("error", drop);
    stream.on("close", release);
  }
}
