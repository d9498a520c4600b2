/** How services respond to a call: with one message, or an error of the table. */

import { errorText } from "../../base/haplan-error.ts";
import { StatusCode } from "../api/status-code.ts";
import { WireError, type WireWriter } from "../api/wire.ts";
import { type MessageSource, type ServerCall, wholeMessage } from "../grpc/call.ts";
import { RevisionError } from "../mvcc/store.ts";
import { type EtcdError, EtcdErrors } from "../state-machine/etcd-error.ts";
import { revisionError } from "../state-machine/txn.ts";
import type { MethodDeclaration, UnaryMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

export type UnaryHandler = (request: Uint8Array, call: ServerCall) => void;

/** A writer that one huge response has enlarged beyond this is not kept. */
const writerBytesMax = 4 << 20;

export function failCall(call: ServerCall, error: EtcdError): void {
  call.finish(error.code, error.text);
}

/** Sends the one response of a unary call. */
export function answer<Message>(
  context: ServiceContext,
  call: ServerCall,
  write: (writer: WireWriter, message: Message) => void,
  message: Message,
): void {
  const { writer } = context;
  writer.reset();
  write(writer, message);
  call.send(writer.view());
  writer.shrink(writerBytesMax);
  call.finish();
}

/** Handles a request now, or once the client has taken most of its earlier responses. */
export function whenRoom(request: Uint8Array, call: ServerCall, handle: UnaryHandler): void {
  const { pacing } = call;
  if (pacing === undefined || pacing.hasRoom) {
    handle(request, call);
    return;
  }
  const kept = request.slice();
  pacing.whenRoom(kept.length, () => guarded(call, handle, kept, call));
}

/** Sends the one response of a unary call part by part, as memory and the event loop allow. */
export function answerFrom(call: ServerCall, source: MessageSource): void {
  if (call.pacing !== undefined) {
    call.pacing.sendFrom(source);
    return;
  }
  answerBytes(call, wholeMessage(source));
}

/** Sends an encoded response. */
export function answerBytes(call: ServerCall, bytes: Uint8Array): void {
  call.send(bytes);
  call.finish();
}

/** A unary method with the common checks, and with exceptions converted to a status. */
export function unary(context: ServiceContext, declaration: MethodDeclaration, handler: UnaryHandler): UnaryMethod {
  const { path, access, learner, onClose } = declaration;
  const handle: UnaryHandler = (request, call) => {
    const rejection =
      checkMetadata(context, call) ??
      (learner === true ? null : checkLearner(context)) ??
      context.access.authorize(call, access);
    if (rejection !== null) failCall(call, rejection);
    else guarded(call, handler, request, call);
  };
  return {
    kind: "unary",
    path,
    access,
    handle: (request, call) => {
      if (context.access.isTokenPending(call)) handleOnceTokenKnown(context, handle, request.slice(), call);
      else handle(request, call);
    },
    ...(onClose === undefined ? {} : { onClose }),
  };
}

function handleOnceTokenKnown(
  context: ServiceContext,
  handle: UnaryHandler,
  request: Uint8Array,
  call: ServerCall,
): void {
  context.access.awaitToken(call, () => {
    if (call.open) handle(request, call);
  });
}

/** Runs a piece of a call on `inputs`; request errors become the call's status, bugs become `internal`. */
export function guarded<Inputs extends unknown[]>(
  call: ServerCall,
  run: (...inputs: Inputs) => void,
  ...inputs: Inputs
): void {
  try {
    run(...inputs);
  } catch (error) {
    if (error instanceof RevisionError) failCall(call, revisionError(error.reason)!);
    else if (error instanceof WireError) call.finish(StatusCode.internal, malformed(error));
    else call.finish(StatusCode.internal, `haplan-agent: ${errorText(error)}`);
  }
}

/** grpc-go's text for a request that is not a valid message. */
function malformed(error: WireError): string {
  return `grpc: error unmarshalling request: ${error.message}`;
}

/** The requirements in a call's metadata: a cluster with a leader, a known API version. */
export function checkMetadata(context: ServiceContext, call: ServerCall): EtcdError | null {
  if (context.consensus.leader() === null && call.header("hasleader") === "true") return EtcdErrors.noLeader;
  const version = call.header("client-api-version");
  if (version === undefined || /^\d+\.\d+(\.\d+)?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/.test(version)) return null;
  return EtcdErrors.invalidClientApiVersion;
}

export function checkLearner(context: ServiceContext): EtcdError | null {
  const { membership } = context.machine;
  const self = context.consensus.memberId;
  // A joining member knows nothing about itself until the log has arrived: it may be a learner.
  const learner = membership.get(self) === undefined || membership.isReportedAsLearner(self);
  return learner ? EtcdErrors.notSupportedForLearner : null;
}
