/** Methods made of several steps that may take long: they end when the client goes away, and say what failed. */
import { errorText } from "../../../base/haplan-error.ts";
import { StatusCode } from "../../api/status-code.ts";
import type { ServerCall } from "../../grpc/call.ts";
import { EtcdErrors } from "../../state-machine/etcd-error.ts";
import { answerBytes, fail, unary } from "../answer.ts";
import type { UnaryMethod } from "../served-method.ts";
import type { ServiceContext } from "../service-context.ts";
import { LocalCallAbortedError, LocalCallError } from "./local-calls.ts";

/** A fault of the recipe itself; clients get the text as it is, with the code `unknown`, as from etcd. */
export class RecipeError extends Error {
  override readonly name = "RecipeError";
}

/** Resolves with the encoded answer. The signal fires when the client is gone. */
export type Recipe = (request: Uint8Array, call: ServerCall, signal: AbortSignal) => Promise<Uint8Array>;

export function recipeMethod(context: ServiceContext, path: string, recipe: Recipe): UnaryMethod {
  const running = new Map<ServerCall, AbortController>();
  const handler = (request: Uint8Array, call: ServerCall): void => {
    const controller = new AbortController();
    running.set(call, controller);
    recipe(request.slice(), call, controller.signal)
      .then(
        (message) => answerBytes(call, message),
        (error: unknown) => failRecipe(call, error),
      )
      .finally(() => running.delete(call));
  };
  // Its steps are calls of the client's own, each with the checks of its method.
  const onClose = (call: ServerCall): void => running.get(call)?.abort();
  return unary(context, { path, access: "checkedByMethod", onClose }, handler);
}

/** etcd's steps fail with the texts of its client library, whose code is lost on the way: `unknown`. */
export function failRecipe(call: ServerCall, error: unknown): void {
  // A member that stops ends the watch by which it waits: the client may ask another one.
  if (error instanceof LocalCallError && error.message === EtcdErrors.stopped.text) fail(call, EtcdErrors.stopped);
  else if (error instanceof LocalCallError || error instanceof RecipeError)
    call.finish(StatusCode.unknown, error.message);
  else if (error instanceof LocalCallAbortedError) fail(call, EtcdErrors.stopped);
  else call.finish(StatusCode.internal, `haplan-agent: ${errorText(error)}`);
}
