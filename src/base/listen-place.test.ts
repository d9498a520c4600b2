import { existsSync, linkSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { listenAt, listenPlace } from "./listen-place.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-listen-"));
const servers: Server[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function open(): Server {
  const server = createServer();
  servers.push(server);
  return server;
}

describe("listenPlace", () => {
  it.each([
    ["http://10.0.0.1:2379", { host: "10.0.0.1", port: 2379 }],
    ["https://[::1]:2379", { host: "::1", port: 2379 }],
    // URL leaves out what a scheme would have anyway.
    ["http://a:80", { host: "a", port: 80 }],
    ["https://a:443", { host: "a", port: 443 }],
    ["unix:///run/etcd.sock", { path: "/run/etcd.sock" }],
    ["unixs:///run/my%20etcd", { path: "/run/my etcd" }],
    ["unix://run/etcd.sock", { path: "run/etcd.sock" }],
    ["unix://localhost:2379", { path: "localhost:2379" }],
  ])("finds the place of %s", (url, place) => {
    expect(listenPlace(new URL(url))).toEqual(place);
  });
});

describe("listenAt", () => {
  const path = join(directory, "etcd.sock");

  it("replaces a stale socket, and removes its own", async () => {
    const first = open();
    await listenAt(first, { path: join(directory, "other") });
    linkSync(join(directory, "other"), path);
    const second = open();
    await listenAt(second, { path });
    await new Promise((resolve) => servers.pop()?.close(resolve));
    expect(existsSync(path)).toBe(false);
  });

  it("leaves a file alone that is no socket, and names it", async () => {
    writeFileSync(path, "mine");
    await expect(listenAt(open(), { path })).rejects.toThrow(`Cannot listen on ${path}: listen EADDRINUSE`);
    expect(readFileSync(path, "utf8")).toBe("mine");
    servers.pop();
  });
});
