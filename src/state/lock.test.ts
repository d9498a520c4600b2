import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Clock } from "../base/clock.ts";
import { acquireLock, forceUnlock, lockHolder } from "./lock.ts";
import { type Lock, type LockHolder, lockLeaseMs } from "./lock-holder.ts";

let directory: string;
let now: number;
let held: Lock[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-lock-"));
  now = 1_000_000;
  held = [];
});
afterEach(() => {
  for (const lock of held) lock.release();
  rmSync(directory, { recursive: true, force: true });
});

/** Time that advances only in sleeps or when the test advances it. */
const clock: Clock = {
  now: () => now,
  monotonicMs: () => now,
  sleep: async (ms) => {
    now += ms;
  },
};

async function take(timeoutMs = 0): Promise<Lock> {
  const lock = await acquireLock({ directory, operation: "apply", timeoutMs, clock });
  held.push(lock);
  return lock;
}

function leaveBehind(fencing: number, changes: Partial<LockHolder>): void {
  const holder: LockHolder = {
    id: "left",
    user: "ann",
    host: hostname(),
    pid: process.pid,
    processStart: null,
    operation: "apply",
    createdAt: now,
    expiresAt: now + lockLeaseMs,
    released: false,
    ...changes,
  };
  writeFileSync(join(directory, `${fencing}.json`), JSON.stringify(holder));
}

describe("lock", () => {
  it("is held by one at a time, and names its holder to the others", async () => {
    await take();
    await expect(take()).rejects.toMatchObject({ code: "lock/held" });
    await expect(take()).rejects.toThrow(
      new RegExp(`@${hostname()}, pid ${process.pid}[\\s\\S]*Operation: apply[\\s\\S]*Since: +1970`),
    );
    expect(lockHolder(directory, clock)).toMatchObject({ pid: process.pid, operation: "apply" });
  });

  it("fencing numbers grow and are never used twice", async () => {
    for (const fencing of [1, 2, 3]) {
      const lock = await take();
      expect(lock.fencing).toBe(fencing);
      lock.release();
      expect(lockHolder(directory, clock)).toBeNull();
    }
    expect(readdirSync(directory)).toEqual(["3.json"]);
  });

  it("a holder whose process is gone is recognized at once", async () => {
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    leaveBehind(7, { pid });
    expect((await take()).fencing).toBe(8);
  });

  it("a holder that was killed is recognized although its pid was given to another process", async () => {
    leaveBehind(1, { processStart: "1" });
    expect((await take()).fencing).toBe(2);
  });

  it("a holder that still runs is respected", async () => {
    const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 20000)"]);
    leaveBehind(1, { pid: child.pid! });
    await expect(take()).rejects.toMatchObject({ code: "lock/held" });
    child.kill("SIGKILL");
  });

  it("a holder on another host is respected until its lease has run out", async () => {
    leaveBehind(1, { host: "elsewhere", pid: 1 });
    await expect(take()).rejects.toThrow("ann@elsewhere");
    now += lockLeaseMs;
    expect((await take()).fencing).toBe(2);
  });

  it("waiting lasts as long as asked", async () => {
    leaveBehind(1, { host: "elsewhere" });
    const start = now;
    await expect(take(5000)).rejects.toMatchObject({ code: "lock/held" });
    expect(now - start).toBeGreaterThanOrEqual(5000);
    expect((await take(60_000)).fencing).toBe(2);
  });

  it("R small: a holder whose lease expired continues with the next number, if no other run has taken it", async () => {
    const sleeper = await take();
    expect(sleeper.fencing).toBe(1);
    now += 10 * lockLeaseMs;
    await sleeper.assertHeld();
    expect(sleeper.fencing).toBe(2);
    expect(lockHolder(directory, clock)).toMatchObject({ expiresAt: now + lockLeaseMs, released: false });
    await expect(take()).rejects.toMatchObject({ code: "lock/held" });
    now += lockLeaseMs - 1;
    await sleeper.assertHeld();
    expect(sleeper.fencing).toBe(2);
    sleeper.release();
    expect(lockHolder(directory, clock)).toBeNull();
    await expect(sleeper.assertHeld()).rejects.toMatchObject({ code: "lock/lost" });
    expect((await take()).fencing).toBe(3);
  });

  it("R small: of a holder that overslept and many that wait for it exactly one has the lock", async () => {
    for (let round = 0; round < 20; round += 1) {
      const sleeper = await take();
      now += lockLeaseMs;
      const contenders = Array.from({ length: 4 }, () => take());
      contenders.splice(
        round % 5,
        0,
        sleeper.assertHeld().then(() => sleeper),
      );
      const won = (await Promise.allSettled(contenders)).flatMap((each) =>
        each.status === "fulfilled" ? [each.value] : [],
      );
      expect(won).toHaveLength(1);
      await won[0]?.assertHeld();
      for (const lock of held) if (lock !== won[0]) await expect(lock.assertHeld()).rejects.toThrow("lost");
      await won[0]?.release();
      held = [];
    }
  });

  it("a holder that overslept its lease may no longer write once another one was there", async () => {
    const sleeper = await take();
    await sleeper.assertHeld();
    now += lockLeaseMs;
    const next = await take();
    await expect(sleeper.assertHeld()).rejects.toMatchObject({ code: "lock/lost" });
    sleeper.release();
    await next.assertHeld();
    expect(lockHolder(directory, clock)).not.toBeNull();
  });

  it("that is forced open lets the next one in and the one who held it write no more", async () => {
    const hung = await take();
    const id = lockHolder(directory, clock)?.id ?? "";
    expect(() => forceUnlock(directory, "another", clock)).toThrow(expect.objectContaining({ code: "lock/not-held" }));
    expect(forceUnlock(directory, id, clock)).toMatchObject({ pid: process.pid });
    await expect(hung.assertHeld()).rejects.toMatchObject({ code: "lock/lost" });
    expect(lockHolder(directory, clock)).toBeNull();
    expect(() => forceUnlock(directory, id, clock)).toThrow("not locked");
    const next = await take();
    expect(next.fencing).toBe(3);
    hung.release();
    await next.assertHeld();
  });

  it("a lock file that a crash has emptied blocks no run", async () => {
    writeFileSync(join(directory, "4.json"), "");
    expect((await take()).fencing).toBe(5);
  });

  it("of many that come at once exactly one gets a stale lock", async () => {
    leaveBehind(3, { host: "elsewhere", expiresAt: 0 });
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => take()));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(JSON.parse(readFileSync(join(directory, "4.json"), "utf8"))).toMatchObject({ released: false });
  });
});
