/**
 * The gRPC server: a table of methods behind HTTP/2 connections. It owns no port; give it sockets that are known to
 * speak HTTP/2 (see http2/client-listener.ts).
 */
import type { Socket } from "node:net";
import { AnswerMemory } from "../http2/answer-memory.ts";
import type { Http2Limits } from "../http2/connection-options.ts";
import { type ConnectionOwner, connectionOwner } from "../http2/connection-owner.ts";
import { Http1Exchange } from "../http2/http1-exchange.ts";
import type { AcceptHttp1 } from "../http2/in-memory-connection.ts";
import { etcdKeepalive, type KeepaliveOptions } from "../http2/ping-policy.ts";
import type { RequestHead } from "../http2/request-head.ts";
import { ServerConnection } from "../http2/server-connection.ts";
import { ServerStream } from "../http2/server-stream.ts";
import { TurnEnd } from "../http2/turn-end.ts";
import { AnswerTurns } from "./answer-turns.ts";
import type { Method } from "./call.ts";
import { type CallRoute, type MethodEntry, type MethodTable, routeCall } from "./call-route.ts";
import { DeadlineQueue } from "./deadline-queue.ts";
import { type CallContext, GrpcCall, responseFields } from "./grpc-call.ts";
import { type MethodCounters, methodCounters } from "./method-counters.ts";
import { RecentRequests, type SlowRequestOptions } from "./slow-requests.ts";

export type GrpcServerOptions = {
  readonly methods: readonly Method[];
  /** Largest request message; etcd's is 1.5 MiB for the request and 512 KiB for what wraps it. */
  readonly maxReceiveBytes?: number;
  /** Memory for messages that have begun and not ended, per connection. */
  readonly maxBufferedBytes?: number;
  readonly limits?: Partial<Http2Limits>;
  /** What answers may take on their way to all clients together. */
  readonly maxAnswerBytes?: number;
  readonly keepalive?: Partial<KeepaliveOptions>;
  /** Gets an HTTP/1.1 socket for every request that is not gRPC. Without it such requests are answered 415. */
  readonly onHttp1?: AcceptHttp1;
  /** A service threw: a bug. Without it the error is thrown again outside any call, which ends the process. */
  readonly onHandlerError?: (error: unknown, path: string) => void;
  /** A connection was ended since its client did not read `heldBytes` of answers. */
  readonly onCutOff?: (remoteAddress: string, heldBytes: number) => void;
  /** A call is over; measured only when somebody listens. */
  readonly onHandled?: (method: MethodCounters, seconds: number) => void;
  /** Tells of unary requests that take long. */
  readonly slow?: SlowRequestOptions;
};

const defaultMaxReceiveBytes = 1_572_864 + 524_288;
const defaultMaxBufferedBytes = 64 * 1_048_576;
/** How long a client stays that connects while clients are asked to go elsewhere. */
const lateDrainMs = 250;

export class GrpcServer {
  /** Counters of every method, in the order of the table. */
  readonly counters: readonly MethodCounters[];
  readonly memory: AnswerMemory;
  /** Connections that were ended since their clients did not read. */
  cutOffTotal = 0;
  readonly #connections = new Set<ServerConnection>();
  readonly #table: MethodTable;
  readonly #onHttp1: AcceptHttp1 | undefined;
  readonly #turnEnd = new TurnEnd();
  readonly #turns: AnswerTurns;
  readonly #deadlines: DeadlineQueue;
  readonly #context: CallContext;
  readonly #connectionOwner: ConnectionOwner;
  #state: "serving" | "leaving" | "draining" | "down" = "serving";
  /** Connections that were there when the clients were asked to go elsewhere. */
  readonly #leaving = new Set<ServerConnection>();
  #onEmpty: (() => void) | undefined = undefined;

