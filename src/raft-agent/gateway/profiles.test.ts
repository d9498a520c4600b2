import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createProfiles } from "./profiles.ts";

const host = "127.77.42.7";
const profiles = createProfiles();
const server = createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://agent");
  profiles(url.pathname, url.searchParams, request, response);
});
let site: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  site = `http://${host}:${(server.address() as AddressInfo).port}/debug/pprof`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

it("a profile shows where time is spent, a heap profile what was allocated, and only one is taken at a time", async () => {
  const first = fetch(`${site}/profile?seconds=0.2`);
  await new Promise((resolve) => server.once("request", resolve));
  expect((await fetch(`${site}/heap?seconds=0.1`)).status).toBe(503);
  const profile = await first;
  expect(profile.headers.get("content-disposition")).toBe('attachment; filename="agent.cpuprofile"');
  const { nodes, samples } = (await profile.json()) as { nodes: object[]; samples: number[] };
  expect(nodes.length).toBeGreaterThan(1);
  expect(samples.length).toBeGreaterThan(1);
  expect(await (await fetch(`${site}/heap?seconds=0.05`)).json()).toHaveProperty("head.callFrame");
});

it("a client that disconnects ends its profile", async () => {
  const gone = new AbortController();
  const asked = fetch(`${site}/profile?seconds=100`, { signal: gone.signal }).catch(() => "gone");
  await new Promise((resolve) => server.once("request", resolve));
  gone.abort();
  expect(await asked).toBe("gone");
  while ((await fetch(`${site}/heap?seconds=0.01`)).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 5));
});

it.each([
  ["GET", "/goroutine", 404],
  ["GET", "/", 404],
  ["POST", "/profile", 405],
  ["GET", "/profile?seconds=x", 400],
  ["GET", "/profile?seconds=0", 400],
  ["GET", "/heap?seconds=121", 400],
])("%s %s is rejected", async (method, path, status) => {
  expect((await fetch(site + path, { method })).status).toBe(status);
});
