/**
 * Finds a moment between two calls on a connection whose protocol is not known: nothing has passed for a while, and what
 * passed last came from the backend.
 */
import type { Duplex } from "node:stream";

/** For how long nothing passes on a connection that is quiet. */
export type Quiet = {
  /** After a response. Shorter than what lies between the calls of a busy client. */
  readonly afterResponseMs: number;
  /**
   * After a request, which there may also have been before: its response may be waiting for a disk. Clients also send what has
   * no response.
   */
  readonly afterRequestMs: number;
};

/**
 * A server acknowledges the bytes of a request before it answers: in HTTP/2 by a window update and a ping, here with those of TLS
 * around them. A response is larger.
 */
const acknowledgmentBytesMax = 80;

const usualQuiet: Quiet = { afterResponseMs: 5, afterRequestMs: 250 };

/** Resolves then, or when one of the two has closed, with true; or with false once `signal` is aborted. */
export function untilQuiet(
  client: Duplex,
  backend: Duplex,
  signal: AbortSignal,
  { afterResponseMs, afterRequestMs }: Quiet = usualQuiet,
): Promise<boolean> {
  return new Promise((resolve) => {
    let timer = setTimeout(onPause, afterRequestMs);
    const onRequest = (): void => wait(afterRequestMs);
    const onResponse = ({ length }: Buffer | string): void => {
      if (length > acknowledgmentBytesMax) wait(afterResponseMs);
    };
    function wait(durationMs: number): void {
      clearTimeout(timer);
      timer = setTimeout(onPause, durationMs);
    }
    function onPause(): void {
      // The other side reads slowly.
      if (client.writableLength > 0 || backend.writableLength > 0) wait(afterResponseMs);
      else finish(true);
    }
    const onClose = (): void => finish(true);
    const onAbort = (): void => finish(false);
    function finish(isQuiet: boolean): void {
      clearTimeout(timer);
      client.off("data", onRequest).off("close", onClose);
      backend.off("data", onResponse).off("close", onClose);
      signal.removeEventListener("abort", onAbort);
      resolve(isQuiet);
    }
    client.on("data", onRequest).once("close", onClose);
    backend.on("data", onResponse).once("close", onClose);
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
  });
}
