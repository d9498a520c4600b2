import { EventEmitter, once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createDetachedServer } from "./detached-http-server.ts";

const host = "127.77.34.2";
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function open(...options: Parameters<typeof createDetachedServer>): Promise<{ port: number; closeAll(): void }> {
  const http = createDetachedServer(...options);
  const acceptor = createServer((socket) => http.emit("connection", socket)).listen(0, host);
  await once(acceptor, "listening");
  closing.push(() => {
    acceptor.close();
    http.close();
  });
  return { port: (acceptor.address() as AddressInfo).port, closeAll: () => http.closeAllConnections() };
}

describe("a server that is handed its connections", () => {
  it("closes one that never finishes the head of its request", async () => {
    const { port } = await open(() => {}, { headersTimeout: 50, connectionsCheckingInterval: 10 });
    const socket = connect(port, host);
    socket.write("GET /health HTTP/1.1\r\nHost: ");
    const [answer] = await once(socket, "data");
    expect(String(answer)).toContain("408 Request Timeout");
    await once(socket, "close");
  });

  it("can close those that wait for an answer", async () => {
    const asked = new EventEmitter();
    const { port, closeAll } = await open(() => asked.emit("request"));
    const socket = connect(port, host);
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(asked, "request");
    closeAll();
    await once(socket, "close");
  });
});
