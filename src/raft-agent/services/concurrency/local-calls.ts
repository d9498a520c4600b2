/**
 * Calls a member's own methods on behalf of a client: the steps of a composite method such as a lock are authorized,
 * replicated and rejected exactly like the same steps of the client itself.
 */

import { StatusCode } from "../../api/status-code.ts";
import {
  decodeWatchResponse,
  encodeWatchRequest,
  type WatchCreateRequest,
  type WatchResponse,
} from "../../api/watch.ts";
import type { Method, ServerCall } from "../../grpc/call.ts";

/** A step that failed, with the method's own code and text. */
export class LocalCallError extends Error {
  override readonly name = "LocalCallError";
  readonly code: StatusCode;

  constructor(code: StatusCode, text: string) {
    super(text);
    this.code = code;
  }
}

/** The client disconnected, or the member is stopping. */
export class LocalCallAbortedError extends Error {
  override readonly name = "LocalCallAbortedError";
}

export class LocalCalls {
  readonly #methods: ReadonlyMap<string, Method>;

  constructor(methods: readonly Method[]) {
    this.#methods = new Map(methods.map((method) => [method.path, method]));
  }

  /** Resolves with the one response. `client` supplies metadata and identity. @throws LocalCallError */
  unary(client: ServerCall, path: string, request: Uint8Array): Promise<Uint8Array> {
    const method = this.#methods.get(path);
    if (method?.kind !== "unary") throw new Error(`there is no unary method ${path}`);
    return new Promise((resolve, reject) => {
      let answer: Uint8Array = new Uint8Array(0);
      const call = createCall(client, path, {
        send: (message) => {
          answer = message.slice();
        },
        finish: (code, text) => {
          if (code === StatusCode.ok) resolve(answer);
          else reject(new LocalCallError(code, text));
        },
      });
      method.handle(request, call);
    });
  }

  /**
   * Watches until `onResponse` returns true. @throws LocalCallError when the stream ends before, LocalCallAbortedError
   * when the signal is aborted.
   */
  watch(
    client: ServerCall,
    request: WatchCreateRequest,
    signal: AbortSignal,
    onResponse: (response: WatchResponse) => boolean,
  ): Promise<void> {
    const path = "/etcdserverpb.Watch/Watch";
    const method = this.#methods.get(path);
    if (method?.kind !== "stream") throw new Error(`there is no streaming method ${path}`);
    return new Promise((resolve, reject) => {
      let ended = false;
      const end = (settle: () => void): void => {
        if (ended) return;
        ended = true;
        signal.removeEventListener("abort", abort);
        settle();
        // Not inside the stream's own call of `send`.
        queueMicrotask(() => handler.onClose());
      };
      const abort = (): void => end(() => reject(new LocalCallAbortedError("the client has disconnected")));
      const call = createCall(client, path, {
        send: (message) => {
          if (!ended && onResponse(decodeWatchResponse(message))) end(resolve);
        },
        finish: (code, text) => end(() => reject(new LocalCallError(code, text))),
      });
      const handler = method.open(call);
      signal.addEventListener("abort", abort);
      if (signal.aborted) abort();
      else handler.onMessage(encodeWatchRequest({ kind: "create", request }));
    });
  }
}

type Receiver = {
  send(message: Uint8Array): void;
  finish(code: StatusCode, text: string): void;
};

function createCall(client: ServerCall, path: string, receiver: Receiver): ServerCall {
  let open = true;
  return {
    path,
    header: (name) => client.header(name),
    clientCommonName: client.clientCommonName,
    ...(client.forwardedCaller === undefined ? {} : { forwardedCaller: client.forwardedCaller }),
    remoteAddress: client.remoteAddress,
    get open() {
      return open;
    },
    send: (message) => {
      if (open) receiver.send(message);
      return true;
    },
    finish: (code = StatusCode.ok, text = "") => {
      if (!open) return;
      open = false;
      receiver.finish(code, text);
    },
  };
}
