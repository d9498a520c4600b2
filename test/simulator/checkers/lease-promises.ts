/** No lease expires before the time reported to any client, whichever member led meanwhile. */
import { Violation } from "../violation.ts";
import type { WrittenHistory } from "./written-history.ts";

/** A lease as known to its client. `key` is attached to it, and deleted only with it. */
export type KnownLease = {
  readonly key: string;
  /** Guaranteed to live until then: counted from before the client's request. */
  promisedUntilMs: number;
};

/** Checks a response about a lease at `atMs`. @throws Violation it was reported as expired too early */
export function checkGone({ key, promisedUntilMs }: KnownLease, atMs: number): void {
  if (atMs >= promisedUntilMs) return;
  throw broken(key, promisedUntilMs - atMs, "is reported as expired");
}

/** @throws Violation the first lease that expired too early */
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
    `the lease of ${key} ${what} ${Math.ceil(earlyMs)} ms before the promised time`,
  );
}
