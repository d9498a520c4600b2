/**
 * Clients that wait while the members behind the load balancer are exchanged. The connections of before are closed between
 * two calls, so that clients connect again; new connections are accepted, and nothing is read from them. A client's calls
 * wait for its connection, and do not fail. The hold ends by itself, whatever becomes of its requester.
 */
import type { ClientHoldRequest } from "../units/load-balancer-unit.ts";
import type { HoldProgress } from "./load-balancer-status.ts";
import type { Session } from "./session.ts";
import type { Quiet } from "./until-quiet.ts";

/**
 * What counts as a moment between two calls, each for a while: a busy connection has shorter ones than an idle one. What has
 * none is closed at the end.
 */
const stages: readonly (Quiet & { readonly forMs: number })[] = [
  { afterResponseMs: 5, afterRequestMs: 250, forMs: 300 },
  { afterResponseMs: 2, afterRequestMs: 100, forMs: 120 },
  { afterResponseMs: 1, afterRequestMs: 100, forMs: 120 },
];

export class ClientHold {
  /** Resolves once all connections of before are closed, with the number of those that had no moment between two calls. */
  readonly closed: Promise<number>;
  readonly id: string;
  readonly #waiting: Session[];
  readonly #timer: NodeJS.Timeout;
  #ended = false;
  #complete = false;
  #cut = 0;

  /**
   * `former`: the hold that this one replaces; those that wait continue to. `onExpired` is called when nothing has ended the hold
   * for `forMs`.
   */
  constructor(
    sessions: readonly Session[],
    { id, forMs }: ClientHoldRequest,
    former: ClientHold | null,
    onExpired: () => void,
  ) {
    this.id = id;
    this.#waiting = former === null ? [] : former.#handOver();
    const present = sessions.filter((session) => !this.#waiting.includes(session));
    this.#timer = setTimeout(() => {
      onExpired();
      this.end();
    }, forMs);
    this.closed = Promise.all(present.map((session) => this.#close(session))).then(() => {
      this.#complete = true;
      return this.#cut;
    });
  }

  add(session: Session): void {
    this.#waiting.push(session);
  }

  progress(): HoldProgress {
    return { id: this.id, complete: this.#complete, cut: this.#cut };
  }

  /** Forwards those that wait. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    for (const session of this.#waiting.splice(0)) session.start();
  }

  #handOver(): Session[] {
    this.#ended = true;
    clearTimeout(this.#timer);
    return this.#waiting.splice(0);
  }

  async #close(session: Session): Promise<void> {
    for (const { forMs, ...quiet } of stages) {
      const limit = AbortSignal.timeout(forMs);
      if (await session.isQuiet(quiet, limit)) {
        session.close();
        return;
      }
    }
    this.#cut++;
    session.close();
  }
}
