/**
 * All connections with the other members of the cluster. Every member dials every other one and sends on the
 * connection that it opened, or, while it cannot dial the peer, on the one that the peer opened. README.md has the
 * encoding and the guarantees.
 */
import type { Socket } from "node:net";
import { systemClock } from "../../base/clock.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { ListenAddress } from "../../base/listen-place.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import type { MemberId } from "../raft/entry.ts";
import type { Message } from "../raft/message.ts";
import { dialPeer } from "./dial.ts";
import { type Hello, Purpose, supportedVersions } from "./handshake.ts";
import { PeerListener } from "./listener.ts";
import { PeerAddresses } from "./peer-addresses.ts";
import { PeerAdmission } from "./peer-admission.ts";
import { PeerChannel, unavailable } from "./peer-channel.ts";
import { PeerLink } from "./peer-link.ts";
import { SnapshotOffers } from "./snapshot-offers.ts";
import { receiveSnapshot, sendSnapshotOver } from "./snapshot-stream.ts";
import {
  defaultTransportLimits,
  type PeerStatistics,
  type TransportContext,
  type TransportOptions,
} from "./transport-types.ts";

/** The maximum number of concurrent snapshot fetches, for which this member has to dial. */
const fetchesMax = 4;

type Inbound = { readonly channel: PeerChannel; readonly acceptsMessages: boolean };

export class PeerTransport {
  readonly #context: TransportContext;
  readonly #links = new Map<MemberId, PeerLink>();
  /** The connections opened by peers. */
  readonly #inbound = new Map<MemberId, Inbound>();
  readonly #offers = new SnapshotOffers();
  /** Connections on which this member fetches a snapshot that it was offered. */
  readonly #fetching = new Set<Socket>();
  /** Those and the dials in progress. */
  #fetches = 0;
  readonly #linksUp = new Set<MemberId>();
  readonly #connected = new Set<MemberId>();
  readonly #removed = new Set<MemberId>();
  /** Peers known only by their own greeting: dropped when they disconnect. */
  readonly #unknownPeers = new Set<MemberId>();
  readonly #statisticsOf = new Map<MemberId, PeerStatistics>();
  readonly #addresses = new PeerAddresses();
  readonly #listener: PeerListener;
  readonly #checks: NodeJS.Timeout;
  #lastCheckMs: number;
  #closing = false;

