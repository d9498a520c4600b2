/** No lease ends before the time that any client was told, whoever led meanwhile. */
import { Violation } from "../violation.ts";
import type { WrittenHistory } from "./written-history.ts";

/** A lease as its client knows it. `key` hangs on it, and goes with it alone. */
export type KnownLease = {
  readonly key: string;
  /** Until then it lives for certain: counted from before the client asked. */
  promisedUntilMs: number;
};

/** What a client was told of a lease at `atMs`. @throws Violation it is said to be gone, too early */
export function checkGone({ key, promisedUntilMs }: KnownLease, atMs: number): void {
  if (atMs >= promisedUntilMs) return;
  throw broken(key, promisedUntilMs - atMs, "is said to be gone");
}

/** @throws Violation the first lease that ended too early */
export function checkLeasePromises({ events }: WrittenHistory, leases: readonly KnownLease[]): void {
  const endOf = new Map(events.filter(({ put }) => put === null).map(({ key, atMs }) => [key, atMs]));
  for (const { key, promisedUntilMs } of leases) {
    const endMs = endOf.get(key);
    if (endMs !== undefined && endMs < promisedUntilMs) throw broken(key, promisedUntilMs - endMs, "ended");
  }
}

function broken(key: string, earlyMs: number, what: string): Violation {
  return new Violation(
    "lease promises",
    `the lease of ${key} ${what} ${Math.ceil(earlyMs)} ms before the time that was told`,
  );
}
