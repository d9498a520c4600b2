/**
 * Methods that consist of several steps and may take long: they end when the client disconnects, and report what
 * failed.
 */
import { errorText } from "../../../base/haplan-error.ts";
import { StatusCode } from "../../api/status-code.ts";
import type { ServerCall } from "../../grpc/call.ts";
import { EtcdErrors } from "../../state-machine/etcd-error.ts";
import { answerBytes, failCall, unary } from "../answer.ts";
import type { UnaryMethod } from "../served-method.ts";
import type { ServiceContext } from "../service-context.ts";
import { LocalCallAbortedError, LocalCallError } from "./local-calls.ts";

/** An error of the composite method itself; clients get the text as it is, with the code `unknown`, as in etcd. */
export class ConcurrencyError extends Error {
  override readonly name = "ConcurrencyError";
}

/** Resolves with the encoded response. The signal is aborted when the client disconnects. */
export type CompositeHandler = (request: Uint8Array, call: ServerCall, signal: AbortSignal) => Promise<Uint8Array>;

export function compositeMethod(context: ServiceContext, path: string, run: CompositeHandler): UnaryMethod {
  const running = new Map<ServerCall, AbortController>();
  const handler = (request: Uint8Array, call: ServerCall): void => {
    const controller = new AbortController();
    running.set(call, controller);
    run(request.slice(), call, controller.signal)
      .then(
        (message) => answerBytes(call, message),
        (error: unknown) => failComposite(call, error),
      )
      .finally(() => running.delete(call));
  };
  // Its steps are calls on behalf of the client, each with the checks of its method.
  const onClose = (call: ServerCall): void => running.get(call)?.abort();
  return unary(context, { path, access: "checkedByMethod", onClose }, handler);
}

/** etcd's steps fail with the texts of its client library, whose code is lost: `unknown`. */
export function failComposite(call: ServerCall, error: unknown): void {
  // A stopping member ends the watch on which it waits: the client may retry at another one.
  if (error instanceof LocalCallError && error.message === EtcdErrors.stopped.text) failCall(call, EtcdErrors.stopped);
  else if (error instanceof LocalCallError || error instanceof ConcurrencyError)
    call.finish(StatusCode.unknown, error.message);
  else if (error instanceof LocalCallAbortedError) failCall(call, EtcdErrors.stopped);
  else call.finish(StatusCode.internal, `haplan-agent: ${errorText(error)}`);
}
