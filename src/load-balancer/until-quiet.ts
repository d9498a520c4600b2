/**
 * Finds a moment between two calls on a connection whose protocol is not known: nothing has passed for a while, and what
 * passed last came from the backend.
 */
import type { Duplex } from "node:stream";

/** After a response. Shorter than what lies between the calls of a busy client. */
const afterResponseMs = 5;
/**
 * After a request, which there may also have been before: its response may be waiting for a disk. Clients also send what has no
 * response.
 */
const afterRequestMs = 250;

/** Resolves then, or when one of the two has closed, or once `signal` is aborted. */
export function untilQuiet(client: Duplex, backend: Duplex, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let timer = setTimeout(onPause, afterRequestMs);
    const onRequest = (): void => wait(afterRequestMs);
    const onResponse = (): void => wait(afterResponseMs);
    function wait(durationMs: number): void {
      clearTimeout(timer);
      timer = setTimeout(onPause, durationMs);
    }
    function onPause(): void {
      // The other side reads slowly.
      if (client.writableLength > 0 || backend.writableLength > 0) wait(afterResponseMs);
      else finish();
    }
    function finish(): void {
      clearTimeout(timer);
      client.off("data", onRequest).off("close", finish);
      backend.off("data", onResponse).off("close", finish);
      signal.removeEventListener("abort", finish);
      resolve();
    }
    client.on("data", onRequest).once("close", finish);
    backend.on("data", onResponse).once("close", finish);
    signal.addEventListener("abort", finish);
    if (signal.aborted) finish();
  });
}
