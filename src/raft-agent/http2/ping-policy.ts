/**
 * Keepalive in both directions, after grpc-go's transport (keepalive.ServerParameters and EnforcementPolicy), whose
 * defaults etcd sets: a client may ping every 5 s while it has streams; the server pings after 2 h of silence and
 * gives the client 20 s to respond.
 */

import { longestTimerMs } from "../../base/longest-timer.ts";

export type KeepaliveOptions = {
  /** A client that pings more often than this accumulates strikes. */
  readonly minTimeMs: number;
  /** Whether a client without streams may ping at that rate; otherwise only every two hours. */
  readonly permitWithoutStream: boolean;
  /** The server pings after this long without a byte from the client; 0 disables it. */
  readonly intervalMs: number;
  /** The time limit for a response to the server's ping. */
  readonly timeoutMs: number;
};

export const etcdKeepalive: KeepaliveOptions = {
  minTimeMs: 5_000,
  permitWithoutStream: false,
  intervalMs: 7_200_000,
  timeoutMs: 20_000,
};

const strikesMax = 2;
const withoutStreamMs = 7_200_000;

/**
 * Counts pings that arrive too soon. DATA or HEADERS frames written since the last ping reset the count
 * (resetPingStrikes in grpc-go): a client measures its bandwidth with a ping for each round trip in which data
 * arrives.
 */
export class PingStrikes {
  readonly #options: KeepaliveOptions;
  #strikes = 0;
  #lastPingMs = Number.NEGATIVE_INFINITY;

  constructor(options: KeepaliveOptions) {
    this.#options = options;
  }

  /** False when the client has pinged too often and must be disconnected. */
  allow(nowMs: number, hasStreams: boolean, sentSinceLastPing: boolean): boolean {
    const sinceLastMs = nowMs - this.#lastPingMs;
    this.#lastPingMs = nowMs;
    if (sentSinceLastPing) {
      this.#strikes = 0;
      return true;
    }
    const paceMs = hasStreams || this.#options.permitWithoutStream ? this.#options.minTimeMs : withoutStreamMs;
    if (sinceLastMs < paceMs) this.#strikes++;
    return this.#strikes <= strikesMax;
  }
}

/** Pings a silent client and reports it dead when it stays silent. */
export class IdlePing {
  readonly #options: KeepaliveOptions;
  readonly #sendPing: () => void;
  readonly #onDead: () => void;
  #timer: NodeJS.Timeout | undefined = undefined;
  #onActivity = false;
  #asked = false;

  constructor(options: KeepaliveOptions, sendPing: () => void, onDead: () => void) {
    this.#options = options;
    this.#sendPing = sendPing;
    this.#onDead = onDead;
    this.#arm(options.intervalMs);
  }

  /** Bytes arrived from the client. */
  onActivity(): void {
    this.#onActivity = true;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(ms: number): void {
    if (this.#options.intervalMs <= 0) return;
    this.#timer = setTimeout(this.#onTimer, Math.min(ms, longestTimerMs)).unref();
  }

  readonly #onTimer = (): void => {
    if (this.#onActivity) {
      this.#onActivity = false;
      this.#asked = false;
      this.#arm(this.#options.intervalMs);
    } else if (this.#asked) this.#onDead();
    else {
      this.#asked = true;
      this.#sendPing();
      this.#arm(this.#options.timeoutMs);
    }
  };
}
