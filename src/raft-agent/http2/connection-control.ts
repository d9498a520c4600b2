/**
 * The part of a connection that concerns none of its streams (RFC 9113): the preface of either side and SETTINGS, PING
 * and keepalive, and the graceful shutdown, which needs a PING to learn when its GOAWAY has arrived. Such frames are
 * rare.
 */
import type { Socket } from "node:net";
import type { ConnectionOptions } from "./connection-options.ts";
import type { ConnectionSender } from "./connection-sender.ts";
import { TokenBucket } from "./flood-guard.ts";
import {
  clientPreface,
  defaultWindowBytes,
  ErrorCode,
  Flag,
  goawayFrame,
  maxStreamId,
  pingFrame,
  SettingId,
  settingsFrame,
} from "./frame.ts";
import { ConnectionError, floodError, frameSizeError, protocolError } from "./http2-error.ts";
import { applySettings, type PeerSettings } from "./peer-settings.ts";
import { IdlePing, PingStrikes } from "./ping-policy.ts";
import type { SendingStream } from "./sending-stream.ts";

const drainPing = Buffer.from("draining");
const idlePing = Buffer.from("keepaliv");

export type ControlledConnection = {
  readonly options: ConnectionOptions;
  readonly socket: Socket;
  readonly sender: Pick<ConnectionSender<SendingStream>, "frame" | "windowUpdate" | "encoder" | "takeSent">;
  readonly peerSettings: PeerSettings;
  readonly streamCount: number;
};

export type ControlListener = {
  /** The client has changed SETTINGS_INITIAL_WINDOW_SIZE by this amount. */
  windowChanged(change: number): void;
  /** The client has received the GOAWAY of the shutdown. May be called repeatedly. */
  drainAcknowledged(): void;
};

export class ConnectionControl {
  /** The client's first frame has arrived. */
  settingsSeen = false;
  readonly #connection: ControlledConnection;
  readonly #listener: ControlListener;
  readonly #frames: TokenBucket;
  readonly #strikes: PingStrikes;
  readonly #idlePing: IdlePing;
  readonly #prefaceTimer: NodeJS.Timeout;
  #prefaceMatched = 0;
  #draining = false;

  constructor(connection: ControlledConnection, listener: ControlListener) {
    const { options, socket, sender } = connection;
    this.#connection = connection;
    this.#listener = listener;
    this.#frames = new TokenBucket(options.limits.flood.control, options.nowMs);
    this.#strikes = new PingStrikes(options.keepalive);
    this.#idlePing = new IdlePing(
      options.keepalive,
      () => sender.frame(pingFrame(idlePing, false)),
      () => socket.destroy(),
    );
    this.#prefaceTimer = setTimeout(() => socket.destroy(), options.limits.prefaceTimeoutMs).unref();
    this.#sendPreface();
  }

  /**
   * Processes received bytes: returns the offset at which frames start, after any part of the client's preface (§3.4).
   */
  receive(chunk: Buffer): number {
    this.#idlePing.onActivity();
    return this.#prefaceMatched < clientPreface.length ? this.#matchPreface(chunk) : 0;
  }

  /** Charges a frame that costs the client next to nothing. */
  charge(what: string): void {
    if (!this.#frames.take()) throw floodError(what);
  }

  /**
   * Announces the shutdown (§6.8), to a client that is only connecting once it has sent its preface: gRPC clients for
   * Go take a GOAWAY that arrives before for a failed connection, and wait a second before the next one.
   */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    if (this.settingsSeen) this.#announceShutdown();
  }

  #announceShutdown(): void {
    const { sender } = this.#connection;
    sender.frame(goawayFrame(maxStreamId, ErrorCode.noError, "shutting down"));
    // The response to this ping confirms that the client has received the GOAWAY; only then is the last stream known.
    sender.frame(pingFrame(drainPing, false));
  }

  /** The socket is closed. */
  stop(): void {
    clearTimeout(this.#prefaceTimer);
    this.#idlePing.stop();
  }

  #sendPreface(): void {
    const { options, sender } = this.#connection;
    const { limits } = options;
    sender.frame(
      settingsFrame([
        [SettingId.headerTableSize, limits.headerTableBytes],
        [SettingId.maxConcurrentStreams, limits.maxConcurrentStreams],
        [SettingId.initialWindowSize, limits.streamWindowBytes],
        [SettingId.maxHeaderListSize, limits.maxHeaderListBytes],
      ]),
    );
    const extra = limits.connectionWindowBytes - defaultWindowBytes;
    if (extra > 0) sender.windowUpdate(0, extra);
  }

  #matchPreface(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && this.#prefaceMatched < clientPreface.length)
      if (chunk[at++] !== clientPreface[this.#prefaceMatched++]) throw protocolError("invalid client preface");
    return at;
  }

  onSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw protocolError("SETTINGS on a stream");
    this.charge("SETTINGS");
    if ((flags & Flag.ack) !== 0) {
      if (end !== start) throw frameSizeError("SETTINGS acknowledgement");
      if (!this.settingsSeen) throw protocolError("first frame is a SETTINGS acknowledgement");
      return;
    }
    if ((end - start) % 6 !== 0) throw frameSizeError("SETTINGS");
    const isPreface = !this.settingsSeen;
    if (isPreface) {
      this.settingsSeen = true;
      clearTimeout(this.#prefaceTimer);
    }
    const { peerSettings, sender } = this.#connection;
    const before = peerSettings.initialWindowBytes;
    applySettings(peerSettings, bytes, start, end, (tableBytes) => sender.encoder.limitTable(tableBytes));
    const change = peerSettings.initialWindowBytes - before;
    if (change !== 0) this.#listener.windowChanged(change);
    sender.frame(settingsFrame());
    if (isPreface && this.#draining) this.#announceShutdown();
  }

  onPing(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw protocolError("PING on a stream");
    if (end - start !== 8) throw frameSizeError("PING");
    const opaque = bytes.subarray(start, end);
    if ((flags & Flag.ack) !== 0) {
      this.charge("PING acknowledgement");
      if (this.#draining && opaque.equals(drainPing)) this.#listener.drainAcknowledged();
      return;
    }
    const { options, sender, streamCount } = this.#connection;
    const sent = sender.takeSent();
    if (!sent) this.charge("PING");
    if (!this.#strikes.allow(options.nowMs(), streamCount > 0, sent))
      throw new ConnectionError(ErrorCode.enhanceYourCalm, "too_many_pings");
    sender.frame(pingFrame(opaque, true));
  }

  onGoaway(streamId: number, start: number, end: number): void {
    if (streamId !== 0) throw protocolError("GOAWAY on a stream");
    if (end - start < 8) throw frameSizeError("GOAWAY");
    this.charge("GOAWAY");
  }
}
