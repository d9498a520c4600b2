/**
 * The connection to one peer that this member keeps up: called again and again until it stands, tested while it
 * stands. It carries this member's messages, requests and pings; the peer's answers come back on it.
 */
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { MemberId } from "../raft/entry.ts";
import type { Message } from "../raft/message.ts";
import { getUint64 } from "../wal/byte-codec.ts";
import { type Dialed, dialPeer } from "./dial.ts";
import { frameHeaderBytes, frameType } from "./frame.ts";
import { FramedSocket } from "./framed-socket.ts";
import { Purpose } from "./handshake.ts";
import { encodeMessage } from "./message-codec.ts";
import { RequestTable } from "./request-table.ts";
import type { PeerStatistics, TransportContext } from "./transport-types.ts";

export type PeerLinkParts = {
  readonly context: TransportContext;
  readonly peer: MemberId;
  readonly urls: readonly string[];
  readonly statistics: PeerStatistics;
  readonly onUp: () => void;
  readonly onDown: () => void;
};

export class PeerLink {
  urls: readonly string[];
  private readonly parts: PeerLinkParts;
  private socket: FramedSocket | null = null;
  private readonly requests = new RequestTable();
  private stopped = false;
  private attempts = 0;
  private lastLogged = "";
  /** Ends the pause before the next attempt. */
  private wakeUp: () => void = () => {};

  constructor(parts: PeerLinkParts) {
    this.parts = parts;
    this.urls = parts.urls;
    void this.keepUp();
  }

  /** Sends the message, or drops it when there is no connection or too much is waiting (Raft repeats what matters). */
  send(message: Message): void {
    const { socket } = this;
    const { frameBytesMax, queueBytesMax } = this.parts.context.limits;
    if (socket === null || socket.queuedBytes > queueBytesMax) {
      this.parts.statistics.sentFailures++;
      return;
    }
    const writer = socket.beginFrame(frameType.message);
    const start = writer.length;
    encodeMessage(writer, message);
    if (writer.length - start < frameBytesMax) {
      socket.endFrame();
      return;
    }
    writer.length = start - frameHeaderBytes;
    this.parts.statistics.sentFailures++;
    this.parts.context.log(
      "warn",
      `dropped a message to member ${this.parts.peer}: it is larger than ${frameBytesMax} bytes`,
    );
  }

  /** @throws HaplanError `transport/unavailable`, `transport/timeout`, or what the peer's handler threw. */
  request(kind: number, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const { socket } = this;
    const { requestsMax, frameBytesMax } = this.parts.context.limits;
    if (socket === null) return Promise.reject(this.unavailable("there is no connection"));
    if (this.requests.size >= requestsMax)
      return Promise.reject(this.unavailable(`${requestsMax} requests are waiting already`));
    if (body.length > frameBytesMax - 16)
      return Promise.reject(this.unavailable(`${body.length} bytes are too many for a frame`));
    return this.requests.add(timeoutMs, (number) => {
      const writer = socket.beginFrame(frameType.request);
      writer.uint32(number);
      writer.uint16(kind);
      writer.raw(body);
      socket.endFrame();
    });
  }

  /** Sends what the current turn has written so far. */
  flush(): void {
    this.socket?.flush();
  }

  /** To be called every `pingIntervalMs`: closes a connection that is dead, pings one that is not. */
  check(): void {
    const { socket } = this;
    if (socket === null || closeIfDead(socket, this.parts.context)) return;
    socket.beginFrame(frameType.ping).uint64(Math.round(this.parts.context.now() * 1000));
    socket.endFrame();
  }

  /** The peer has just been heard of: it is worth calling it now. */
  callNow(): void {
    this.attempts = 0;
    this.wakeUp();
  }

  /** Closes the connection and stays away. */
  stop(reason: string): void {
    this.stopped = true;
    this.wakeUp();
    this.socket?.close(reason);
  }

  private async keepUp(): Promise<void> {
    const { context, peer } = this.parts;
    while (!this.stopped) {
      const url = this.urls[this.attempts % Math.max(1, this.urls.length)];
      const start = context.now();
      try {
        if (url === undefined)
          throw new HaplanError("transport/unreachable", `Cannot connect to member ${peer}: it has no peer URL`);
        await this.use(await dialPeer(context, peer, url, Purpose.messages), url);
        // A connection that lasted was a good one; one that did not is not called again in a tight circle.
        if (context.now() - start > context.limits.retryMaxMs) this.attempts = 0;
      } catch (error) {
        this.logOnce(errorText(error));
        if (error instanceof HaplanError && error.code === "transport/removed") context.options.handlers.onRemoved?.();
      }
      if (!this.stopped) await this.pause();
      this.attempts++;
    }
  }

  /** Resolves when the connection is gone. */
  private use({ socket: raw, rest }: Dialed, url: string): Promise<void> {
    const { context, peer, statistics, onUp, onDown } = this.parts;
    return new Promise((resolve) => {
      const socket = new FramedSocket(raw, {
        frameBytesMax: context.limits.frameBytesMax,
        now: context.now,
        onFrame: (type, bytes, start, end) => this.receive(type, bytes, start, end),
        onClose: (reason) => {
          this.socket = null;
          statistics.sentBytes += socket.bytesSent;
          statistics.receivedBytes += socket.bytesReceived;
          this.requests.failAll(`the connection to member ${peer} broke off (${reason})`);
          if (!this.stopped) context.log("warn", `lost the connection to member ${peer}: ${reason}`);
          onDown();
          resolve();
        },
      });
      if (this.stopped) return socket.close("it is not wanted any more");
      this.socket = socket;
      this.lastLogged = "";
      context.log("info", `connected to member ${peer} at ${url}`);
      onUp();
      this.check();
      socket.receive(rest);
    });
  }

  /** Bytes of the connection that stands, which the statistics do not have yet. */
  get openBytes(): { readonly sent: number; readonly received: number } {
    return { sent: this.socket?.bytesSent ?? 0, received: this.socket?.bytesReceived ?? 0 };
  }

  private receive(type: number, bytes: Uint8Array, start: number, end: number): void {
    const { context, peer } = this.parts;
    if (type === frameType.response) this.requests.answer(bytes, start, end);
    else if (type === frameType.pong && end - start === 8) {
      context.options.handlers.onRoundTrip?.(peer, Math.max(0, context.now() - getUint64(bytes, start) / 1000));
    } else
      throw new HaplanError("transport/bad-frame", `a frame of type ${type}, which does not belong on this connection`);
  }

  private pause(): Promise<void> {
    const { limits, options } = this.parts.context;
    const longest = Math.min(limits.retryMaxMs, limits.retryMinMs * 2 ** Math.min(this.attempts, 20));
    const pauseMs = longest * (0.5 + options.random.next() / 2);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private logOnce(text: string): void {
    if (text === this.lastLogged || this.stopped) return;
    this.lastLogged = text;
    this.parts.context.log("warn", text);
  }

  private unavailable(why: string): HaplanError {
    return new HaplanError("transport/unavailable", `Cannot ask member ${this.parts.peer}: ${why}; try again`);
  }
}

/** Half-open connections: the other end is gone and nobody told us. */
export function closeIfDead(socket: FramedSocket, context: TransportContext): boolean {
  const silentMs = context.now() - socket.lastReceivedMs;
  if (silentMs <= context.limits.deadAfterMs) return false;
  socket.close(`nothing arrived for ${Math.round(silentMs)} ms`);
  return true;
}
