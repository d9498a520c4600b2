import { EventEmitter, once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { endStalledPipelines } from "./pipeline-watchdog.ts";

const host = "127.77.40.6";
const page = "x".repeat(100_000);

describe("a connection whose requests wait behind a pending one", () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.closeAllConnections();
  });

  type Waiting = { client: Socket; closed: Promise<unknown>; answer: ServerResponse };

  async function pipeline(stallMs: number): Promise<Waiting> {
    const waits: ServerResponse[] = [];
    const connections = new EventEmitter();
    const server = createServer((request, response) => {
      if (request.url === "/waits") waits.push(response);
      else response.end(page);
    });
    endStalledPipelines(server, stallMs);
    server.on("connection", (socket: Socket) => socket.on("close", () => connections.emit("close")));
    servers.push(server.listen(0, host));
    await once(server, "listening");
    const client = connect((server.address() as AddressInfo).port, host);
    client.write(["/waits", "/1", "/2", "/3"].map((path) => `GET ${path} HTTP/1.1\r\nHost: m\r\n\r\n`).join(""));
    const closed = once(connections, "close");
    await once(server, "request");
    return { client, closed, answer: waits[0]! };
  }

  it("is closed when its client has disconnected", async () => {
    const { client, closed } = await pipeline(100);
    client.destroy();
    await closed;
  });

  it("continues when the response arrives", async () => {
    const { client, answer } = await pipeline(60_000);
    answer.end("done");
    let received = 0;
    for await (const chunk of client) {
      received += chunk.length;
      if (received > 3 * page.length) break;
    }
    expect(received).toBeGreaterThan(3 * page.length);
  });
});

describe("a connection that is not read", () => {
  it("stays open as long as its client reads some of the responses", () => {
    vi.useFakeTimers();
    const server = createServer();
    endStalledPipelines(server, 1_000);
    const socket = Object.assign(new EventEmitter(), { bytesWritten: 0, destroy: vi.fn() });
    server.emit("connection", socket);
    socket.emit("pause");
    for (let seconds = 0; seconds < 5; seconds++) {
      socket.bytesWritten++;
      vi.advanceTimersByTime(1_000);
    }
    expect(socket.destroy).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1_000);
    expect(socket.destroy).toHaveBeenCalledOnce();
    vi.useRealTimers();
  });
});
