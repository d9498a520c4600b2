/** Streaming methods behind the checks that concern a call as a whole; they are made before the method hears of it. */
import type { ServerCall, StreamHandler } from "../grpc/call.ts";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { fail } from "./answer.ts";
import type { StreamMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

/** What a client may send before its token is known here. */
const heldBytesMax = 64 * 1024;

const closedHandler: StreamHandler = {
  onMessage: () => {},
  onHalfClose: () => {},
  onClose: () => {},
  onDrain: () => {},
};

export function guardedStream(context: ServiceContext, method: StreamMethod): StreamMethod {
  const open = (call: ServerCall): StreamHandler => {
    const refusal = context.access.fault(call, method.access);
    if (refusal === null) return method.open(call);
    fail(call, refusal);
    return closedHandler;
  };
  return {
    ...method,
    open: (call) => (context.access.isEarly(call) ? openOnceKnown(context, call, open) : open(call)),
  };
}

/** Holds what the client does until its token can be judged, and then plays it. */
function openOnceKnown(
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
  context.access.whenKnown(call, () => {
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
        fail(call, EtcdErrors.tooManyRequests);
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
