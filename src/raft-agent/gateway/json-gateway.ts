/**
 * The JSON gateway: the same methods as gRPC, called by POST. A request is converted to the method's bytes and passed
 * to the same table as gRPC calls; responses are converted back. Streams are one JSON object per line.
 */

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import { longestTimerMs } from "../../base/longest-timer.ts";
import { StatusCode } from "../api/status-code.ts";
import { type Method, type ResponsePacing, type ServerCall, type StreamHandler, wholeMessage } from "../grpc/call.ts";
import type { MethodCounters } from "../grpc/method-counters.ts";
import { parseTimeout } from "../grpc/timeout.ts";
import { encodeJson } from "./json-message.ts";
import { createJsonRoutes } from "./json-routes.ts";
import { messageJson } from "./message-json.ts";
import { readObjects } from "./read-objects.ts";
import { messageBytesMax, UnreadResponses } from "./unread-responses.ts";

const tooLarge = "etcdserver: request is too large";
const responseTooLarge = {
  code: StatusCode.resourceExhausted,
  text: "haplan-agent: the response is larger than 32 MiB: request less at a time, with a limit, or use gRPC",
};
const tooMuchUnread = {
  code: StatusCode.resourceExhausted,
  text: "haplan-agent: too much of earlier responses is not read yet",
};

/** grpc-gateway's translation (`runtime.HTTPStatusFromCode`). */
const httpStatus: Record<StatusCode, number> = {
  [StatusCode.ok]: 200,
  [StatusCode.cancelled]: 499,
  [StatusCode.unknown]: 500,
  [StatusCode.invalidArgument]: 400,
  [StatusCode.deadlineExceeded]: 504,
  [StatusCode.notFound]: 404,
  [StatusCode.alreadyExists]: 409,
  [StatusCode.permissionDenied]: 403,
  [StatusCode.resourceExhausted]: 429,
  [StatusCode.failedPrecondition]: 400,
  [StatusCode.aborted]: 409,
  [StatusCode.outOfRange]: 400,
  [StatusCode.unimplemented]: 501,
  [StatusCode.internal]: 500,
  [StatusCode.unavailable]: 503,
  [StatusCode.dataLoss]: 500,
  [StatusCode.unauthenticated]: 401,
};

/** Serves requests below `/v3/`; returns false for unknown paths. */
export type JsonGateway = (path: string, request: IncomingMessage, response: ServerResponse) => boolean;

export type JsonGatewayOptions = {
  readonly methods: readonly Method[];
  /** The same counters: a dashboard does not distinguish how a call arrived. */
  readonly counters: readonly MethodCounters[];
  /** A call is over. */
  handled(method: MethodCounters, seconds: number): void;
};

/** One method with what is needed to serve it. */
type Served<M extends Method = Method> = {
  readonly method: M;
  readonly description: DescMethod;
  readonly counters: MethodCounters;
  readonly unread: UnreadResponses;
  handled(method: MethodCounters, seconds: number): void;
};