  constructor(options: TransportOptions) {
    const { monotonicMs } = options.clock ?? systemClock;
    const limits = { ...defaultTransportLimits, ...options.limits };
    for (const id of [options.self, options.clusterId]) assertId(id);
    const versions = options.versions ?? (() => supportedVersions);
    this.#context = {
      options,
      versions,
      limits,
      now: monotonicMs,
      log: (level, text) => options.handlers.onLog?.(level, text),
    };
    this.#listener = new PeerListener({
      context: this.#context,
      admission: new PeerAdmission(this.#context, this.#addresses),
      isRemoved: (id) => this.#removed.has(id),
      onPeer: (socket, hello, rest) => this.#acceptPeer(socket, hello, rest),
    });
    this.#lastCheckMs = monotonicMs();
    this.#checks = setInterval(() => this.#check(), limits.pingIntervalMs);
    this.#checks.unref();
  }

  /** Listens at one more address; returns it with the assigned port when 0 was requested. */
  listen(address: ListenAddress, withTls = true): Promise<ListenAddress> {
    return this.#listener.listen(address, withTls);
  }

  /** Adds a peer, or changes its URLs (`http://HOST:PORT` or `https://HOST:PORT`, tried in turn), and dials it. */
  setPeer(peer: MemberId, urls: readonly string[]): void {
    assertId(peer);
    if (peer === this.#context.options.self || this.#closing) return;
    this.#removed.delete(peer);
    this.#unknownPeers.delete(peer);
    this.#addresses.set(peer, urls);
    this.#call(peer, urls);
  }

  #call(peer: MemberId, urls: readonly string[]): void {
    const known = this.#links.get(peer);
    if (known === undefined) this.#links.set(peer, this.#createLink(peer, urls));
    else known.urls = urls;
  }

  /** Removes a peer permanently: its connections are closed and later ones rejected. */
  removePeer(peer: MemberId): void {
    this.#removed.add(peer);
    this.#addresses.remove(peer);
    const reason = "the member has been removed from the cluster";
    this.#links.get(peer)?.stop(reason);
    this.#links.delete(peer);
    this.#inbound.get(peer)?.channel.close(reason);
  }

  /** Sends to `message.to`, without a delivery guarantee. Everything sent in one turn goes out in one write. */
  send(message: Message): void {
    const channel = this.#channelTo(message.to);
    if (channel !== null) {
      channel.send(message);
      return;
    }
    const counted = this.#statisticsOf.get(message.to);
    if (counted !== undefined) counted.sentFailures++;
  }

  /** The connection that this member opened is preferred: it is the one maintained from here. */
  #channelTo(peer: MemberId): PeerChannel | null {
    const link = this.#links.get(peer);
    if (link === undefined) return null;
    return link.channel ?? this.#inboundTo(peer);
  }

  #inboundTo(peer: MemberId): PeerChannel | null {
    const inbound = this.#inbound.get(peer);
    return inbound?.acceptsMessages ? inbound.channel : null;
  }

  /** Sends what the current turn of the event loop has written so far, without waiting for the turn to end. */
  flush(): void {
    for (const { channel } of this.#links.values()) channel?.flush();
    for (const { channel } of this.#inbound.values()) channel.flush();
  }

  /** The protocol version on the connection used for sending to a peer; null without one. */
  versionWith(peer: MemberId): number | null {
    return this.#channelTo(peer)?.version ?? null;
  }

  /** The highest version that a peer supports, whether or not this member does; null without a connection. */
  supportedVersion(peer: MemberId): number | null {
    return this.#channelTo(peer)?.peerVersions.highest ?? null;
  }

  /**
   * Sends an agent-level request to a peer. @throws HaplanError `transport/unavailable` at once when there is no
   * connection or it is lost: the request may be retried, but whether the first attempt was executed is unknown;
   * `transport/timeout`; or what the handler threw.
   */
  request(peer: MemberId, kind: number, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const channel = this.#channelTo(peer);
    if (channel !== null) return channel.request(kind, body, timeoutMs);
    const isKnown = this.#links.has(peer);
    return Promise.reject(unavailable(peer, isKnown ? "there is no connection" : "it is unknown here"));
  }

  /**
   * Sends a snapshot on a separate connection, which the peer opens when it cannot be dialed; resolves when the peer
   * has made it durable. @throws HaplanError `transport/unreachable`, `transport/refused`,
   * `transport/snapshot-failed`, or the receiver's error.
   */
  async sendSnapshot(peer: MemberId, metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    let failure: unknown = new HaplanError(
      "transport/unreachable",
      `Cannot send a snapshot to member ${peer}: it has no peer URL`,
    );
    for (const url of this.#links.get(peer)?.urls ?? []) {
      try {
        const dialed = await dialPeer(this.#context, peer, url, Purpose.snapshot);
        return await sendSnapshotOver(this.#context, dialed, metadata, chunks);
      } catch (error) {
        failure = error;
        if (!(error instanceof HaplanError) || error.code !== "transport/unreachable") throw error;
      }
    }
    const channel = this.#links.has(peer) ? this.#inboundTo(peer) : null;
    if (channel === null) throw failure;
    // Connecting and greeting, on the peer's side.
    const fetched = await this.#offers.make(peer, channel, 2 * this.#context.limits.handshakeTimeoutMs);
    return sendSnapshotOver(this.#context, fetched, metadata, chunks);
  }

  isConnected(peer: MemberId): boolean {
    return this.#connected.has(peer);
  }

  /** Counters for metrics; those of open connections are up to date. */
  statisticsFor(peer: MemberId): PeerStatistics {
    const total = this.#statistics(peer);
    const open = [this.#links.get(peer)?.channel, this.#inbound.get(peer)?.channel].map(
      (channel) => channel?.openBytes,
    );
    const sum = (of: "sent" | "received"): number => open.reduce((bytes, each) => bytes + (each?.[of] ?? 0), 0);
    return {
      ...total,
      sentBytes: total.sentBytes + sum("sent"),
      receivedBytes: total.receivedBytes + sum("received"),
    };
  }

  /** Closes everything; no handler is called afterwards, except `onPeerDisconnected` for connected peers. */
  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#checks);
    for (const link of this.#links.values()) link.stop("this member is stopping");
    for (const { channel } of this.#inbound.values()) channel.close("this member is stopping");
    for (const socket of this.#fetching) socket.destroy();
    await this.#listener.close();
  }

  #createLink(peer: MemberId, urls: readonly string[]): PeerLink {
    const statistics = this.#statistics(peer);
    const mark = (up: boolean): void => {
      if (up) this.#linksUp.add(peer);
      else this.#linksUp.delete(peer);
      this.#reportConnection(peer);
    };
    return new PeerLink({
      context: this.#context,
      peer,
      urls,
      statistics,
      onSnapshotOffer: () => void this.#fetchSnapshot(peer),
      onUp: () => mark(true),
      onDown: () => mark(false),
    });
  }

  #acceptPeer(raw: Socket, hello: Hello, rest: Uint8Array): void {
    const peer = hello.from;
    if (this.#closing) return void raw.destroy();
    if (hello.purpose === Purpose.snapshot) return void receiveSnapshot(this.#context, peer, raw, rest);
    if (hello.purpose === Purpose.fetchSnapshot) {
      if (!this.#offers.accept(peer, { socket: raw, rest, versions: hello.versions })) raw.destroy();
      return;
    }
    const previous = this.#inbound.get(peer);
    const channel: PeerChannel = new PeerChannel(raw, {
      context: this.#context,
      peer,
      statistics: this.#statistics(peer),
      peerVersions: hello.versions,
      onSnapshotOffer: () => void this.#fetchSnapshot(peer),
      onClose: (reason) => this.#inboundClosed(peer, channel, reason),
    });
    this.#inbound.set(peer, { channel, acceptsMessages: hello.acceptsMessages });
    // A peer dials again only when it has lost the previous connection: that one is dead even if it looks open.
    previous?.channel.close("the member has reconnected");
    this.#learnPeer(hello);
    this.#reportConnection(peer);
    channel.receive(rest);
  }

  /** Peers may have more than one at a time, but no peer may make this member open any number of connections. */
  async #fetchSnapshot(peer: MemberId): Promise<void> {
    let failure = this.#fetches < fetchesMax ? "it has no peer URL" : `${fetchesMax} are already being fetched`;
    const urls = this.#fetches < fetchesMax ? (this.#links.get(peer)?.urls ?? []) : [];
    this.#fetches++;
    for (const url of urls) {
      try {
        const { socket, rest } = await dialPeer(this.#context, peer, url, Purpose.fetchSnapshot);
        if (this.#closing) return void socket.destroy();
        this.#fetching.add(socket);
        socket.once("close", () => {
          this.#fetching.delete(socket);
          this.#fetches--;
        });
        receiveSnapshot(this.#context, peer, socket, rest);
        return;
      } catch (error) {
        failure = errorText(error);
      }
    }
    this.#fetches--;
    this.#context.log("warn", `could not fetch the snapshot that member ${peer} offers: ${failure}`);
  }

  /** A member that is not in our configuration yet may be our new leader: respond at the URLs it advertises. */
  #learnPeer({ from, urls }: Hello): void {
    const link = this.#links.get(from);
    if (link !== undefined) link.dialNow();
    else if (urls.length > 0) {
      this.#call(from, urls);
      this.#unknownPeers.add(from);
    }
  }

  /** Otherwise any greeted caller could make us dial any number of addresses forever. */
  #dropUnknownPeer(peer: MemberId, reason: string): void {
    if (this.#unknownPeers.delete(peer)) {
      this.#links.get(peer)?.stop(reason);
      this.#links.delete(peer);
    }
    if (!this.#links.has(peer)) this.#statisticsOf.delete(peer);
  }

  #inboundClosed(peer: MemberId, channel: PeerChannel, reason: string): void {
    if (this.#inbound.get(peer)?.channel !== channel) return;
    this.#inbound.delete(peer);
    if (!this.#closing) {
      this.#statistics(peer).receivedFailures++;
      this.#context.log("warn", `lost the connection from member ${peer}: ${reason}`);
    }
    this.#dropUnknownPeer(peer, reason);
    this.#reportConnection(peer);
  }

  #reportConnection(peer: MemberId): void {
    const isUp = this.#linksUp.has(peer) || this.#inbound.has(peer);
    if (isUp === this.#connected.has(peer)) return;
    const { handlers } = this.#context.options;
    if (isUp) {
      this.#connected.add(peer);
      handlers.onPeerConnected?.(peer);
    } else {
      this.#connected.delete(peer);
      handlers.onPeerDisconnected?.(peer);
    }
  }

  #check(): void {
    const now = this.#context.now();
    const late = now - this.#lastCheckMs > 3 * this.#context.limits.pingIntervalMs;
    this.#lastCheckMs = now;
    // After a pause of this process (stopped, or the machine suspended) the silence is ours: read first, check next
    // time.
    if (late) return;
    for (const { channel } of this.#links.values()) if (channel?.closeIfDead() === false) channel.ping();
    for (const [peer, { channel }] of this.#inbound) {
      // Only on the connection that messages use: its quality is not measured on another one.
      if (!channel.closeIfDead() && this.#channelTo(peer) === channel) channel.ping();
    }
  }

  #statistics(peer: MemberId): PeerStatistics {
    let found = this.#statisticsOf.get(peer);
    if (found === undefined) {
      found = { sentBytes: 0, receivedBytes: 0, sentFailures: 0, receivedFailures: 0 };
      this.#statisticsOf.set(peer, found);
    }
    return found;
  }
}

function assertId(id: string): void {
  if (/^[0-9a-f]{16}$/.test(id)) return;
  throw new HaplanError("transport/bad-option", `Cannot use "${id}" as an id: use 16 lowercase hex digits`);
}
