/**
 * The connection to one peer that this member maintains: dialed repeatedly until it is established, and again when it
 * is lost.
 */
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { MemberId } from "../raft/entry.ts";
import { type Dialed, dialPeer } from "./dial.ts";
import { Purpose } from "./handshake.ts";
import { PeerChannel } from "./peer-channel.ts";
import type { PeerStatistics, TransportContext } from "./transport-types.ts";

export type PeerLinkParts = {
  readonly context: TransportContext;
  readonly peer: MemberId;
  readonly urls: readonly string[];
  readonly statistics: PeerStatistics;
  readonly onSnapshotOffer: () => void;
  readonly onUp: () => void;
  readonly onDown: () => void;
};

export class PeerLink {
  urls: readonly string[];
  readonly #parts: PeerLinkParts;
  /** The established connection. */
  channel: PeerChannel | null = null;
  #stopped = false;
  #attempts = 0;
  #lastLogged = "";
  /** Ends the pause before the next attempt. */
  #wakeUp: () => void = () => {};

  constructor(parts: PeerLinkParts) {
    this.#parts = parts;
    this.urls = parts.urls;
    void this.#maintain();
  }

  /** The peer was just heard from: dial it now. */
  dialNow(): void {
    this.#attempts = 0;
    this.#wakeUp();
  }

  /** Closes the connection and does not dial again. */
  stop(reason: string): void {
    this.#stopped = true;
    this.#wakeUp();
    this.channel?.close(reason);
  }

  async #maintain(): Promise<void> {
    const { context, peer } = this.#parts;
    while (!this.#stopped) {
      const url = this.urls[this.#attempts % Math.max(1, this.urls.length)];
      const start = context.now();
      try {
        if (url === undefined)
          throw new HaplanError("transport/unreachable", `Cannot connect to member ${peer}: it has no peer URL`);
        await this.#use(await dialPeer(context, peer, url, Purpose.messages), url);
        // A connection that lasted resets the backoff; one that did not is not redialed in a tight loop.
        if (context.now() - start > context.limits.retryMaxMs) this.#attempts = 0;
      } catch (error) {
        this.#logOnce(errorText(error));
        if (error instanceof HaplanError && error.code === "transport/removed") context.options.handlers.onRemoved?.();
        if (error instanceof HaplanError && error.code === "transport/replaced")
          context.options.handlers.onReplaced?.(error.message);
      }
      if (!this.#stopped) await this.#pause();
      this.#attempts++;
    }
  }

  /** Resolves when the connection is closed. */
  #use({ socket, rest, versions }: Dialed, url: string): Promise<void> {
    const { context, peer, statistics, onUp, onDown, onSnapshotOffer } = this.#parts;
    return new Promise((resolve) => {
      const channel = new PeerChannel(socket, {
        context,
        peer,
        statistics,
        peerVersions: versions,
        onSnapshotOffer,
        onClose: (reason) => {
          this.channel = null;
          if (!this.#stopped) context.log("warn", `lost the connection to member ${peer}: ${reason}`);
          onDown();
          resolve();
        },
      });
      if (this.#stopped) return channel.close("it is no longer needed");
      this.channel = channel;
      this.#lastLogged = "";
      context.log("info", `connected to member ${peer} at ${url}`);
      onUp();
      channel.ping();
      channel.receive(rest);
    });
  }

  #pause(): Promise<void> {
    const { limits, options } = this.#parts.context;
    const longest = Math.min(limits.retryMaxMs, limits.retryMinMs * 2 ** Math.min(this.#attempts, 20));
    const pauseMs = longest * (0.5 + options.random.next() / 2);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #logOnce(text: string): void {
    if (text === this.#lastLogged || this.#stopped) return;
    this.#lastLogged = text;
    this.#parts.context.log("warn", text);
  }
}
