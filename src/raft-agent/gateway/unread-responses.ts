/**
 * Limits on large responses of the gateway. JSON is built in one piece and takes several times the memory of its
 * message, so the limits are lower than those of gRPC; ranges with a limit return the rest.
 */
import type { ServerResponse } from "node:http";

/** The size of a message that is converted to JSON. */
export const messageBytesMax: number = 32 << 20;
/** Smaller responses are not counted. */
const smallBytes = 1 << 20;
/** All JSON that clients have not read yet. */
const unreadBytesMax = 128 << 20;
/** The time limit for a client to read a large response. */
const readingMs = 300_000;

export class UnreadResponses {
  #bytes = 0;

  /** Counts a response until it is closed; false when there is no room for it. */
  take(response: ServerResponse, bytes: number): boolean {
    if (bytes < smallBytes) return true;
    if (this.#bytes + bytes > unreadBytesMax) return false;
    this.#bytes += bytes;
    const timer = setTimeout(() => response.destroy(), readingMs).unref();
    response.once("close", () => {
      this.#bytes -= bytes;
      clearTimeout(timer);
    });
    return true;
  }
}
