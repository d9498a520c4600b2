/** The open calls of long-lived streams, so that an event on the member can end them. */
import type { ServerCall, StreamHandler } from "../grpc/call.ts";
import { failCall } from "./answer.ts";

export class OpenCalls {
  readonly #calls = new Set<ServerCall>();

  /** The same handler; its call counts as open until it closes. */
  add(call: ServerCall, handler: StreamHandler): StreamHandler {
    this.#calls.add(call);
    return {
      onMessage: (message) => handler.onMessage(message),
      onHalfClose: () => handler.onHalfClose(),
      onDrain: () => handler.onDrain(),
      onClose: () => {
        this.#calls.delete(call);
        handler.onClose();
      },
    };
  }

  failAll(error: Parameters<typeof failCall>[1]): void {
    for (const call of this.#calls) failCall(call, error);
  }
}
