/**
 * Schedules large responses. Each connection has a lane: its next large response begins once the client has taken most
 * of the previous one, and all lanes share the event loop in short slices. So a client that requests much and does not
 * read holds one large response in memory, and others wait for no more than a slice. Small responses do not wait for
 * large ones.
 */

import { StatusCode } from "../api/status-code.ts";
import type { FlushScheduler } from "../http2/flush-scheduler.ts";
import type { ResponseMemory } from "../http2/response-memory.ts";
import type { ServerConnection } from "../http2/server-connection.ts";
import type { MessageSource } from "./call.ts";

/** A connection with more unread response bytes than this starts no further large response. */
const roomBytes = 1 << 20;
/** A connection with more unread bytes of small responses than this starts no small one either. */
const smallBytesMax = 32 << 20;
/** The bytes of responses built in one turn of the event loop; later ones wait for the next turn. */
const turnBytesMax = 4 << 20;
/** Roughly what is read of a response to find out that it is large. */
const firstPartBytes = 1 << 20;
/** How long lanes run before they yield to the event loop. */
const sliceMs = 10;
/** How long a response waits for memory before slow readers are disconnected for it. */
const memoryWaitMs = 1_000;
const retryMs = 100;
/** The memory of a waiting call beside its request. */
const taskOverheadBytes = 1_024;

/** A call whose response is built here. */
export type PacedCall = {
  readonly open: boolean;
  readonly connection: ServerConnection;
  finish(code: StatusCode, message: string): void;
  /** Sends a whole message, whose parts are owned by the call, and ends the call. */
  sendParts(parts: Uint8Array[], bytes: number): void;
};

type WaitingTask = { readonly kind: "waiting"; readonly call: PacedCall; readonly heldBytes: number; run(): void };
type BuildTask = {
  readonly kind: "making";
  readonly call: PacedCall;
  readonly source: MessageSource;
  parts: Uint8Array[];
  bytes: number;
  reservedBytes: number;
  /** Memory is reserved for it. */
  admitted: boolean;
};
type Lane = {
  readonly connection: ServerConnection;
  readonly tasks: (WaitingTask | BuildTask)[];
  starvedSinceMs: number;
};
type Progress = "more" | "full" | "starved" | "empty";

export type ResponseSchedulerOptions = {
  readonly memory: ResponseMemory;
  readonly flushScheduler: FlushScheduler;
  readonly nowMs: () => number;
  /** Request bytes that a connection may hold, waiting calls included. */
  readonly maxBufferedBytes: number;
  /** Closes slow-reading connections until `bytes` more fit into memory, if possible. */
  freeMemory(bytes: number): void;
};

export class ResponseScheduler {
  readonly #options: ResponseSchedulerOptions;
  readonly #lanes = new Map<ServerConnection, Lane>();
  /** Lanes that can run, in round-robin order. */
  #ready: Lane[] = [];
  /** Lanes whose next response does not fit into memory. */
  readonly #starved = new Set<Lane>();
  #scheduled = false;
  #retryTimer: NodeJS.Timeout | undefined = undefined;
  #turn = 0;
  #turnBytes = 0;

  constructor(options: ResponseSchedulerOptions) {
    this.#options = options;
  }

