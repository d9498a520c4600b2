/**
 * Streams that last as long as the client wants. A stopping member ends them as unavailable: clients reopen them at
 * another member and continue where they were.
 */
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { failCall } from "./answer.ts";
import { OpenCalls } from "./open-calls.ts";
import type { StreamMethod } from "./served-method.ts";

/** Locks, campaigns and observed elections wait on their own watch, and end with it. */
const longLivedPaths: ReadonlySet<string> = new Set([
  "/etcdserverpb.Watch/Watch",
  "/etcdserverpb.Lease/LeaseKeepAlive",
  "/grpc.health.v1.Health/Watch",
]);

export class LongLivedStreams {
  readonly #calls = new OpenCalls();
  #ended = false;

  /** The same method, with its open calls tracked here. */
  bind(method: StreamMethod): StreamMethod {
    if (!longLivedPaths.has(method.path)) return method;
    return {
      ...method,
      open: (call) => {
        const handler = this.#calls.add(call, method.open(call));
        if (this.#ended) failCall(call, EtcdErrors.stopped);
        return handler;
      },
    };
  }

  /** Ends the open ones, and those that are opened later. */
  end(): void {
    this.#ended = true;
    this.#calls.failAll(EtcdErrors.stopped);
  }
}