  constructor(options: GrpcServerOptions) {
    const nowMs = (): number => performance.now();
    this.#table = methodTable(options.methods);
    this.#onHttp1 = options.onHttp1;
    this.counters = [...this.#table.entries.values()].map((entry) => entry.counters);
    this.#deadlines = new DeadlineQueue(nowMs);
    this.memory = new AnswerMemory(options.maxAnswerBytes);
    const maxBufferedBytes = options.maxBufferedBytes ?? defaultMaxBufferedBytes;
    this.#turns = new AnswerTurns({
      memory: this.memory,
      turnEnd: this.#turnEnd,
      nowMs,
      maxBufferedBytes,
      relieve: (bytes) => this.#relieve(bytes),
    });
    this.#context = {
      maxReceiveBytes: options.maxReceiveBytes ?? defaultMaxReceiveBytes,
      maxBufferedBytes,
      deadlines: this.#deadlines,
      turnEnd: this.#turnEnd,
      turns: this.#turns,
      nowMs,
      onHandlerError: options.onHandlerError ?? throwLater,
      onHandled: options.onHandled,
      slow: options.slow,
      recent: new RecentRequests(),
    };
    this.#connectionOwner = connectionOwner({
      keepalive: { ...etcdKeepalive, ...options.keepalive },
      hotFields: responseFields,
      turnEnd: this.#turnEnd,
      memory: this.memory,
      nowMs,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      createStream: (connection, id, head) => this.#createStream(connection, id, head),
      relieve: (bytes) => this.#relieve(bytes),
      onCutOff: ({ remoteAddress }, heldBytes) => {
        this.cutOffTotal++;
        options.onCutOff?.(remoteAddress, heldBytes);
      },
      onClosed: (connection) => this.#onClosed(connection),
    });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Connections that were asked to go elsewhere and have not gone yet. */
  get leavingCount(): number {
    return this.#leaving.size;
  }

  /** Those of them that have not been heard to know of it. */
  get unawareCount(): number {
    return [...this.#leaving].filter((connection) => !connection.hasSeenDrain).length;
  }

  get callsUnderWay(): number {
    return underWay(this.counters);
  }

  get unaryCallsUnderWay(): number {
    return underWay(this.counters.filter(({ kind }) => kind === "unary"));
  }

  /** Serves a socket that speaks HTTP/2. */
  accept(socket: Socket, clientCommonName?: string): void {
    if (this.#state === "down") {
      socket.destroy();
      return;
    }
    const connection = new ServerConnection(socket, this.#connectionOwner, clientCommonName);
    this.#connections.add(connection);
    if (this.#state === "draining") connection.drain();
    if (this.#state !== "leaving") return;
    const timer = setTimeout(() => {
      if (this.#state === "leaving") connection.drain();
    }, lateDrainMs);
    timer.unref();
  }

  /** Writes out every answer given so far, instead of at the end of the turn. */
  flush(): void {
    this.#turnEnd.run();
  }

  /**
   * Asks clients to go elsewhere (GOAWAY), those of later connections after a moment: a client that comes back at once is
   * not sent round in a circle. Calls are answered as before.
   */
  sendClientsAway(): void {
    this.#state = "leaving";
    for (const connection of this.#connections) {
      this.#leaving.add(connection);
      connection.drain();
    }
  }

  /** Connections that come from now on may stay. Those that were asked to leave go all the same. */
  welcomeClients(): void {
    if (this.#state === "leaving") this.#state = "serving";
  }

  /** No client can come any more: asks all that are left to go. */
  drain(): void {
    this.#state = "draining";
    for (const connection of this.#connections) connection.drain();
  }

  /**
   * Asks clients to go elsewhere (GOAWAY), waits for calls under way up to `graceMs`, then closes what is left.
   * Resolves when no connection remains; sockets that come later are closed.
   */
  async shutdown(graceMs: number): Promise<void> {
    this.drain();
    if (this.#connections.size > 0) {
      const timer = setTimeout(() => this.#destroyAll(), graceMs);
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
      });
      clearTimeout(timer);
    }
    this.#state = "down";
    this.#turnEnd.run();
    this.#deadlines.clear();
  }

  #destroyAll(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #onClosed(connection: ServerConnection): void {
    this.#connections.delete(connection);
    this.#leaving.delete(connection);
    this.#turns.forget(connection);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  /** Ends the connections whose clients would take longest to read what waits for them, until `bytes` more fit. */
  #relieve(bytes: number): void {
    while (!this.memory.hasRoomFor(bytes)) {
      const slowest = slowestReader(this.#connections);
      if (slowest === null) return;
      slowest.cutOff();
    }
  }

  #createStream(connection: ServerConnection, id: number, head: RequestHead): ServerStream {
    const known = head.route as CallRoute | undefined;
    const route = known ?? routeCall(this.#table, head, this.#onHttp1 !== undefined);
    head.route = route;
    if (route.kind === "call") return new GrpcCall(this.#context, connection, id, head, route);
    if (route.kind === "http") return new Http1Exchange(connection, id, head, this.#onHttp1!);
    return new RefusedCall(connection, id, head, route);
  }
}

/** A request that is answered from its headers alone; whatever body it has is dropped. */
class RefusedCall extends ServerStream {
  readonly #block: Buffer;

  constructor(connection: ServerConnection, id: number, head: RequestHead, route: CallRoute & { kind: "refusal" }) {
    super(connection, id, head);
    this.#block = route.block;
  }

  override onOpen(): void {
    this.connection.sender.block(this, this.#block, true);
  }

  override onData(): void {}
  override onDrain(): void {}
  override onAbort(): void {}
}

function underWay(counters: readonly MethodCounters[]): number {
  const handled = (method: MethodCounters): number => method.handled.reduce((sum, count) => sum + count, 0);
  return counters.reduce((sum, method) => sum + method.started - handled(method), 0);
}

/** Of those that are equally slow, the one that holds most; null when none holds anything. */
function slowestReader(connections: Iterable<ServerConnection>): ServerConnection | null {
  let slowest: ServerConnection | null = null;
  let most = { seconds: 0, bytes: 0 };
  for (const connection of connections) {
    const { secondsToRead: seconds } = connection.sender.queue;
    const bytes = connection.heldBytes;
    if (bytes === 0 || seconds < most.seconds || (seconds === most.seconds && bytes <= most.bytes)) continue;
    slowest = connection;
    most = { seconds, bytes };
  }
  return slowest;
}

function methodTable(methods: readonly Method[]): MethodTable {
  const entries = new Map<string, MethodEntry>();
  const services = new Set<string>();
  for (const method of methods) {
    const slash = method.path.lastIndexOf("/");
    if (!method.path.startsWith("/") || slash < 2)
      throw new RangeError(`Method path "${method.path}" does not read /package.Service/Method`);
    if (entries.has(method.path)) throw new RangeError(`Method ${method.path} is in the table twice`);
    entries.set(method.path, { method, counters: methodCounters(method.path, method.kind) });
    services.add(method.path.slice(1, slash));
  }
  return { entries, services };
}

function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}
