/** The server of the page: it listens on 127.0.0.1 only, answers only requests with the token, and changes nothing. */
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { errorText } from "../../../src/base/haplan-error.ts";
import type { EventStream } from "./event-stream.ts";
import type { PageFile } from "./page-files.ts";
import { guardRequest } from "./request-guard.ts";

export type PageServerOptions = {
  /** 0: any that is free. */
  readonly port: number;
  readonly files: ReadonlyMap<string, PageFile>;
  /** JSON documents by path, each made when it is requested. */
  readonly documents: ReadonlyMap<string, () => object | Promise<object>>;
  /** Served at `events`. */
  readonly stream: EventStream;
};

export type PageServer = { readonly url: string; close(): Promise<void> };

const ownAddress = "127.0.0.1";

/** The page may load from its own server, and do nothing else. */
const headers: Readonly<Record<string, string>> = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  "Cache-Control": "no-store",
};

/** @throws Error if the port is taken */
export async function openPageServer(options: PageServerOptions): Promise<PageServer> {
  const token = randomBytes(24).toString("base64url");
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    const { port } = server.address() as AddressInfo;
    void answer(options, { token, port }, request, response);
  });
  await listen(server, options.port);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${ownAddress}:${port}/${token}/`,
    close: () =>
      new Promise((resolve) => {
        options.stream.close();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: ownAddress, port, exclusive: true }, () => resolve());
  });
}

async function answer(
  { files, documents, stream }: PageServerOptions,
  guard: { readonly token: string; readonly port: number },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const decision = guardRequest(guard, {
    method: request.method ?? "",
    target: request.url ?? "",
    host: request.headers.host,
    origin: request.headers.origin,
  });
  if (decision.kind === "reject") return sendText(response, decision.status, decision.why);
  const { path } = decision;
  const isHead = request.method === "HEAD";
  const file = files.get(path);
  if (file !== undefined) return send(response, 200, file.contentType, isHead ? "" : file.body);
  if (path === "events") return openStream(stream, response, isHead);
  const document = documents.get(path);
  if (document === undefined) return sendText(response, 404, "There is no such page.");
  try {
    send(response, 200, "application/json; charset=utf-8", isHead ? "" : JSON.stringify(await document()));
  } catch (error) {
    sendText(response, 500, errorText(error));
  }
}

function openStream(stream: EventStream, response: ServerResponse, isHead: boolean): void {
  response.writeHead(200, { ...headers, "Content-Type": "text/event-stream; charset=utf-8" });
  if (isHead) return void response.end();
  // Too many readers: the browser of this one tries again.
  if (!stream.add(response)) response.end();
}

function sendText(response: ServerResponse, status: number, text: string): void {
  send(response, status, "text/plain; charset=utf-8", `${text}\n`);
}

function send(response: ServerResponse, status: number, contentType: string, body: string | Buffer): void {
  response.writeHead(status, { ...headers, "Content-Type": contentType });
  response.end(body);
}
