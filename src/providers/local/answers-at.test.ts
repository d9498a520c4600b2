/** Which ports are served by a process that is at work. */
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { answersAt } from "./answers-at.ts";

const opened: Server[] = [];
const held: Socket[] = [];
afterEach(async () => {
  for (const socket of held.splice(0)) socket.destroy();
  for (const server of opened.splice(0)) await new Promise((resolve) => server.close(resolve));
});

async function urlOf(server: Server): Promise<string> {
  opened.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("a port of this machine", () => {
  it.each<[string, () => Server, boolean]>([
    ["a server without TLS", () => createHttpServer((_, response) => response.end()), true],
    ["a server with TLS, which rejects what is no handshake", () => createTlsServer({}), true],
    ["a server that resets connections", () => createServer((socket) => void socket.resetAndDestroy()), true],
    [
      "a process that accepts connections and says nothing",
      () => createServer((socket) => void held.push(socket)),
      false,
    ],
  ])("of %s: %s", async (_, create, answers) => {
    expect(await answersAt(await urlOf(create()))).toBe(answers);
  });

  it("that nothing listens on does not answer", async () => {
    const server = createServer();
    const url = await urlOf(server);
    await new Promise((resolve) => opened.pop()!.close(resolve));
    expect(await answersAt(url)).toBe(false);
  });
});
