import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { describe, expect, it } from "vitest";
import { stopListening } from "./stop-listening.ts";

async function greetingServer(): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => undefined).end("welcome"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** What a client gets to read, or the code of its error. */
async function visit(server: Server): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, "127.0.0.1").setEncoding("utf8");
  let text = "";
  try {
    for await (const piece of socket) text += piece;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return text;
}

describe("stopListening", () => {
  it("T11: serves all connections that wait to be accepted", async () => {
    const server = await greetingServer();
    // The system establishes them while this process has accepted none.
    const visits = Array.from({ length: 20 }, () => visit(server));
    await stopListening(server);
    expect(await Promise.all(visits)).toEqual(visits.map(() => "welcome"));
  });

  it("refuses connections afterwards", async () => {
    const server = await greetingServer();
    const { port } = server.address() as AddressInfo;
    await stopListening(server);
    await expect(once(connect(port, "127.0.0.1"), "connect")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("T11: ends although clients never stop coming", async () => {
    const server = await greetingServer();
    let isDone = false;
    const crowd = Array.from({ length: 20 }, async () => {
      while (!isDone) if ((await visit(server).catch(() => "refused")) !== "welcome") return;
    });
    await stopListening(server);
    isDone = true;
    expect(server.listening).toBe(false);
    await Promise.all(crowd);
  });
});
