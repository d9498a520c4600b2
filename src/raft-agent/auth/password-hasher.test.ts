import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type PasswordCaller, PasswordHasher } from "./password-hasher.ts";

const caller = (remoteAddress: string, user = "root"): PasswordCaller => ({ user, remoteAddress, open: true });
const crowd = Array.from({ length: 270 }, (_, at) => at);

describe("PasswordHasher", () => {
  let hash: string;
  let hasher: PasswordHasher;
  beforeEach(async () => {
    // Hashed by another process, as after a restart.
    const other = new PasswordHasher();
    hash = await other.hash("right", 4, caller("127.77.62.1:1"));
    other.stop();
    hasher = new PasswordHasher();
  });
  afterEach(() => hasher.stop());

  /** The wrong passwords that are rejected after a check, or at once; the rest shows how many wait. */
  function guess(addressOf: (at: number) => string): {
    readonly done: Promise<unknown>;
    readonly checked: () => number;
  } {
    let checked = 0;
    const wait = async (at: number): Promise<void> => {
      const outcome = await hasher.matches("wrong", hash, caller(addressOf(at))).catch(() => null);
      if (outcome === false) checked++;
    };
    return { done: Promise.all(crowd.map(wait)), checked: () => checked };
  }

  it.each<[string, (at: number) => string]>([
    ["one connection", () => "127.77.62.9:1"],
    ["one connection each, of one host", (at) => `127.77.62.9:${at}`],
    ["one host each", (at) => `127.77.63.${at}:1`],
    ["one connection each, of root's own host", (at) => `127.77.62.1:${1_000 + at}`],
  ])("A11: checks root's first password at once while 270 wrong ones for root wait, from %s", async (_, addressOf) => {
    const { done, checked } = guess(addressOf);
    expect(await hasher.matches("right", hash, caller("127.77.62.1:1"))).toBe(true);
    expect(checked()).toBeLessThan(5);
    await done;
    expect(checked()).toBeGreaterThan(250);
  });

  it("A11: checks root's password at once while 270 connections with a wrong one try the next", async () => {
    await guess((at) => `127.77.62.9:${at}`).done;
    await guess((at) => `127.77.62.9:${at}`).done;
    const again = guess((at) => `127.77.62.9:${at}`);
    const rightly = hasher.matches("right", hash, caller("127.77.62.1:1"));
    const more = guess((at) => `127.77.62.9:${at}`);
    expect(await rightly).toBe(true);
    expect(again.checked() + more.checked()).toBeLessThan(5);
    await Promise.all([again.done, more.done]);
  });

  it("A11: remembers a verified password, and accepts no wrong one for it", async () => {
    expect(await hasher.matches("right", hash, caller("127.77.62.1:1"))).toBe(true);
    const { done, checked } = guess((at) => `127.77.62.9:${at}`);
    const logins = await Promise.all(crowd.map((at) => hasher.matches("right", hash, caller(`127.77.62.2:${at}`))));
    expect(logins).toEqual(crowd.map(() => true));
    expect(checked()).toBe(0);
    expect(await hasher.matches("wrong", hash, caller("127.77.62.2:1"))).toBe(false);
    await done;
  });

  it("checks a password once for all callers that wait with it", async () => {
    await hasher.hash("any", 10, caller("127.77.62.1:1"));
    let startedMs = performance.now();
    const other = new PasswordHasher();
    const slow = await other.hash("slow", 10, caller("127.77.62.1:1"));
    other.stop();
    const onceMs = performance.now() - startedMs;
    startedMs = performance.now();
    const from = (at: number): Promise<boolean> => hasher.matches("slow", slow, caller(`127.77.62.2:${at}`, "app"));
    expect(await Promise.all(crowd.slice(0, 200).map(from))).toEqual(crowd.slice(0, 200).map(() => true));
    expect(performance.now() - startedMs).toBeLessThan(20 * onceMs);
  });

  it("does no work for a caller that has disconnected", async () => {
    const gone = { ...caller("127.77.62.1:1"), open: false };
    const first = hasher.matches("wrong", hash, caller("127.77.62.1:2"));
    await expect(hasher.matches("right", hash, gone)).rejects.toThrow("the caller has disconnected");
    expect(await first).toBe(false);
  });
});
