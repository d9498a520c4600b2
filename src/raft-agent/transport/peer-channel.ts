/**
 * One greeted connection with a peer, whichever side opened it. It carries messages, pings and requests in both
 * directions, and the responses: a member that cannot be dialed receives messages on the connection that it opened.
 */
import type { Socket } from "node:net";
import { HaplanError } from "../../base/haplan-error.ts";
import type { MemberId } from "../raft/entry.ts";
import type { Message } from "../raft/message.ts";
import { copyBytes, getUint64 } from "../wal/byte-codec.ts";
import { frameHeaderBytes, frameType } from "./frame.ts";
import { FramedSocket } from "./framed-socket.ts";
import { commonVersion, type VersionRange } from "./handshake.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";
import { RequestTable } from "./request-table.ts";
import { serveRequest } from "./serve-request.ts";
import type { PeerStatistics, TransportContext } from "./transport-types.ts";

export type PeerChannelParts = {
  readonly context: TransportContext;
  readonly peer: MemberId;
  readonly statistics: PeerStatistics;
  /** The versions supported by the peer. */
  readonly peerVersions: VersionRange;
  /** The peer has a snapshot for this member and cannot dial it. */
  readonly onSnapshotOffer: () => void;
  /** Called exactly once; `reason` is for the log. */
  readonly onClose: (reason: string) => void;
};

export class PeerChannel {
  readonly #parts: PeerChannelParts;
  readonly #socket: FramedSocket;
  readonly #requests = new RequestTable();

  constructor(raw: Socket, parts: PeerChannelParts) {
    this.#parts = parts;
    const { context, peer, statistics } = parts;
    this.#socket = new FramedSocket(raw, {
      frameBytesMax: context.limits.frameBytesMax,
      now: context.now,
      onFrame: (type, bytes, start, end, owned) => this.#take(type, bytes, start, end, owned),
      onClose: (reason) => {
        statistics.sentBytes += this.#socket.bytesSent;
        statistics.receivedBytes += this.#socket.bytesReceived;
        this.#requests.failAll(`the connection with member ${peer} was lost (${reason})`);
        parts.onClose(reason);
      },
    });
  }

  /** The versions supported by the peer. */
  get peerVersions(): VersionRange {
    return this.#parts.peerVersions;
  }

  /** The protocol version on this connection. The greeting rejects a peer without a common one. */
  get version(): number {
    const { context, peerVersions } = this.#parts;
    return commonVersion(peerVersions, context.versions()) ?? peerVersions.lowest;
  }

  /** Bytes since it was opened, which the statistics do not include before it is closed. */
  get openBytes(): { readonly sent: number; readonly received: number } {
    return { sent: this.#socket.bytesSent, received: this.#socket.bytesReceived };
  }

  /** Processes bytes that arrived right after the greeting. */
  receive(bytes: Uint8Array): void {
    this.#socket.receive(bytes);
  }

  /** Sends the message, or drops it when too much is queued (Raft retransmits what matters). */
  send(message: Message): void {
    const socket = this.#socket;
    const { context, peer, statistics } = this.#parts;
    const { frameBytesMax, queueBytesMax } = context.limits;
    if (socket.queuedBytes > queueBytesMax) {
      statistics.sentFailures++;
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
    statistics.sentFailures++;
    context.log("warn", `dropped a message to member ${peer}: it is larger than ${frameBytesMax} bytes`);
  }

  /** @throws HaplanError `transport/unavailable`, `transport/timeout`, or what the peer's handler threw. */
  request(kind: number, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const socket = this.#socket;
    const { requestsMax, frameBytesMax } = this.#parts.context.limits;
    if (this.#requests.size >= requestsMax)
      return Promise.reject(unavailable(this.#parts.peer, `${requestsMax} requests are already pending`));
    if (body.length > frameBytesMax - 16)
      return Promise.reject(unavailable(this.#parts.peer, `${body.length} bytes are too many for a frame`));
    return this.#requests.add(timeoutMs, (number) => {
      const writer = socket.beginFrame(frameType.request);
      writer.uint32(number);
      writer.uint16(kind);
      writer.raw(body);
      socket.endFrame();
    });
  }

  /** Asks the peer to connect and fetch a snapshot. */
  offerSnapshot(): void {
    this.#socket.beginFrame(frameType.snapshotOffer);
    this.#socket.endFrame();
    this.#socket.flush();
  }

  /** Sends what the current turn has written so far. */
  flush(): void {
    this.#socket.flush();
  }

  /** Called every `pingIntervalMs`: closes a half-open connection, whose other end has vanished silently. */
  closeIfDead(): boolean {
    const { context } = this.#parts;
    const silentMs = context.now() - this.#socket.lastReceivedMs;
    if (silentMs <= context.limits.deadAfterMs) return false;
    this.#socket.close(`nothing arrived for ${Math.round(silentMs)} ms`);
    return true;
  }

  ping(): void {
    this.#socket.beginFrame(frameType.ping).uint64(Math.round(this.#parts.context.now() * 1000));
    this.#socket.endFrame();
  }

  close(reason: string): void {
    this.#socket.close(reason);
  }

  #take(type: number, bytes: Uint8Array, start: number, end: number, owned: boolean): void {
    const { context, peer, onSnapshotOffer } = this.#parts;
    const { handlers, self } = context.options;
    if (type === frameType.message) {
      handlers.onMessage(decodeMessage(bytes, start, end, owned, { from: peer, to: self }));
    } else if (type === frameType.request) serveRequest(context, peer, this.#socket, copyBytes(bytes, start, end));
    else if (type === frameType.response) this.#requests.answer(bytes, start, end);
    else if (type === frameType.ping && end - start === 8) {
      this.#socket.beginFrame(frameType.pong).raw(bytes.subarray(start, end));
      this.#socket.endFrame();
    } else if (type === frameType.pong && end - start === 8) {
      handlers.onRoundTrip?.(peer, Math.max(0, context.now() - getUint64(bytes, start) / 1000));
    } else if (type === frameType.snapshotOffer && end === start) onSnapshotOffer();
    else
      throw new HaplanError("transport/bad-frame", `a frame of type ${type}, which is not allowed on this connection`);
  }
}

export function unavailable(peer: MemberId, why: string): HaplanError {
  return new HaplanError("transport/unavailable", `Cannot send a request to member ${peer}: ${why}; try again`);
}
