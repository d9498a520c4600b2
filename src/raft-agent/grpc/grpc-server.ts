/**
 * The gRPC server: a table of methods behind HTTP/2 connections. It owns no port; it accepts sockets that are known to
 * use HTTP/2 (see http2/client-listener.ts).
 */
import type { Socket } from "node:net";
import type { Http2Limits } from "../http2/connection-options.ts";
import { type ConnectionOwner, connectionOwner } from "../http2/connection-owner.ts";
import { FlushScheduler } from "../http2/flush-scheduler.ts";
import { Http1Exchange } from "../http2/http1-exchange.ts";
import type { AcceptHttp1 } from "../http2/in-memory-connection.ts";
import { etcdKeepalive, type KeepaliveOptions } from "../http2/ping-policy.ts";
import type { RequestHead } from "../http2/request-head.ts";
import { ResponseMemory } from "../http2/response-memory.ts";
import { ServerConnection } from "../http2/server-connection.ts";
import { ServerStream } from "../http2/server-stream.ts";
import type { Method } from "./call.ts";
import { type CallRoute, type MethodEntry, type MethodTable, routeCall } from "./call-route.ts";
import { DeadlineQueue } from "./deadline-queue.ts";
import { type CallContext, GrpcCall, responseFields } from "./grpc-call.ts";
import { type MethodCounters, methodCounters } from "./method-counters.ts";
import { ResponseScheduler } from "./response-scheduler.ts";
import { RecentRequests, type SlowRequestOptions } from "./slow-requests.ts";

export type GrpcServerOptions = {
  readonly methods: readonly Method[];
  /** The largest request message; etcd's is 1.5 MiB for the request and 512 KiB for its overhead. */
  readonly maxReceiveBytes?: number;
  /** Memory for incomplete messages, per connection. */
  readonly maxBufferedBytes?: number;
  readonly limits?: Partial<Http2Limits>;
  /** The memory limit of responses on their way to all clients together. */
  readonly maxResponseBytes?: number;
  readonly keepalive?: Partial<KeepaliveOptions>;
  /** Receives an HTTP/1.1 socket for every request that is not gRPC. Without it such requests are answered with 415. */
  readonly onHttp1?: AcceptHttp1;
  /** A service threw: a bug. Without it the error is rethrown outside any call, which ends the process. */
  readonly onHandlerError?: (error: unknown, path: string) => void;
  /** A connection was closed because its client did not read `heldBytes` of responses. */
  readonly onCutOff?: (remoteAddress: string, heldBytes: number) => void;
  /** A call is over; measured only when there is a listener. */
  readonly onHandled?: (method: MethodCounters, seconds: number) => void;
  /** Reports slow unary requests. */
  readonly slow?: SlowRequestOptions;
};

const defaultMaxReceiveBytes = 1_572_864 + 524_288;
const defaultMaxBufferedBytes = 64 * 1_048_576;
/** How long a new connection may stay while clients are being drained. */
const lateDrainMs = 250;

export class GrpcServer {
  /** Counters of every method, in the order of the table. */
  readonly counters: readonly MethodCounters[];
  readonly memory: ResponseMemory;
  /** Connections that were closed because their clients did not read. */
  cutOffTotal = 0;
  readonly #connections = new Set<ServerConnection>();
  readonly #table: MethodTable;
  readonly #onHttp1: AcceptHttp1 | undefined;
  readonly #flushScheduler = new FlushScheduler();
  readonly #responses: ResponseScheduler;
  readonly #deadlines: DeadlineQueue;
  readonly #context: CallContext;
  readonly #connectionOwner: ConnectionOwner;
  /** `draining`: clients can still connect, and may stay for a moment. `stopping`: none can. */
  #state: "serving" | "draining" | "stopping" | "down" = "serving";
  /** Connections that existed when draining started. */
  readonly #draining = new Set<ServerConnection>();
  #onEmpty: (() => void) | undefined = undefined;

