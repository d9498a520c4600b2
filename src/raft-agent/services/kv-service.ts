/** etcdserverpb.KV: reads, writes, transactions, compaction. The hot path of the agent. */
import { decodeCompactionRequest, writeCompactionResponse } from "../api/compaction.ts";
import { decodeDeleteRangeRequest, writeDeleteRangeResponse } from "../api/delete-range.ts";
import { decodePutRequest, type PutRequest, writePutResponse } from "../api/put.ts";
import { decodeRangeRequest, type RangeRequest, writeRangeResponse } from "../api/range.ts";
import { decodeTxnRequest, type RequestOp, type TxnRequest, writeTxnResponse } from "../api/txn.ts";
import { emptyBytes } from "../api/wire.ts";
import type { ServerCall } from "../grpc/call.ts";
import { checkDeleteRange, checkPut, checkRange, checkTxn } from "../state-machine/check-request.ts";
import { CommandKind } from "../state-machine/command.ts";
import { checkTxnAccess } from "../state-machine/command-access.ts";
import { type EtcdError, EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import { isReadOnly, isSerializable, readTxn } from "../state-machine/txn.ts";
import { answer, answerFrom, checkLearner, failCall, guarded, type UnaryHandler, unary, whenRoom } from "./answer.ts";
import { LargeRange, type OpenedRange } from "./large-range.ts";
import { propose } from "./propose-for-call.ts";
import type { ServedMethod } from "./served-method.ts";
import { responseHeader, type ServiceContext } from "./service-context.ts";
import { putOverheadBytes } from "./space-quota.ts";

/** A range up to about this size is served in the turn in which it is read, before larger ones that wait. */
const smallBytes = 64 << 10;

export function createKvMethods(context: ServiceContext): ServedMethod[] {
  const path = (name: string): string => `/etcdserverpb.KV/${name}`;
  return [
    unary(context, { path: path("Range"), access: "checkedByMethod", learner: true }, (request, call) =>
      range(context, request, call),
    ),
    writing(context, path("Put"), put),
    writing(context, path("DeleteRange"), deleteRange),
    writing(context, path("Txn"), txn),
    unary(context, { path: path("Compact"), access: "root" }, (request, call) => compact(context, request, call)),
  ];
}

/** A client that does not read its responses has its writes wait, too: they may request previous key-values. */
function writing(
  context: ServiceContext,
  path: string,
  handle: (context: ServiceContext, request: Uint8Array, call: ServerCall) => void,
): ServedMethod {
  const handleWhenRoom: UnaryHandler = (request, call) => handle(context, request, call);
  return unary(context, { path, access: "checkedByMethod" }, (request, call) =>
    whenRoom(request, call, handleWhenRoom),
  );
}

function range(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const asked = decodeRangeRequest(bytes);
  const error = checkRange(asked) ?? (asked.serializable ? null : checkLearner(context));
  if (error !== null) {
    failCall(call, error);
    return;
  }
  if (asked.serializable) {
    answerRange(context, asked, call);
    return;
  }
  // The request's bytes are invalid by the time the read index is confirmed.
  const request = keptRange(asked);
  context.reads.request((error) => {
    if (!call.open) return;
    if (error !== null) failCall(call, error);
    else guarded(call, answerRange, context, request, call);
  });
}

function keptRange(request: RangeRequest): RangeRequest {
  const rangeEnd = request.rangeEnd.length === 0 ? emptyBytes : request.rangeEnd.slice();
  return { ...request, key: request.key.slice(), rangeEnd };
}

/** At once when the response is small, or when a large one is next. */
function answerRange(context: ServiceContext, request: RangeRequest, call: ServerCall): void {
  const { pacing } = call;
  if (pacing === undefined || pacing.hasRoom) {
    const opened = openRange(context, request, call, smallBytes);
    if (opened === null) return;
    if (opened.cursor.keysLeft === 0 || pacing === undefined || pacing.hasRoomForLarge) {
      sendRange(context, request, call, opened);
      return;
    }
  }
  const kept = keptRange(request);
  const make = (): void => {
    const opened = openRange(context, kept, call, smallBytes);
    if (opened !== null) sendRange(context, kept, call, opened);
  };
  pacing.whenRoom(kept.key.length + kept.rangeEnd.length, () => guarded(call, make));
}

/** Null when the caller may not read it, and has got an error. */
function openRange(
  context: ServiceContext,
  request: RangeRequest,
  call: ServerCall,
  bytes: number,
): OpenedRange | null {
  if (context.access.enabled) {
    const denied = context.access.checkKeyAccess(call, request.key, request.rangeEnd);
    if (denied !== null) {
      failCall(call, denied);
      return null;
    }
  }
  const cursor = context.machine.store.openRange(request);
  return { cursor, first: cursor.read(bytes) };
}

function sendRange(context: ServiceContext, request: RangeRequest, call: ServerCall, opened: OpenedRange): void {
  const { cursor, first: kvs } = opened;
  if (cursor.keysLeft > 0) {
    answerFrom(call, new LargeRange(context, call, keptRange(request), opened));
    return;
  }
  const { more, count } = cursor;
  const header = responseHeader(context, context.machine.store.revision);
  answer(context, call, writeRangeResponse, { header, kvs, more, count });
}

function put(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const request = decodePutRequest(bytes);
  const error = checkPut(request) ?? checkSpace(context, putCost(request));
  if (error !== null) {
    failCall(call, error);
    return;
  }
  propose(context, call, CommandKind.put, bytes, (applied) => {
    const { prevKv, revision } = applied;
    answer(context, call, writePutResponse, { header: responseHeader(context, revision), prevKv });
  });
}

function deleteRange(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const error = checkDeleteRange(decodeDeleteRangeRequest(bytes));
  if (error !== null) {
    failCall(call, error);
    return;
  }
  propose(context, call, CommandKind.deleteRange, bytes, (applied) => {
    const { deleted, prevKvs } = applied;
    const header = responseHeader(context, applied.revision);
    answer(context, call, writeDeleteRangeResponse, { header, deleted, prevKvs });
  });
}

function txn(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const request = decodeTxnRequest(bytes);
  const error = checkTxn(request, context.limits.txnOpsMax);
  if (error !== null) {
    failCall(call, error);
    return;
  }
  if (isReadOnly(request)) {
    readOnlyTxn(context, request, bytes, call);
    return;
  }
  const full = checkSpace(context, txnCost(request));
  if (full !== null) {
    failCall(call, full);
    return;
  }
  propose(context, call, CommandKind.txn, bytes, (applied) => {
    const { succeeded, responses } = applied;
    const header = responseHeader(context, applied.revision);
    answer(context, call, writeTxnResponse, { header, succeeded, responses });
  });
}

function readOnlyTxn(context: ServiceContext, request: TxnRequest, bytes: Uint8Array, call: ServerCall): void {
  const { pacing } = call;
  if (isSerializable(request) && pacing?.hasRoomForLarge !== false) {
    answerReadTxn(context, request, call);
    return;
  }
  const copy = bytes.slice();
  const make = (): void => guarded(call, () => answerReadTxn(context, decodeTxnRequest(copy), call));
  const makeInTurn = (): void => {
    if (pacing?.hasRoomForLarge !== false) make();
    else pacing.whenRoom(copy.length, make);
  };
  if (isSerializable(request)) {
    makeInTurn();
    return;
  }
  context.reads.request((error) => {
    if (!call.open) return;
    if (error !== null) failCall(call, error);
    else makeInTurn();
  });
}

function answerReadTxn(context: ServiceContext, request: TxnRequest, call: ServerCall): void {
  const { store } = context.machine;
  const denied = context.access.authorizeRead(call, (caller) => checkTxnAccess(context.machine, caller, request));
  const rangesBefore = store.counts.ranges;
  const outcome = denied ?? readTxn(store, request);
  if (store.counts.ranges - rangesBefore > 1) store.counts.txns++;
  if (isEtcdError(outcome)) failCall(call, outcome);
  else answer(context, call, writeTxnResponse, { header: responseHeader(context, store.revision), ...outcome });
}

function compact(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { physical } = decodeCompactionRequest(bytes);
  propose(context, call, CommandKind.compact, bytes, (applied) => {
    const reply = (): void => {
      answer(context, call, writeCompactionResponse, { header: responseHeader(context, applied.revision) });
    };
    if (!physical) {
      reply();
      return;
    }
    void applied.scrubbed.then(() => {
      context.quota.tick();
      reply();
    });
  });
}

function checkSpace(context: ServiceContext, costBytes: number): EtcdError | null {
  if (costBytes === 0) return null;
  return context.quota.take(costBytes) ? null : EtcdErrors.noSpace;
}

function putCost(request: PutRequest): number {
  return putOverheadBytes + request.key.length + request.value.length;
}

function txnCost(request: TxnRequest): number {
  return Math.max(opsCost(request.success), opsCost(request.failure));
}

function opsCost(ops: readonly RequestOp[]): number {
  let bytes = 0;
  for (const op of ops) {
    if (op.kind === "put") bytes += putCost(op.request);
    else if (op.kind === "txn") bytes += txnCost(op.request);
  }
  return bytes;
}
