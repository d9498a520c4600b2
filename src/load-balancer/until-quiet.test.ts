import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { untilQuiet } from "./until-quiet.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Act = "request" | "acknowledgment" | "response" | "close" | "limit" | "unread" | "read";

/** What happens on the connection at which ms, and when that is a moment to close it, to the ms. */
it.each<[string, Readonly<Record<number, Act>>, number]>([
  ["nothing passes", {}, 250],
  ["a response comes late", { 20: "request", 200: "response" }, 205],
  ["responses come in several pieces", { 20: "request", 50: "response", 53: "response", 57: "response" }, 62],
  ["the response of an earlier request comes", { 40: "response" }, 45],
  ["the next request follows at once", { 10: "response", 12: "request", 30: "response" }, 35],
  ["14/4: a request is acknowledged before its response", { 20: "request", 22: "acknowledgment", 60: "response" }, 65],
  ["a request has no response", { 20: "request" }, 270],
  ["the client closes", { 20: "request", 30: "close" }, 30],
  ["the limit is reached", { 20: "request", 30: "limit" }, 30],
  ["the client has not read everything", { 20: "unread", 300: "read" }, 300],
])("waits until a connection is quiet: %s", async (_, acts, expectedMs) => {
  const client = new PassThrough();
  const backend = new PassThrough();
  const limit = new AbortController();
  let unread = 0;
  vi.spyOn(client, "writableLength", "get").mockImplementation(() => unread);
  const act: Record<Act, () => void> = {
    request: () => client.emit("data", "x"),
    acknowledgment: () => backend.emit("data", "x".repeat(52)),
    response: () => backend.emit("data", "x".repeat(120)),
    close: () => client.emit("close"),
    limit: () => limit.abort(),
    unread: () => void (unread = 1),
    read: () => void (unread = 0),
  };
  let atMs: number | null = null;
  let nowMs = 0;
  void untilQuiet(client, backend, limit.signal).then(() => {
    atMs = nowMs;
  });
  for (; nowMs <= 400 && atMs === null; nowMs++) {
    const what = acts[nowMs];
    if (what !== undefined) act[what]();
    // What is due at this ms.
    await vi.advanceTimersByTimeAsync(nowMs === 0 ? 0 : 1);
  }
  expect(atMs).not.toBeNull();
  expect(Math.abs(atMs! - expectedMs)).toBeLessThanOrEqual(6);
  expect([client.listenerCount("data"), backend.listenerCount("data")]).toEqual([0, 0]);
});