  constructor(options: GrpcServerOptions) {
    const nowMs = (): number => performance.now();
    this.#table = methodTable(options.methods);
    this.#onHttp1 = options.onHttp1;
    this.counters = [...this.#table.entries.values()].map((entry) => entry.counters);
    this.#deadlines = new DeadlineQueue(nowMs);
    this.memory = new ResponseMemory(options.maxResponseBytes);
    const maxBufferedBytes = options.maxBufferedBytes ?? defaultMaxBufferedBytes;
    this.#responses = new ResponseScheduler({
      memory: this.memory,
      flushScheduler: this.#flushScheduler,
      nowMs,
      maxBufferedBytes,
      freeMemory: (bytes) => this.#freeMemory(bytes),
    });
    this.#context = {
      maxReceiveBytes: options.maxReceiveBytes ?? defaultMaxReceiveBytes,
      maxBufferedBytes,
      deadlines: this.#deadlines,
      flushScheduler: this.#flushScheduler,
      responses: this.#responses,
      nowMs,
      onHandlerError: options.onHandlerError ?? throwLater,
      onHandled: options.onHandled,
      slow: options.slow,
      recent: new RecentRequests(),
    };
    this.#connectionOwner = connectionOwner({
      keepalive: { ...etcdKeepalive, ...options.keepalive },
      indexedFields: responseFields,
      flushScheduler: this.#flushScheduler,
      memory: this.memory,
      nowMs,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      createStream: (connection, id, head) => this.#createStream(connection, id, head),
      freeMemory: (bytes) => this.#freeMemory(bytes),
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

  /** Draining connections that are not closed yet. */
  get drainingCount(): number {
    return this.#draining.size;
  }

  /** Those of them that have not acknowledged the GOAWAY. */
  get unacknowledgedDrainCount(): number {
    return [...this.#draining].filter((connection) => !connection.hasAcknowledgedDrain).length;
  }

  get callsInFlight(): number {
    return inFlight(this.counters);
  }

  get unaryCallsInFlight(): number {
    return inFlight(this.counters.filter(({ kind }) => kind === "unary"));
  }

  /** Serves a socket that uses HTTP/2. */
  accept(socket: Socket, clientCommonName?: string): void {
    if (this.#state === "down") {
      socket.destroy();
      return;
    }
    const connection = new ServerConnection(socket, this.#connectionOwner, clientCommonName);
    this.#connections.add(connection);
    if (this.#state === "stopping") connection.drain();
    if (this.#state !== "draining") return;
    const timer = setTimeout(() => {
      if (this.#state === "draining") connection.drain();
    }, lateDrainMs);
    timer.unref();
  }

  /** Writes out all responses so far, instead of at the end of the turn. */
  flush(): void {
    this.#flushScheduler.run();
  }

  /**
   * Drains clients (GOAWAY), those of later connections after a moment: a client that reconnects at once is not sent
   * in a circle. Calls are answered as before.
   */
  drainClients(): void {
    this.#state = "draining";
    for (const connection of this.#connections) {
      this.#draining.add(connection);
      connection.drain();
    }
  }

  /** New connections may stay from now on. Those that are draining close all the same. */
  stopDraining(): void {
    if (this.#state === "draining") this.#state = "serving";
  }

  /** No client can connect any more: drains all that are left. */
  drain(): void {
    this.#state = "stopping";
    for (const connection of this.#connections) connection.drain();
  }

  /**
   * Drains clients (GOAWAY), waits for calls in flight up to `graceMs`, then closes what is left. Resolves when no
   * connection remains; later sockets are closed.
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
    this.#flushScheduler.run();
    this.#deadlines.clear();
  }

  #destroyAll(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #onClosed(connection: ServerConnection): void {
    this.#connections.delete(connection);
    this.#draining.delete(connection);
    this.#responses.forget(connection);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  /** Closes the connections whose clients would take longest to read their queue, until `bytes` more fit. */
  #freeMemory(bytes: number): void {
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
    return new RejectedCall(connection, id, head, route);
  }
}

/** A request that is answered from its headers alone; its body, if any, is dropped. */
class RejectedCall extends ServerStream {
  readonly #block: Buffer;

  constructor(connection: ServerConnection, id: number, head: RequestHead, route: CallRoute & { kind: "rejection" }) {
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

function inFlight(counters: readonly MethodCounters[]): number {
  const handled = (method: MethodCounters): number => method.handled.reduce((sum, count) => sum + count, 0);
  return counters.reduce((sum, method) => sum + method.started - handled(method), 0);
}

/** Among equally slow ones, the one that holds most; null when none holds anything. */
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
      throw new RangeError(`Method path "${method.path}" is not of the form /package.Service/Method`);
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
