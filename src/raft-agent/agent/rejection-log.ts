/**
 * Logs rejected connections like etcd. A rejected client reconnects several times per second: the same rejection is
 * logged at once, then after a pause that doubles each time, with the number of repetitions in between.
 */
import type { Logger } from "pino";
import type { RejectedConnection } from "../../base/rejected-connection.ts";

const firstPauseMs = 1_000;
const longestPauseMs = 600_000;
/** The number of different rejections tracked at the same time. */
const keptMax = 256;

type Kept = { quietUntilMs: number; pauseMs: number; repeated: number };

export class RejectionLog {
  readonly #kept = new Map<string, Kept>();
  readonly #message: string;
  readonly #logger: Pick<Logger, "warn" | "debug">;
  readonly #now: () => number;

  constructor(endpoint: "client" | "peer", logger: Pick<Logger, "warn" | "debug">, now: () => number) {
    this.#message = `rejected connection on ${endpoint} endpoint`;
    this.#logger = logger;
    this.#now = now;
  }

  add(rejection: RejectedConnection): void {
    const repeated = this.#countRepeats(rejection);
    if (repeated === null) return;
    const { remoteAddress, serverName, names, error, isGone } = rejection;
    const fields = {
      "remote-addr": remoteAddress,
      "server-name": serverName,
      ...(names === null ? {} : { "ip-addresses": names.ipAddresses, "dns-names": names.dnsNames }),
      error,
      ...(repeated === 0 ? {} : { repeated }),
    };
    // As in etcd: disconnecting clients are no error; health checks do so all day.
    if (isGone) this.#logger.debug(fields, this.#message);
    else this.#logger.warn(fields, this.#message);
  }

  /** How often the same rejection was suppressed since it was last logged; null to suppress it now. */
  #countRepeats({ remoteAddress, error }: RejectedConnection): number | null {
    const nowMs = this.#now();
    const key = `${remoteAddress.replace(/:\d+$/, "")} ${error}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined && nowMs < kept.quietUntilMs) {
      kept.repeated++;
      return null;
    }
    // A rejection that did not recur for as long as it was suppressed is new again.
    const isNew = kept === undefined || nowMs > kept.quietUntilMs + kept.pauseMs;
    const pauseMs = isNew ? firstPauseMs : Math.min(2 * kept.pauseMs, longestPauseMs);
    this.#kept.delete(key);
    this.#kept.set(key, { quietUntilMs: nowMs + pauseMs, pauseMs, repeated: 0 });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= keptMax) break;
      this.#kept.delete(oldest);
    }
    return kept?.repeated ?? 0;
  }
}
