/**
 * The network between members: delays, losses, duplicates, reordering, partitions in one or both directions, slow
 * links, and broken connections that are reported like by the transport. Messages use the transport's own codec.
 */
import type { Random } from "../../src/base/random.ts";
import type { SnapshotMetadata } from "../../src/raft-agent/raft/configuration.ts";
import type { MemberId } from "../../src/raft-agent/raft/entry.ts";
import type { Message } from "../../src/raft-agent/raft/message.ts";
import { decodeMessage, encodeMessage } from "../../src/raft-agent/transport/message-codec.ts";
import { ByteWriter, copyBytes } from "../../src/raft-agent/wal/byte-codec.ts";
import { describeMessage } from "../raft-core/describe-ready.ts";
import type { NetworkProfile } from "./profile.ts";
import type { Life, SimulatedTime } from "./simulated-time.ts";
import { type Trace, textNumber } from "./trace.ts";

/** A member's process from the network's view. */
export type Endpoint = {
  readonly life: Life;
  /** The highest protocol version that its program supports. */
  readonly version: number;
  receive(message: Message): void;
  connected(peer: MemberId): void;
  disconnected(peer: MemberId): void;
  answer(from: MemberId, kind: number, request: Uint8Array, done: (answer: Uint8Array) => void): void;
  takeSnapshot(from: MemberId, metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void>;
};

type Link = { lastArrivalMs: number };

/** A connection that delivers nothing for this long is closed, as by the transport. */
const deadAfterMs = 3_000;

export class Network {
  readonly #time: SimulatedTime;
  readonly #random: Random;
  readonly #trace: Trace;
  readonly #profile: NetworkProfile;
  readonly #endpoints = new Map<MemberId, Endpoint>();
  readonly #links = new Map<string, Link>();
  readonly #versions = new Map<MemberId, number>();
  /** Partitioned directions, with the number of the partition. */
  readonly #cuts = new Map<string, number>();
  /** Pairs whose connection is broken until a time. */
  readonly #brokenUntilMs = new Map<string, number>();
  /** Extra delay of a direction. */
  readonly #slowMs = new Map<string, number>();
  readonly #writer = new ByteWriter(64 * 1024);
  #cutNumber = 0;
  /** Added to the profile's losses. */
  extraLoss = 0;
  /** How often a response to an executed request gets lost. */
  answerLossChance = 0;

  constructor(time: SimulatedTime, random: Random, trace: Trace, profile: NetworkProfile) {
    this.#time = time;
    this.#random = random;
    this.#trace = trace;
    this.#profile = profile;
  }

  attach(id: MemberId, endpoint: Endpoint): void {
    this.#endpoints.set(id, endpoint);
    this.#versions.set(id, endpoint.version);
    for (const [peer, other] of this.#endpoints) {
      if (peer === id || !other.life.alive) continue;
      endpoint.connected(peer);
      other.connected(id);
    }
  }

  /** From its greeting; null once its connections are closed. After a power loss they are still open for its peers. */
  versionOf(id: MemberId): number | null {
    return this.#versions.get(id) ?? null;
  }

  /** The process of `id` ended. A killed process closes its connections at once, a dead machine sends nothing. */
  detach(id: MemberId, closesConnections: boolean): void {
    const gone = this.#endpoints.get(id);
    this.#endpoints.delete(id);
    if (closesConnections) this.#versions.delete(id);
    for (const [peer, other] of this.#endpoints) {
      const afterMs = closesConnections && !this.#isCut(id, peer) ? 0.1 + this.#random.next() * 5 : deadAfterMs;
      other.life.after(afterMs, () => {
        // A member that is back by then has reconnected, which replaces the old connection without a report.
        const isBack = this.#endpoints.get(id) !== undefined && this.#endpoints.get(id) !== gone;
        if (!isBack || closesConnections) other.disconnected(id);
      });
    }
  }

  /** Blocks everything from any of `from` to any of `to`. Returns a function that ends it. */
  cut(from: readonly MemberId[], to: readonly MemberId[], isReported: boolean): () => void {
    const number = ++this.#cutNumber;
    const keys = from.flatMap((left) => to.filter((right) => right !== left).map((right) => `${left}>${right}`));
    for (const key of keys) this.#cuts.set(key, number);
    if (isReported) this.#time.after(deadAfterMs, () => this.#reportCut(keys, number));
    return () => {
      for (const key of keys) if (this.#cuts.get(key) === number) this.#cuts.delete(key);
    };
  }

  slowDown(from: MemberId, to: MemberId, extraMs: number): void {
    if (extraMs === 0) this.#slowMs.delete(`${from}>${to}`);
    else this.#slowMs.set(`${from}>${to}`, extraMs);
  }

  /** The connection between two members breaks: both are notified, and messages in flight are lost. */
  breakConnection(left: MemberId, right: MemberId): void {
    const downMs = 20 + this.#random.next() * 300;
    this.#brokenUntilMs.set(pairOf(left, right), this.#time.nowMs + downMs);
    for (const [at, peer] of [
      [left, right],
      [right, left],
    ] as const) {
      const endpoint = this.#endpoints.get(at);
      endpoint?.life.after(this.#random.next() * 5, () => endpoint.disconnected(peer));
      endpoint?.life.after(downMs, () => endpoint.connected(peer));
    }
  }

  /** Ends all partitions, losses and slow links. */
  heal(): void {
    this.#cuts.clear();
    this.#slowMs.clear();
    this.#brokenUntilMs.clear();
    this.extraLoss = 0;
    this.answerLossChance = 0;
  }

  send(message: Message): void {
    const { from, to } = message;
    const { lossChance, duplicateChance } = this.#profile;
    if (this.#random.next() < lossChance + this.extraLoss) {
      this.#note(message, "lost");
      return;
    }
    this.#writer.length = 0;
    encodeMessage(this.#writer, message);
    const bytes = copyBytes(this.#writer.bytes, 0, this.#writer.length);
    this.#carry(from, to, bytes);
    // Proposals are not duplicated: proposed twice is written twice (raft/SPEC.md, "Obligations of the driver").
    if (message.kind !== "forwardedProposals" && this.#random.next() < duplicateChance) this.#carry(from, to, bytes);
  }

  #carry(from: MemberId, to: MemberId, bytes: Uint8Array): void {
    const sentAtMs = this.#time.nowMs;
    this.#time.after(this.#arrivalDelayMs(from, to), () => {
      const message = decodeMessage(bytes, 0, bytes.length, false, { from, to });
      const endpoint = this.#endpoints.get(to);
      if (endpoint === undefined || !this.#delivers(from, to, sentAtMs)) {
        this.#note(message, "dropped");
        return;
      }
      endpoint.life.after(0, () => {
        this.#note(message, "");
        endpoint.receive(message);
      });
    });
  }

  /** One request and its response beside the log; null when it did not arrive in time. */
  request(from: MemberId, to: MemberId, kind: number, request: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const asker = this.#endpoints.get(from);
    const body = copyBytes(request);
    return new Promise((resolve, reject) => {
      asker?.life.after(timeoutMs, () => reject(new Error("no response in time")));
      this.#pass(from, to, () => {
        const endpoint = this.#endpoints.get(to);
        endpoint?.answer(from, kind, body, (answer) => {
          const copy = copyBytes(answer);
          if (this.#random.next() < this.answerLossChance) return;
          this.#pass(to, from, () => asker?.life.after(0, () => resolve(copy)));
        });
      });
    });
  }

  /** Streams a snapshot; rejects when either end or the connection fails. */
  async sendSnapshot(
    from: MemberId,
    to: MemberId,
    metadata: SnapshotMetadata,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const [sender, receiver] = [this.#endpoints.get(from), this.#endpoints.get(to)];
    if (sender === undefined || receiver === undefined) throw new Error("no connection");
    let isOver = false;
    const broken = new Promise<never>((_, reject) => this.#watchStream(from, to, receiver, () => isOver, reject));
    try {
      const taken = receiver.takeSnapshot(from, metadata, this.#carryChunks(from, to, receiver, chunks));
      await Promise.race([taken, broken]);
      await sender.life.clock.sleep(this.#profile.delayMs);
    } finally {
      isOver = true;
    }
  }

  async *#carryChunks(
    from: MemberId,
    to: MemberId,
    receiver: Endpoint,
    chunks: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      await receiver.life.clock.sleep(this.#arrivalDelayMs(from, to));
      if (this.#isCut(from, to)) await receiver.life.clock.sleep(deadAfterMs);
      if (this.#isCut(from, to) || !this.#endpoints.has(from)) throw new Error("the connection was lost");
      yield copyBytes(chunk);
    }
  }

  #watchStream(
    from: MemberId,
    to: MemberId,
    receiver: Endpoint,
    isOver: () => boolean,
    reject: (e: Error) => void,
  ): void {
    this.#time.after(500, () => {
      if (isOver()) return;
      if (this.#endpoints.get(to) !== receiver || this.#isCut(from, to)) reject(new Error("the connection was lost"));
      else this.#watchStream(from, to, receiver, isOver, reject);
    });
  }

  #pass(from: MemberId, to: MemberId, arrive: () => void): void {
    const sentAtMs = this.#time.nowMs;
    this.#time.after(this.#arrivalDelayMs(from, to), () => {
      if (this.#delivers(from, to, sentAtMs)) this.#endpoints.get(to)?.life.after(0, arrive);
    });
  }

  #arrivalDelayMs(from: MemberId, to: MemberId): number {
    const { delayMs, jitterMs, reorderChance } = this.#profile;
    const key = `${from}>${to}`;
    let link = this.#links.get(key);
    if (link === undefined) this.#links.set(key, (link = { lastArrivalMs: 0 }));
    const { nowMs } = this.#time;
    const arrivalMs = nowMs + delayMs + this.#random.next() * jitterMs + (this.#slowMs.get(key) ?? 0);
    if (this.#random.next() < reorderChance) return arrivalMs + this.#random.next() * 10 * jitterMs - nowMs;
    link.lastArrivalMs = Math.max(arrivalMs, link.lastArrivalMs);
    return link.lastArrivalMs - nowMs;
  }

  #delivers(from: MemberId, to: MemberId, sentAtMs: number): boolean {
    const brokenUntilMs = this.#brokenUntilMs.get(pairOf(from, to));
    return !this.#isCut(from, to) && (brokenUntilMs === undefined || sentAtMs >= brokenUntilMs);
  }

  #isCut(from: MemberId, to: MemberId): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  #reportCut(keys: readonly string[], number: number): void {
    for (const key of keys) {
      if (this.#cuts.get(key) !== number) continue;
      const [from, to] = key.split(">") as [MemberId, MemberId];
      this.#endpoints.get(to)?.disconnected(from);
      if (!this.#cuts.has(`${to}>${from}`)) this.#endpoints.get(from)?.disconnected(to);
    }
  }

  #note(message: Message, fate: string): void {
    const { from, to, term, kind } = message;
    const numbers = [textNumber(kind), textNumber(from), textNumber(to), term, fate.length];
    this.#trace.note(this.#time.nowMs, numbers, () => `${fate === "" ? "" : `(${fate}) `}${abbreviate(message)}`);
  }
}

/** Abbreviates ids to their first digits, and payloads to their readable part. */
function abbreviate(message: Message): string {
  const text = describeMessage({ ...message, from: "0", to: "0" }).slice("0->0".length);
  const readable = text.replace(/[^\x20-\x7e]+/g, "…").replace(/x{3,}/g, "x…");
  return `${message.from.slice(0, 4)}->${message.to.slice(0, 4)}${readable}`;
}

function pairOf(left: MemberId, right: MemberId): string {
  return left < right ? `${left}-${right}` : `${right}-${left}`;
}
