import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../base/clock.ts";
import { HttpClients } from "./http-clients.ts";

let server: Server;
let clients: HttpClients;
let url: string;
beforeEach(async () => {
  clients = new HttpClients();
  server = createServer((request, response) => {
    if (request.url === "/slow") setTimeout(() => response.end("ok"), 150);
    else response.end("ok");
  });
  clients.watch(server);
  await new Promise<void>((resolve) => server.listen(0, "127.77.63.1", resolve));
  url = `http://127.77.63.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const ask = async (path: string): Promise<string | null> => {
  const answer = await fetch(url + path);
  await answer.text();
  // The bookkeeping of a complete response happens right after it was sent.
  await systemClock.sleep(10);
  return answer.headers.get("connection");
};

describe("clients over HTTP/1.1 of a stopping member", () => {
  it('T11: get "Connection: close" with every response, including pending ones', async () => {
    expect(await ask("/")).toBe("keep-alive");
    const slow = ask("/slow");
    await systemClock.sleep(50);
    clients.closeConnections();
    expect([clients.requestsUnderWay, clients.areDraining]).toEqual([1, true]);
    expect([await slow, await ask("/")]).toEqual(["close", "close"]);
    await expect.poll(() => clients.areActive, { timeout: 2_000 }).toBe(false);
    expect(clients.areDraining).toBe(false);
  });

  it("T11: are expected to check its health once more if they do so periodically", async () => {
    await ask("/readyz");
    clients.closeConnections();
    // One check is not an interval.
    expect(clients.areBalancersUnaware).toBe(false);
    await ask("/readyz?stopping=404");
    clients.closeConnections();
    expect(clients.areBalancersUnaware).toBe(true);
    await ask("/readyz?stopping=404");
    expect(clients.areBalancersUnaware).toBe(false);
    clients.closeConnections();
    // A balancer that has disappeared is not waited for.
    await expect.poll(() => clients.areBalancersUnaware, { timeout: 2_000 }).toBe(false);
  });
});
