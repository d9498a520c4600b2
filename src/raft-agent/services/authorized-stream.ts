/** Streaming methods behind the checks that concern a call as a whole; they run before the method sees the call. */
import type { ServerCall, StreamHandler } from "../grpc/call.ts";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { failCall } from "./answer.ts";
import type { StreamMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

/** The bytes that a client may send before its token is known here. */
const heldBytesMax = 64 * 1024;

const closedHandler: StreamHandler = {
  onMessage: () => {},
  onHalfClose: () => {},
  onClose: () => {},
  onDrain: () => {},
};

export function authorizedStream(context: ServiceContext, method: StreamMethod): StreamMethod {
  const open = (call: ServerCall): StreamHandler => {
    const rejection = context.access.authorize(call, method.access);
    if (rejection === null) return method.open(call);
    failCall(call, rejection);
    return closedHandler;
  };
  return {
    ...method,
    open: (call) => (context.access.isTokenPending(call) ? openOnceTokenKnown(context, call, open) : open(call)),
  };
}

/** Buffers the client's events until its token can be verified, and then replays them. */
function openOnceTokenKnown(
  context: ServiceContext,
  call: ServerCall,
  open: (call: ServerCall) => StreamHandler,
): StreamHandler {
  let handler: StreamHandler | null = null;
  let closed = false;
  let heldBytes = 0;
  const held: ((opened: StreamHandler) => void)[] = [];
  const play = (action: (opened: StreamHandler) => void): void => {
    if (handler === null) held.push(action);
    else action(handler);
  };
  context.access.awaitToken(call, () => {
    if (closed) return;
    handler = open(call);
    for (const action of held.splice(0)) action(handler);
  });
  return {
    onMessage: (message) => {
      if (handler !== null) {
        handler.onMessage(message);
        return;
      }
      heldBytes += message.length;
      if (heldBytes > heldBytesMax) {
        failCall(call, EtcdErrors.tooManyRequests);
        return;
      }
      const copy = message.slice();
      play((opened) => opened.onMessage(copy));
    },
    onHalfClose: () => play((opened) => opened.onHalfClose()),
    onClose: () => {
      closed = true;
      handler?.onClose();
    },
    onDrain: () => handler?.onDrain(),
  };
}