export function createJsonGateway({ methods, counters, handled }: JsonGatewayOptions): JsonGateway {
  const routes = createJsonRoutes();
  const unread = new UnreadResponses();
  const served = new Map<string, Method>(methods.map((method) => [method.path, method]));
  const counted = new Map<string, MethodCounters>(counters.map((one) => [one.path, one]));
  return (path, request, response) => {
    const description = routes.get(path.replace(/^\/v3beta\//, "/v3/"));
    if (description === undefined) return false;
    if (request.method !== "POST") {
      sendMethodNotAllowed(response, "POST");
      return true;
    }
    const timeout = request.headers["grpc-timeout"];
    if (timeout !== undefined && parseTimeout(String(timeout)) === undefined) {
      sendError(response, { code: StatusCode.invalidArgument, text: `invalid grpc-timeout: ${timeout}` });
      return true;
    }
    const grpcPath = `/${description.parent.typeName}/${description.name}`;
    const method = served.get(grpcPath);
    const own = counted.get(grpcPath);
    if (method === undefined || own === undefined) {
      sendError(response, { code: StatusCode.unimplemented, text: `unknown method ${description.name}` });
    } else if (method.kind === "unary") {
      serveUnary({ method, description, counters: own, unread, handled }, request, response);
    } else {
      serveStream({ method, description, counters: own, unread, handled }, request, response);
    }
    return true;
  };
}

function serveUnary(
  served: Served<Extract<Method, { kind: "unary" }>>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { method, counters, description } = served;
  let isAsked = false;
  const ask = (json: string): void => {
    isAsked = true;
    const message = encodeJson(description.input, json);
    if (typeof message === "string") {
      sendError(response, { code: StatusCode.invalidArgument, text: message });
      return;
    }
    let sent: Uint8Array = new Uint8Array(0);
    const call = createCall(served, request, response, {
      send: (bytes) => {
        sent = bytes.slice();
        return true;
      },
      finish: (status) => {
        if (status.code !== StatusCode.ok) {
          sendError(response, status);
          return;
        }
        sendResponse(served, response, sent);
      },
    });
    response.on("close", () => method.onClose?.(call));
    countReceived(counters, message);
    method.handle(message, call);
  };
  // Anything after the first object is ignored, as in etcd; an empty body is the empty message.
  readObjects(request, {
    wantsMore: () => !isAsked,
    onObject: ask,
    onTooLarge: () => {
      isAsked = true;
      sendError(response, { code: StatusCode.invalidArgument, text: tooLarge });
    },
    onEnd: () => ask("{}"),
  });
}

/** Converts the message of a successful call to JSON, unless that would take too much memory. */
function sendResponse({ description, unread }: Served, response: ServerResponse, message: Uint8Array): void {
  if (message.length > messageBytesMax) {
    sendError(response, responseTooLarge);
    return;
  }
  // Bytes are a third longer in base64.
  if (!unread.take(response, Math.ceil((message.length * 4) / 3))) {
    sendError(response, tooMuchUnread);
    return;
  }
  response.setHeader("Grpc-Metadata-Content-Type", "application/grpc");
  sendJson(response, 200, messageJson(description.output, message));
}

/** A range that is too large is rejected before it is read. */
function pacingOf(call: Pick<ServerCall, "send" | "finish">): ResponsePacing {
  return {
    hasRoom: true,
    hasRoomForLarge: true,
    whenRoom: (_requestBytes, task) => task(),
    sendFrom: (source) => {
      if (source.expectedBytes() > 2 * messageBytesMax) {
        call.finish(responseTooLarge.code, responseTooLarge.text);
        return;
      }
      call.send(wholeMessage(source));
      call.finish();
    },
  };
}

function serveStream(
  served: Served<Extract<Method, { kind: "stream" }>>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { method, description, counters } = served;
  let isAsked = false;
  const call = createCall(served, request, response, {
    send: (bytes) => {
      beginStream(response);
      return response.write(`${JSON.stringify({ result: messageJson(description.output, bytes) })}\n`);
    },
    finish: (status) => {
      if (status.code === StatusCode.ok) beginStream(response);
      else if (response.headersSent) response.write(`${JSON.stringify({ error: streamError(status) })}\n`);
      else if (isAsked) sendJson(response, httpStatus[status.code], { error: streamError(status) });
      else sendError(response, status);
      response.end();
    },
  });
  const handler = method.open(call);
  response.on("drain", () => handler.onDrain());
  response.on("close", () => handler.onClose());
  feedStream(description, request, call, {
    onMessage: (message) => {
      isAsked = true;
      countReceived(counters, message);
      handler.onMessage(message);
    },
    onHalfClose: () => handler.onHalfClose(),
  });
}

function countReceived(counters: MethodCounters, message: Uint8Array): void {
  counters.messagesReceived++;
  counters.bytesReceived += message.length;
}

function beginStream(response: ServerResponse): void {
  if (response.headersSent) return;
  response.setHeader("Grpc-Metadata-Content-Type", "application/grpc");
  response.writeHead(200, { "Content-Type": "application/json" });
}

/** Passes every JSON object of the body to the call as it arrives. Once the call is over, the rest is ignored. */
function feedStream(
  description: DescMethod,
  request: IncomingMessage,
  call: ServerCall,
  handler: Pick<StreamHandler, "onMessage" | "onHalfClose">,
): void {
  readObjects(request, {
    wantsMore: () => call.open,
    onObject: (json) => {
      const message = encodeJson(description.input, json);
      if (typeof message === "string") call.finish(StatusCode.invalidArgument, message);
      else handler.onMessage(message);
    },
    onTooLarge: () => call.finish(StatusCode.invalidArgument, tooLarge),
    onEnd: () => handler.onHalfClose(),
  });
}

type Outgoing = {
  send(message: Uint8Array): boolean;
  finish(status: { code: StatusCode; text: string }): void;
};

function createCall(
  { method, counters, handled }: Served,
  request: IncomingMessage,
  response: ServerResponse,
  out: Outgoing,
): ServerCall {
  const startedMs = performance.now();
  let finished = false;
  const close = (code: StatusCode): void => {
    finished = true;
    counters.handled[code]!++;
    handled(counters, (performance.now() - startedMs) / 1000);
  };
  counters.started++;
  const { headers } = request;
  const call: ServerCall = {
    path: method.path,
    header: (name) => {
      const value = headers[`grpc-metadata-${name}`] ?? (name === "authorization" ? headers[name] : undefined);
      return Array.isArray(value) ? value[0] : value;
    },
    // Authentication by certificate is not possible here: the client behind the gateway may be another one (etcd).
    clientCommonName: undefined,
    remoteAddress: `${request.socket.remoteAddress}:${request.socket.remotePort}`,
    get pacing() {
      return pacingOf(call);
    },
    get open() {
      return !finished;
    },
    send: (message) => {
      if (finished) return true;
      counters.messagesSent++;
      counters.bytesSent += message.length;
      return out.send(message);
    },
    finish: (code = StatusCode.ok, text = "") => {
      if (finished) return;
      close(code);
      out.finish({ code, text });
    },
  };
  const timer = startDeadline(headers["grpc-timeout"], call);
  response.on("close", () => {
    if (!finished) close(StatusCode.cancelled);
    clearTimeout(timer);
  });
  return call;
}

function startDeadline(timeout: string | string[] | undefined, call: ServerCall): NodeJS.Timeout | undefined {
  const timeoutMs = timeout === undefined ? undefined : parseTimeout(String(timeout));
  if (timeoutMs === undefined) return undefined;
  const expire = (): void => call.finish(StatusCode.deadlineExceeded, "context deadline exceeded");
  return setTimeout(expire, Math.min(timeoutMs, longestTimerMs));
}

/** Both the old body (`error`) and the new one (`details`): clients of either find their field. */
function sendError(response: ServerResponse, { code, text }: { code: StatusCode; text: string }): void {
  if (response.headersSent) {
    response.end();
    return;
  }
  sendJson(response, httpStatus[code], { error: text, code, message: text, details: [] });
}

/** As above, both the old fields (`grpc_code`, `http_code`, `http_status`) and the new ones (`code`, `details`). */
function streamError({ code, text }: { code: StatusCode; text: string }): unknown {
  const status = httpStatus[code];
  return {
    ...{ grpc_code: code, http_code: status, message: text, http_status: STATUS_CODES[status] ?? "" },
    ...{ code, details: [] },
  };
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": body.length });
  response.end(body);
}

/** `allowed` is the one method that the path supports. */
export function sendMethodNotAllowed(response: ServerResponse, allowed: string): void {
  response.setHeader("Allow", allowed);
  sendText(response, 405, "Method Not Allowed\n");
}

export function sendText(response: ServerResponse, status: number, text: string): void {
  const body = Buffer.from(text);
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "Content-Length": body.length,
  });
  response.end(body);
}
