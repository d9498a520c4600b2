/**
 * Bounds on large answers of the gateway. JSON is made in one piece and takes several times the memory of its message, so
 * that the bounds are lower than those of gRPC; ranges with a limit bring the rest.
 */
import type { ServerResponse } from "node:http";

/** Of the message that is turned into JSON. */
export const messageBytesMax: number = 32 << 20;
/** Answers below this are not counted. */
const smallBytes = 1 << 20;
/** Of all JSON that clients have not read yet. */
const unreadBytesMax = 128 << 20;
/** How long a client may take to read a large answer. */
const readingMs = 300_000;

export class UnreadAnswers {
  #bytes = 0;

  /** Counts an answer until its response is closed; false when there is no room for it. */
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
