/**
 * Server-sent events for any number of readers. A reader that connects gets the present state first. One that does not read is
 * cut off: its browser connects again, and then gets the state as it is by then.
 */
import type { ServerResponse } from "node:http";

/** The part of a response that a stream uses. */
export type StreamResponse = Pick<ServerResponse, "write" | "destroy" | "writableLength" | "on">;

const unreadBytesMax = 4 * 1024 * 1024;
/** Sent when nothing else is, so that a reader notices a server that is gone. */
const keepaliveMs = 15_000;
const readersMax = 32;

export class EventStream {
  readonly #readers = new Set<StreamResponse>();
  readonly #present: () => readonly (readonly [name: string, data: object])[];
  #keepalive: NodeJS.Timeout | null = null;

  /** `present`: the events that a new reader gets first. */
  constructor(present: () => readonly (readonly [name: string, data: object])[]) {
    this.#present = present;
  }

  /** False if there are too many readers. */
  add(response: StreamResponse): boolean {
    if (this.#readers.size >= readersMax) return false;
    this.#readers.add(response);
    response.on("close", () => this.#remove(response));
    this.#keepalive ??= setInterval(() => this.#write(": keepalive\n\n"), keepaliveMs).unref();
    response.write("retry: 1000\n\n");
    for (const [name, data] of this.#present()) response.write(eventText(name, data));
    return true;
  }

  send(name: string, data: object): void {
    this.#write(eventText(name, data));
  }

  /** Ends all connections. */
  close(): void {
    for (const reader of [...this.#readers]) reader.destroy();
    this.#readers.clear();
    this.#stopKeepalive();
  }

  get readers(): number {
    return this.#readers.size;
  }

  #write(text: string): void {
    for (const reader of [...this.#readers]) {
      if (reader.writableLength > unreadBytesMax) {
        reader.destroy();
        this.#remove(reader);
      } else reader.write(text);
    }
  }

  #remove(reader: StreamResponse): void {
    this.#readers.delete(reader);
    if (this.#readers.size === 0) this.#stopKeepalive();
  }

  #stopKeepalive(): void {
    if (this.#keepalive !== null) clearInterval(this.#keepalive);
    this.#keepalive = null;
  }
}

/** JSON has no line breaks, so that the data is one line. */
function eventText(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
