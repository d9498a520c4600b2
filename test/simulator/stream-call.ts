/**
 * A streaming call of a client, from both sides, without sockets and frames: what the member sends arrives in order
 * and after a delay, and the member has to wait while the client does not read.
 */
import type { ServerCall, StreamHandler } from "../../src/raft-agent/grpc/call.ts";
import { copyBytes } from "../../src/raft-agent/wal/byte-codec.ts";
import type { MemberProcess } from "./member-process.ts";
import type { World } from "./world.ts";

/** The number of messages in flight from which the member has to wait: a full window. */
const unreadMax = 4;

export type StreamParts = {
  readonly path: string;
  readonly process: MemberProcess;
  readonly onMessage: (message: Uint8Array) => void;
  /** The member has ended the call. */
  readonly onEnd: () => void;
};

export class StreamCall implements ServerCall {
  readonly path: string;
  readonly clientCommonName: undefined;
  readonly remoteAddress = "simulated";
  /** From the member's view. */
  open = true;
  readonly #world: Pick<World, "time" | "random">;
  readonly #parts: StreamParts;
  #handler: StreamHandler | null = null;
  #isLeft = false;
  /** Messages in flight, first in first out. */
  readonly #unread: Uint8Array[] = [];
  #isMemberWaiting = false;
  #lastArrivalMs = 0;
  #readsAgainMs = 0;

  constructor(world: Pick<World, "time" | "random">, parts: StreamParts) {
    this.#world = world;
    this.#parts = parts;
    this.path = parts.path;
    this.#atMember(() => {
      this.#handler = parts.process.openStream(this);
    });
  }

  header(): undefined {
    return undefined;
  }

  /** The client sends a message. */
  ask(message: Uint8Array): void {
    this.#atMember(() => {
      if (this.open) this.#handler?.onMessage(message);
    });
  }

  /** The client reads nothing for a while. */
  stall(forMs: number): void {
    this.#readsAgainMs = this.#world.time.nowMs + forMs;
  }

  /** The client disconnects, and receives nothing any more. */
  leave(): void {
    if (this.#isLeft) return;
    this.#isLeft = true;
    this.#atMember(() => this.#close());
  }

  send(message: Uint8Array): boolean {
    if (!this.open) return true;
    const { time, random } = this.#world;
    this.#unread.push(copyBytes(message));
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.#readsAgainMs, time.nowMs + random.next());
    time.after(this.#lastArrivalMs - time.nowMs, () => this.#arrive());
    if (this.#unread.length < unreadMax) return true;
    this.#isMemberWaiting = true;
    return false;
  }

  finish(): void {
    if (!this.open) return;
    this.#world.time.after(this.#world.random.next(), () => {
      if (!this.#isLeft) this.#parts.onEnd();
    });
    // A service may end the call while it opens it, before the handler for the end is set.
    this.#atMember(() => this.#close());
  }

  /** Delivers the first message in flight. */
  #arrive(): void {
    if (this.#world.time.nowMs < this.#readsAgainMs) {
      this.#world.time.after(this.#readsAgainMs - this.#world.time.nowMs, () => this.#arrive());
      return;
    }
    const message = this.#unread.shift()!;
    if (this.#isLeft) return;
    this.#parts.onMessage(message);
    if (!this.#isMemberWaiting || this.#unread.length > 0) return;
    this.#isMemberWaiting = false;
    this.#atMember(() => {
      if (this.open) this.#handler?.onDrain();
    });
  }

  #close(): void {
    if (!this.open) return;
    this.open = false;
    this.#handler?.onClose();
  }

  /** Runs in the process, while it exists, in order of the requests. */
  #atMember(run: () => void): void {
    this.#parts.process.life.after(0, run);
  }
}
