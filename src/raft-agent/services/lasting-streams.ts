/**
 * Streams that last as long as the client wants. A member that stops ends them as unavailable: clients open them again at
 * another member and continue where they were.
 */
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { fail } from "./answer.ts";
import { OpenCalls } from "./open-calls.ts";
import type { StreamMethod } from "./served-method.ts";

/** Locks, campaigns and observed elections wait by a watch of their own, and end with it. */
const lastingPaths: ReadonlySet<string> = new Set([
  "/etcdserverpb.Watch/Watch",
  "/etcdserverpb.Lease/LeaseKeepAlive",
  "/grpc.health.v1.Health/Watch",
]);

export class LastingStreams {
  readonly #calls = new OpenCalls();
  #ended = false;

  /** The same method, with its calls known here while they are open. */
  bind(method: StreamMethod): StreamMethod {
    if (!lastingPaths.has(method.path)) return method;
    return {
      ...method,
      open: (call) => {
        const handler = this.#calls.add(call, method.open(call));
        if (this.#ended) fail(call, EtcdErrors.stopped);
        return handler;
      },
    };
  }

  /** Ends those that are open, and those that are opened later. */
  end(): void {
    this.#ended = true;
    this.#calls.failAll(EtcdErrors.stopped);
  }
}
