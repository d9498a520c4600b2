import { createServer, type Server } from "node:net";
import { describe, expect, it } from "vitest";
import { HaplanError } from "../base/haplan-error.ts";
import { listenOnceThere } from "./awaited-listener.ts";

const failing = (code: string): HaplanError =>
  new HaplanError("load-balancer/cannot-listen", "cannot listen", { cause: Object.assign(new Error(code), { code }) });

describe("listening at an address that the host does not have yet", () => {
  it("begins once it is there", async () => {
    const server = createServer();
    let attempts = 0;
    const open = async (): Promise<Server> => {
      attempts += 1;
      if (attempts < 3) throw failing("EADDRNOTAVAIL");
      return server;
    };
    expect(await listenOnceThere(open, new AbortController().signal)).toBe(server);
    expect(attempts).toBe(3);
  });

  it("fails at once for any other reason", async () => {
    const open = (): Promise<Server> => Promise.reject(failing("EADDRINUSE"));
    await expect(listenOnceThere(open, new AbortController().signal)).rejects.toThrow("cannot listen");
  });

  it("ends when it is no longer wanted", async () => {
    const stop = new AbortController();
    const listening = listenOnceThere(() => Promise.reject(failing("EADDRNOTAVAIL")), stop.signal);
    stop.abort();
    expect(await listening).toBeNull();
  });
});