  /** Records that a response of this many bytes is sent in this turn. */
  sent(bytes: number): void {
    const { turn } = this.#options.flushScheduler;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#turnBytes = 0;
    }
    this.#turnBytes += bytes;
  }

  /** Whether a small response can be built at once: it may overtake large ones. */
  hasRoom(connection: ServerConnection): boolean {
    if (connection.sender.queue.smallBytes > smallBytesMax) return false;
    return this.#turnBytes <= turnBytesMax || this.#options.flushScheduler.turn !== this.#turn;
  }

  /** Whether a large response can be started at once. */
  hasRoomForLarge(connection: ServerConnection): boolean {
    return (
      !this.#lanes.has(connection) && connection.sender.queue.unpacedBytes <= roomBytes && this.hasRoom(connection)
    );
  }

  /** Runs `task` once the connection has room and its turn has come. `requestBytes` are held until then. */
  wait(call: PacedCall, requestBytes: number, run: () => void): void {
    const { connection } = call;
    const heldBytes = requestBytes + taskOverheadBytes;
    if (connection.bufferedRequestBytes + heldBytes > this.#options.maxBufferedBytes) {
      call.finish(StatusCode.resourceExhausted, "too many unfinished requests on this connection");
      return;
    }
    connection.bufferedRequestBytes += heldBytes;
    this.#laneOf(connection).tasks.push({ kind: "waiting", call, heldBytes, run });
  }

  /** Builds a response in slices and sends it. */
  make(call: PacedCall, source: MessageSource): void {
    const task: BuildTask = { kind: "making", call, source, parts: [], bytes: 0, reservedBytes: 0, admitted: false };
    // Its first part was read in this turn.
    this.sent(Math.min(source.expectedBytes(), firstPartBytes));
    // Ahead of waiting calls: it has been started.
    this.#laneOf(call.connection).tasks.unshift(task);
  }

  /** The connection is closed. */
  forget(connection: ServerConnection): void {
    const lane = this.#lanes.get(connection);
    if (lane === undefined) return;
    for (const task of lane.tasks.splice(0)) this.#release(task);
    this.#lanes.delete(connection);
    this.#starved.delete(lane);
  }

  #laneOf(connection: ServerConnection): Lane {
    let lane = this.#lanes.get(connection);
    if (lane === undefined) {
      lane = { connection, tasks: [], starvedSinceMs: 0 };
      this.#lanes.set(connection, lane);
      this.#makeReady(lane);
    }
    return lane;
  }

  #makeReady(lane: Lane): void {
    this.#ready.push(lane);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#work);
  }

  readonly #work = (): void => {
    this.#scheduled = false;
    const endMs = this.#options.nowMs() + sliceMs;
    do {
      const lane = this.#ready.shift();
      if (lane === undefined) return;
      this.#follow(lane, this.#advance(lane));
    } while (this.#options.nowMs() < endMs);
    if (this.#ready.length === 0 || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#work);
  };

  #follow(lane: Lane, progress: Progress): void {
    // The work may have closed the connection.
    if (this.#lanes.get(lane.connection) !== lane) return;
    if (progress === "more") this.#makeReady(lane);
    else if (progress === "full") lane.connection.sender.queue.whenRoom(roomBytes, () => this.#makeReady(lane));
    else if (progress === "starved") this.#starve(lane);
    else this.#lanes.delete(lane.connection);
  }

  /** Does one piece of a lane's work. */
  #advance(lane: Lane): Progress {
    const task = lane.tasks[0];
    if (task === undefined) return "empty";
    if (!task.call.open) {
      lane.tasks.shift();
      this.#release(task);
      return "more";
    }
    if (task.kind === "making") return this.#makePart(lane, task);
    if (lane.connection.sender.queue.unpacedBytes > roomBytes) return "full";
    lane.tasks.shift();
    this.#release(task);
    task.run();
    return "more";
  }

  #makePart(lane: Lane, task: BuildTask): Progress {
    if (!task.admitted && !this.#admit(task)) return "starved";
    if (!task.call.open) return "more";
    const part = task.source.next();
    if (!task.call.open) return "more";
    if (part === "again") {
      task.parts = [];
      task.bytes = 0;
    } else if (part !== null) {
      task.parts.push(part);
      task.bytes += part.length;
      this.#setReserved(task, Math.max(task.reservedBytes, task.bytes));
    } else {
      lane.tasks.shift();
      this.#release(task);
      task.call.sendParts(task.parts, task.bytes);
    }
    return "more";
  }

  /** False while the response does not fit into memory beside the others. */
  #admit(task: BuildTask): boolean {
    const { memory } = this.#options;
    const expectedBytes = task.source.expectedBytes();
    if (expectedBytes > memory.maxBytes) {
      const text = `haplan-agent: the response takes about ${expectedBytes} bytes, but all responses together may take ${memory.maxBytes} bytes of memory: request less at a time, with a limit`;
      task.call.finish(StatusCode.resourceExhausted, text);
      return true;
    }
    if (!memory.hasRoomFor(expectedBytes - task.reservedBytes)) return false;
    this.#setReserved(task, expectedBytes);
    task.admitted = true;
    return true;
  }

  #setReserved(task: BuildTask, bytes: number): void {
    this.#options.memory.reservedBytes += bytes - task.reservedBytes;
    task.reservedBytes = bytes;
  }

  #release(task: WaitingTask | BuildTask): void {
    if (task.kind === "making") this.#setReserved(task, 0);
    else task.call.connection.bufferedRequestBytes -= task.heldBytes;
  }

  #starve(lane: Lane): void {
    lane.starvedSinceMs = this.#options.nowMs();
    this.#starved.add(lane);
    this.#retryTimer ??= setTimeout(this.#retry, retryMs).unref();
  }

  readonly #retry = (): void => {
    this.#retryTimer = undefined;
    const memoryWantedSinceMs = this.#options.nowMs() - memoryWaitMs;
    for (const lane of [...this.#starved]) {
      // Memory given to an earlier lane may have cost this one its connection.
      if (this.#starved.has(lane) && this.#retryLane(lane, memoryWantedSinceMs)) {
        this.#starved.delete(lane);
        this.#makeReady(lane);
      }
    }
    if (this.#starved.size > 0) this.#retryTimer = setTimeout(this.#retry, retryMs).unref();
  };

  /** Only reserves memory: the responses are built in slices, like all others. */
  #retryLane(lane: Lane, memoryWantedSinceMs: number): boolean {
    const task = lane.tasks[0];
    if (task?.kind !== "making" || !task.call.open) return true;
    if (lane.starvedSinceMs <= memoryWantedSinceMs) this.#options.freeMemory(task.source.expectedBytes());
    return !task.call.open || this.#admit(task);
  }
}
