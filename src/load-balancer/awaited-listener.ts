/** Listens at an address that this host has only now and then: a virtual address that moves between hosts. */
import type { Server } from "node:net";
import { systemClock } from "../base/clock.ts";
import { systemErrorCode } from "../base/haplan-error.ts";

const retryMs = 50;

/**
 * Listens, as `open` does, as soon as the host has the address. A socket stays when the address goes, and serves again when it
 * comes back. Rejects for any other reason; resolves to null once `signal` is aborted.
 */
export async function listenOnceThere(open: () => Promise<Server>, signal: AbortSignal): Promise<Server | null> {
  while (!signal.aborted) {
    try {
      return await open();
    } catch (error) {
      if (systemErrorCode((error as Error).cause) !== "EADDRNOTAVAIL") throw error;
    }
    await systemClock.sleep(retryMs, signal).catch(() => undefined);
  }
  return null;
}
