import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ChangingRun } from "../host/changing-run.ts";
import { HostLock, type HostLockOptions } from "./host-lock.ts";

const runOf = (id: string): ChangingRun => ({
  id,
  user: "admin",
  host: "laptop",
  pid: 7,
  operation: "apply",
  createdAt: 1_700_000_000_000,
});
const [a, b] = [runOf("a"), runOf("b")];

let directory: string;
let file: string;
let locks: HostLock[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-lock-"));
  file = join(directory, "demo.lock");
  locks = [];
});
afterEach(() => {
  for (const lock of locks) lock.release();
  rmSync(directory, { recursive: true });
});

/** As of a process of its own: each has the file open for itself. */
function session(options: Partial<HostLockOptions> = {}): HostLock {
  const lock = new HostLock({ file, leaseMs: 60_000, onSilence: () => undefined, ...options });
  locks.push(lock);
  return lock;
}

describe("B4: the lock of a host", () => {
  it("is one run's at a time, and nothing is left of it", () => {
    const [first, second] = [session(), session()];
    expect(first.take(a)).toBe(null);
    expect(first.take(a)).toBe(null);
    expect(second.take(b)).toEqual(a);
    first.release();
    expect(existsSync(file)).toBe(false);
    expect(second.take(b)).toBe(null);
    expect(first.take(a)).toEqual(b);
  });

  it("is taken where a process that was killed, or the host, has left its file", () => {
    writeFileSync(file, JSON.stringify(b));
    expect(session().take(a)).toBe(null);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(a);
  });

  it("goes over to a later session of its run once an earlier one ends", async () => {
    const [first, second, other] = [session(), session(), session()];
    expect([first.take(a), second.take(a)]).toEqual([null, null]);
    first.release();
    await expect.poll(() => existsSync(file) && other.take(b)?.id, { timeout: 5_000 }).toBe("a");
    second.release();
    expect(other.take(b)).toBe(null);
  });

  it("is not told from an unreadable file who has it, and is had all the same", () => {
    expect(session().take(a)).toBe(null);
    writeFileSync(file, "");
    expect(session().take(b)).toMatchObject({ user: "unknown" });
  });

  it("tells when its run has not asked for it again in time", async () => {
    let silent = 0;
    const lock = session({ leaseMs: 200, onSilence: () => (silent += 1) });
    lock.take(a);
    await new Promise((resolve) => setTimeout(resolve, 100));
    lock.take(a);
    await expect.poll(() => silent).toBe(1);
    lock.release();
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(silent).toBe(1);
  });
});
