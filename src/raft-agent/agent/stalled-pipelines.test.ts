import { EventEmitter, once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endStalledPipelines } from "./stalled-pipelines.ts";

const host = "127.77.40.6";
const stallMs = 400;
const page = "x".repeat(2_000_000);

describe("a connection whose requests wait behind one without an answer", () => {
  let server: Server;
  let client: Socket;
  let waiting: ServerResponse;
  const connections = new EventEmitter();

  beforeEach(async () => {
    server = createServer((request, response) => {
      if (request.url === "/waits") waiting = response;
      else response.end(page);
    });
    endStalledPipelines(server, stallMs);
    server.on("connection", (socket: Socket) => socket.on("close", () => connections.emit("close")));
    server.listen(0, host);
    await once(server, "listening");
    client = connect((server.address() as AddressInfo).port, host);
    const ask = (path: string): boolean => client.write(`GET ${path} HTTP/1.1\r\nHost: m\r\n\r\n`);
    ask("/waits");
    await once(server, "request");
    for (let pages = 0; pages < 5; pages++) ask("/page");
  });
  afterEach(() => {
    client.destroy();
    server.closeAllConnections();
    server.close();
  });

  it("is closed when its client has gone", async () => {
    client.destroy();
    await once(connections, "close");
  });

  it("goes on when the answer comes, though its client reads slowly", async () => {
    await once(server, "request");
    waiting.end("done");
    let received = 0;
    for await (const chunk of client) {
      received += chunk.length;
      if (received > 5 * page.length) break;
      await sleep(10);
    }
    expect(received).toBeGreaterThan(5 * page.length);
  });
});
