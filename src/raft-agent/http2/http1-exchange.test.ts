/** Requests of node:http2's client that are handled by a node:http server of this process. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { afterEach, describe, expect, it } from "vitest";
import { anyFrame, greeting, RawClient } from "../../../test/support/raw-client.ts";
import { type ClientListener, listenForClients } from "./client-listener.ts";
import { connectionOwner } from "./connection-owner.ts";
import { FlushScheduler } from "./flush-scheduler.ts";
import { Flag, FrameType } from "./frame.ts";
import { encodeStateless } from "./hpack-encoder.ts";
import { exchangesMax, Http1Exchange } from "./http1-exchange.ts";
import { ServerConnection } from "./server-connection.ts";

const host = "127.77.27.1";

type Site = { http: Server; listener: ClientListener; client: ClientHttp2Session; connections: Set<ServerConnection> };
const sites: Site[] = [];
afterEach(async () => {
  for (const { http, listener, client, connections } of sites.splice(0)) {
    client.destroy();
    for (const connection of connections) connection.destroy();
    http.closeAllConnections();
    await listener.close();
  }
});

async function open(handler: RequestListener): Promise<Site> {
  const http = createServer(handler);
  const connections = new Set<ServerConnection>();
  const options = connectionOwner({
    flushScheduler: new FlushScheduler(),
    createStream: (connection, id, head) =>
      new Http1Exchange(connection, id, head, (socket) => http.emit("connection", socket)),
    onClosed: (connection) => connections.delete(connection),
  });
  const onHttp2 = (socket: import("node:net").Socket): void => {
    connections.add(new ServerConnection(socket, options));
  };
  const listener = await listenForClients({ host, port: 0, onHttp2 });
  const client = connect(`http://${host}:${listener.port}`);
  client.on("error", () => undefined);
  const site = { http, listener, client, connections };
  sites.push(site);
  return site;
}

type Answer = { headers: IncomingHttpHeaders; body: string; code: number };

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  let headers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on("response", (fields) => (headers = fields));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => undefined);
  await new Promise((resolve) => stream.once("close", resolve));
  return { headers, body: Buffer.concat(chunks).toString(), code: stream.rstCode };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe("HTTP/1.1 exchange", () => {
  it("carries method, path, fields and body to the server, and the client's address", async () => {
    const { client, listener } = await open(async (request, response) => {
      const { method, url, headers, socket } = request;
      const seen = { method, url, headers, address: socket.remoteAddress, body: (await bodyOf(request)).toString() };
      response.end(JSON.stringify(seen));
    });
    const fields = { "x-two": ["1", "2"], cookie: ["a=1", "b=2"], te: "trailers" };
    for (const [method, more, framing] of [
      ["POST", {}, { "transfer-encoding": "chunked" }],
      ["DELETE", {}, { "transfer-encoding": "chunked" }],
      ["PUT", { "content-length": "4" }, { "content-length": "4" }],
    ] as const) {
      const stream = client.request(
        { ":method": method, ":path": "/a?b=%20c", ...fields, ...more },
        { endStream: false },
      );
      stream.end("body");
      const { headers, body } = await answerOf(stream);
      expect(headers[":status"]).toBe(200);
      expect(JSON.parse(body)).toEqual({
        method,
        url: "/a?b=%20c",
        headers: {
          host: `${host}:${listener.port}`,
          "x-two": "1, 2",
          cookie: "a=1; b=2",
          connection: "close",
          ...framing,
        },
        address: client.socket?.localAddress,
        body: "body",
      });
    }
  });

  it("omits the fields of an HTTP/1.1 connection from the response", async () => {
    const { client } = await open((_, response) => {
      response.setHeader("Keep-Alive", "timeout=5");
      response.writeHead(404, { "Set-Cookie": ["a=1", "b=2"], "Content-Type": "text/plain" });
      response.write("not ");
      response.end("here");
    });
    const { headers, body } = await answerOf(client.request({ ":path": "/" }));
    expect(body).toBe("not here");
    expect(Object.keys(headers).sort()).toEqual([":status", "content-type", "date", "set-cookie"]);
    expect([headers[":status"], headers["set-cookie"]]).toEqual([404, ["a=1", "b=2"]]);
  });

  it("responds to HEAD, empty bodies and 204 without a body", async () => {
    const { client } = await open((request, response) => {
      if (request.url === "/204") response.writeHead(204).end();
      else if (request.url === "/0") response.writeHead(200, { "Content-Length": 0 }).end();
      else response.writeHead(200, { "Content-Length": 11 }).end("eleven byte");
    });
    for (const [method, path, status, length] of [
      ["HEAD", "/", 200, "11"],
      ["GET", "/204", 204, undefined],
      ["POST", "/0", 200, "0"],
    ] as const) {
      const { headers, body, code } = await answerOf(client.request({ ":method": method, ":path": path }));
      expect([headers[":status"], headers["content-length"], body, code]).toEqual([status, length, "", 0]);
    }
  });

  it("streams in both directions while neither side has ended", async () => {
    const { client } = await open((request, response) => {
      response.writeHead(200);
      response.flushHeaders();
      request.on("data", (chunk: Buffer) => response.write(`got ${chunk}`));
      request.on("end", () => response.end("over"));
    });
    const stream = client.request({ ":method": "POST", ":path": "/" });
    let text = "";
    stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    await new Promise((resolve) => stream.once("response", resolve));
    stream.write("one ");
    await until(() => text === "got one ");
    stream.write("two ");
    await until(() => text === "got one got two ");
    stream.end();
    await until(() => text === "got one got two over");
  });

  it("forwards 100 Continue before the body arrives", async () => {
    const { client } = await open(async (request, response) => response.end(await bodyOf(request)));
    const stream = client.request({ ":method": "POST", ":path": "/", expect: "100-continue" });
    await new Promise((resolve) => stream.once("continue", resolve));
    stream.end("now");
    expect((await answerOf(stream)).body).toBe("now");
  });

  it("applies backpressure to the client while the server does not read, and vice versa", async () => {
    const size = 8 * 1_048_576;
    const held: { request: IncomingMessage | null; written: number } = { request: null, written: 0 };
    const { client } = await open((request, response) => {
      held.request = request;
      response.on("error", () => undefined);
      const piece = Buffer.alloc(65_536, 7);
      const write = (): void => {
        while (held.written < size) {
          held.written += piece.length;
          if (!response.write(piece)) {
            response.once("drain", write);
            return;
          }
        }
        response.end();
      };
      write();
    });
    const stream = client.request({ ":method": "POST", ":path": "/" });
    let sent = 0;
    const piece = Buffer.alloc(65_536, 9);
    const send = (): void => {
      while (sent < size) {
        sent += piece.length;
        if (!stream.write(piece)) {
          stream.once("drain", send);
          return;
        }
      }
      stream.end();
    };
    send();
    await until(() => held.request !== null && sent > 1_048_576);
    for (let last = [-1, -1]; last[0] !== sent || last[1] !== held.written; ) {
      last = [sent, held.written];
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(sent).toBeLessThan(size / 2);
    expect(held.written).toBeLessThan(size / 2);
    const [received, answered] = await Promise.all([bodyOf(held.request!), answerOf(stream)]);
    expect([received.length, answered.body.length]).toEqual([size, size]);
  });

  it("notifies the server when the client cancels or disconnects", async () => {
    let closed = 0;
    const { client } = await open((_, response) => {
      response.on("close", () => closed++);
      response.write("first");
    });
    const streams = [1, 2].map(() => client.request({ ":path": "/" }));
    for (const stream of streams) stream.on("error", () => undefined);
    await Promise.all(streams.map((stream) => new Promise((resolve) => stream.once("data", resolve))));
    streams[0]!.close(8);
    await until(() => closed === 1);
    client.destroy();
    await until(() => closed === 2);
  });

  it("resets the stream when the server aborts, with or without a started response", async () => {
    const { client } = await open((request, response) => {
      if (request.url === "/begun") response.write("first");
      setImmediate(() => response.destroy());
    });
    for (const path of ["/begun", "/silent"]) {
      const { code, body } = await answerOf(client.request({ ":path": path }));
      expect([code, body]).toEqual([2, path === "/begun" ? "first" : ""]);
    }
  });

  it("ends an exchange whose response does not wait for the body", async () => {
    const { client, connections } = await open((_, response) => response.writeHead(413).end("too large"));
    const stream = client.request({ ":method": "POST", ":path": "/" });
    stream.write("started and never ended");
    const { headers, body, code } = await answerOf(stream);
    expect([headers[":status"], body, code]).toEqual([413, "too large", 0]);
    await until(() => [...connections].every((connection) => connection.streamCount === 0));
  });

  it("A21: rejects what HTTP/1.1 cannot represent, with every Node.js version", async () => {
    const { listener, http } = await open((_, response) => response.end());
    let requests = 0;
    http.on("request", () => requests++);
    const get = (path: string): [string, string][] => [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", path],
      [":authority", host],
    ];
    const rows: readonly (readonly [fields: readonly (readonly [string, string])[], status: string])[] = [
      [[...get("/"), ["x-quoted(", "1"]], "400"],
      [[...get("/"), ["x-value", "a\u0001b"]], "400"],
      [get("/with space"), "400"],
      [get("/").with(0, [":method", "MAKE-UP"]), "400"],
      [get("/").with(0, [":method", "A B"]), "400"],
      [
        [
          [":method", "CONNECT"],
          [":authority", host],
        ],
        "405",
      ],
      [[...get("/"), ["x-large", "x".repeat(16_000)], ["y-large", "y".repeat(4_000)]], "431"],
    ];
    const client = await RawClient.connect(host, listener.port);
    client.write(greeting);
    for (const [row, [fields, status]] of rows.entries()) {
      const id = 2 * row + 1;
      const block = encodeStateless(fields);
      const cut = Math.min(block.length, 10_000);
      client.write(anyFrame(FrameType.headers, Flag.endStream, id, block.subarray(0, cut)));
      client.write(anyFrame(FrameType.continuation, Flag.endHeaders, id, block.subarray(cut)));
      await client.until(() => client.ended(id));
      const answer = client.frames.find(({ type, streamId }) => type === FrameType.headers && streamId === id);
      expect(answer?.payload.toString("latin1"), String(fields[0])).toContain(status);
    }
    client.destroy();
    expect(requests).toBe(0);
  });

  it("rejects more exchanges than a connection may have, and accepts new ones when others have ended", async () => {
    let hold = true;
    const { client } = await open((_, response) => {
      if (hold) response.write("held");
      else response.end();
    });
    const streams = Array.from({ length: exchangesMax }, () => client.request({ ":path": "/" }));
    for (const stream of streams) stream.on("error", () => undefined);
    await Promise.all(streams.map((stream) => new Promise((resolve) => stream.once("response", resolve))));
    expect((await answerOf(client.request({ ":path": "/" }))).code).toBe(7);
    hold = false;
    streams[0]!.close(8);
    await new Promise((resolve) => streams[0]!.once("close", resolve));
    expect((await answerOf(client.request({ ":path": "/" }))).headers[":status"]).toBe(200);
  });
});
