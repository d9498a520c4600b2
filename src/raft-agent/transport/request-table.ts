/** Pending requests of this side on one connection: each ends exactly once, by response, timeout or loss. */
import { HaplanError } from "../../base/haplan-error.ts";
import { ByteReader, type ByteWriter, copyBytes } from "../wal/byte-codec.ts";

type PendingRequest = {
  readonly settle: (error: HaplanError | null, body: Uint8Array) => void;
  readonly timer: NodeJS.Timeout;
};

const nothing = new Uint8Array(0);

export class RequestTable {
  readonly #waiting = new Map<number, PendingRequest>();
  #lastNumber = 0;

  get size(): number {
    return this.#waiting.size;
  }

  /** Registers a request; `send` receives its number. */
  add(timeoutMs: number, send: (number: number) => void): Promise<Uint8Array> {
    const number = (this.#lastNumber = (this.#lastNumber + 1) >>> 0);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(number);
        reject(
          new HaplanError(
            "transport/timeout",
            `Cannot complete a request to a peer: no response within ${timeoutMs} ms`,
          ),
        );
      }, timeoutMs);
      this.#waiting.set(number, { timer, settle: (error, body) => (error === null ? resolve(body) : reject(error)) });
      send(number);
    });
  }

  /** Handles the body of a response frame. Responses to timed-out requests are dropped. */
  answer(bytes: Uint8Array, start: number, end: number): void {
    const reader = new ByteReader(bytes, start, end);
    const number = reader.uint32();
    const succeeded = reader.uint8() === 0;
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    const error = succeeded ? null : readError(reader);
    this.#waiting.delete(number);
    clearTimeout(waiting.timer);
    waiting.settle(error, succeeded ? copyBytes(reader.raw(reader.remaining)) : nothing);
  }

  /** Fails all pending requests: the response can no longer arrive, and whether the request was executed is unknown. */
  failAll(reason: string): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { timer, settle } of all) {
      clearTimeout(timer);
      settle(new HaplanError("transport/unavailable", `Cannot complete a request to a peer: ${reason}`), nothing);
    }
  }
}

/** The error part of a response: code and message. */
export function writeError(writer: ByteWriter, error: { readonly code: string; readonly message: string }): void {
  const code = Buffer.from(error.code);
  writer.uint16(code.length);
  writer.raw(code);
  writer.raw(Buffer.from(error.message));
}

export function readError(reader: ByteReader): HaplanError {
  const code = Buffer.from(reader.raw(reader.uint16())).toString();
  return new HaplanError(code, Buffer.from(reader.raw(reader.remaining)).toString());
}
