/**
 * The gateway's streams over WebSocket, as in etcd below /v3/ (grpc-websocket-proxy): every message is a JSON object
 * of the request, every line of the response is a message. The request goes to the same HTTP server, as a POST on an
 * in-memory connection.
 */
import {
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import { type Duplex, pipeline, Transform } from "node:stream";
import { createWebSocketStream, type WebSocket, WebSocketServer } from "ws";
import { type AcceptHttp1, connectInMemory } from "../http2/in-memory-connection.ts";
import { bodyBytesMax } from "./read-objects.ts";

/**
 * Lets `server`, which serves the gateway, accept WebSockets. A connection that offers another protocol is passed to
 * `acceptOthers`: a server that never upgrades handles it, and what follows on it, as if there were no offer.
 */
export function serveWebSockets(server: Server, acceptOthers: AcceptHttp1): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: bodyBytesMax,
    handleProtocols: (offered) => (offered.has(bearer) ? bearer : false),
  });
  const accept: AcceptHttp1 = (socket) => server.emit("connection", socket);
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const isOurs = request.headers.upgrade?.toLowerCase() === "websocket" && /^\/v3(beta)?\//.test(request.url ?? "");
    if (isOurs) webSockets.handleUpgrade(request, socket, head, (webSocket) => carry(webSocket, request, accept));
    else serveWithoutUpgrade(request, socket, head, acceptOthers);
  };
  const lastResponses = new WeakMap<Duplex, ServerResponse>();
  server.on("request", ({ socket }, response) => lastResponses.set(socket, response));
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const before = lastResponses.get(socket);
    if (before === undefined || before.closed) {
      upgrade(request, socket, head);
      return;
    }
    // Responses to earlier requests are sent first. If they never come, the timeout closes the connection.
    socket.pause().on("error", () => {});
    before.once("close", () => {
      if (socket.destroyed) return;
      upgrade(request, socket, head);
      socket.resume();
    });
  });
}

/** The one subprotocol: browsers cannot set a header, and send their token after this word. */
const bearer = "Bearer";

function carry(webSocket: WebSocket, { url, headers, socket }: IncomingMessage, accept: AcceptHttp1): void {
  const messages = createWebSocketStream(webSocket, { decodeStrings: false });
  const { clientEnd, disconnect } = connectInMemory(accept, socket);
  const request = httpRequest({
    method: "POST",
    path: url,
    headers: requestHeaders(headers),
    setHost: false,
    createConnection: () => clientEnd,
  });
  request.on("response", (response) => pipeline(response.setEncoding("utf8"), lines, messages, () => {}));
  request.on("error", () => messages.end());
  // No pipeline: a response may be complete before the request is, and has to be sent to its end.
  messages.pipe(eachOnItsLine()).pipe(request);
  request.flushHeaders();
  messages.on("error", () => {}); // For example a broken frame: the close that follows is what counts.
  webSocket.on("close", disconnect);
}

function requestHeaders({ host, origin, authorization, ...headers }: IncomingMessage["headers"]): OutgoingHttpHeaders {
  const token = headers["sec-websocket-protocol"]?.replace(/, */, " ") ?? authorization;
  const present = Object.entries({ host, origin, authorization: token }).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(present), "transfer-encoding": "chunked" };
}

/** Terminates invalid JSON, too: the gateway reports the error in it instead of waiting for more. */
function eachOnItsLine(): Transform {
  return new Transform({ transform: (message: Buffer, _, done) => done(null, `${message}\n`) });
}

async function* lines(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of chunks) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop()!;
    yield* parts.filter((line) => line !== "");
  }
  if (rest !== "") yield rest;
}

/** Such as a client that offers HTTP/2. */
function serveWithoutUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, accept: AcceptHttp1): void {
  const { clientEnd, disconnect } = connectInMemory(accept, socket);
  socket.on("close", disconnect);
  socket.on("error", () => {});
  clientEnd.write(headOf(request));
  clientEnd.write(head);
  socket.pipe(clientEnd);
  pipeline(clientEnd, socket, () => socket.destroy());
}

function headOf({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let at = 0; at < rawHeaders.length; at += 2) head += `${rawHeaders[at]}: ${rawHeaders[at + 1]}\r\n`;
  return Buffer.from(`${head}\r\n`, "latin1");
}
