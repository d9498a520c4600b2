/**
 * etcdserverpb.KV/RangeStream (etcd 3.7): a large range in pieces, all at one revision. Merged, the pieces equal the
 * response of Range: header, count and `more` are in the last one. Pieces grow and shrink toward the size of a
 * request, so that neither side ever holds the whole range.
 */
import { decodeKeyValue, type EncodedKeyValue } from "../api/key-value.ts";
import { decodeRangeRequest, encodeRangeResponse, type RangeRequest, SortOrder, SortTarget } from "../api/range.ts";
import { StatusCode } from "../api/status-code.ts";
import type { ServerCall, StreamHandler } from "../grpc/call.ts";
import { checkRange } from "../state-machine/check-request.ts";
import { checkLearner, checkMetadata, failCall, guarded } from "./answer.ts";
import type { StreamMethod } from "./served-method.ts";
import { responseHeader, type ServiceContext } from "./service-context.ts";

/** etcd's first piece; later ones double while they are small, and halve when they are too large. */
const firstPieceKeys = 10;

export function createRangeStreamMethod(context: ServiceContext): StreamMethod {
  return {
    kind: "stream",
    path: "/etcdserverpb.KV/RangeStream",
    access: "checkedByMethod",
    open: (call) => openRangeStream(context, call),
  };
}

function openRangeStream(context: ServiceContext, call: ServerCall): StreamHandler {
  const rejection = checkMetadata(context, call);
  if (rejection !== null) failCall(call, rejection);
  let stream: RangeStream | null = null;
  return {
    onMessage: (message) =>
      guarded(call, () => {
        if (stream !== null) call.finish(StatusCode.internal, "cardinality violation: a second request");
        else stream = begin(context, call, message);
      }),
    onHalfClose: () => {},
    onClose: () => {},
    onDrain: () => stream?.proceed(),
  };
}

function begin(context: ServiceContext, call: ServerCall, message: Uint8Array): RangeStream {
  const decoded = decodeRangeRequest(message);
  const request = { ...decoded, key: decoded.key.slice(), rangeEnd: decoded.rangeEnd.slice() };
  const stream = new RangeStream(context, call, request);
  const error = checkRange(request) ?? (request.serializable ? null : checkLearner(context));
  if (error !== null) failCall(call, error);
  else if (!isDefaultOrder(request)) {
    call.finish(StatusCode.unimplemented, "RangeStream does not support custom sort orders");
  } else if (isFiltered(request)) {
    call.finish(StatusCode.unimplemented, "RangeStream does not support revision filters");
  } else if (request.serializable) stream.start();
  else {
    context.reads.request((error) => {
      if (!call.open) return;
      if (error !== null) failCall(call, error);
      else stream.start();
    });
  }
  return stream;
}

/** As in etcd 3.7: without an order the target does not matter, and ascending keys are the order of the store. */
function isDefaultOrder({ sortOrder, sortTarget }: RangeRequest): boolean {
  return sortOrder === SortOrder.none || (sortOrder === SortOrder.ascend && sortTarget === SortTarget.key);
}

function isFiltered(request: RangeRequest): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  return [minModRevision, maxModRevision, minCreateRevision, maxCreateRevision].some((filter) => filter !== 0);
}

class RangeStream {
  readonly #context: ServiceContext;
  readonly #call: ServerCall;
  readonly #request: RangeRequest;
  readonly #pieceBytesMax: number;
  #key: Uint8Array;
  /** Every piece is read at this revision. */
  #revision = 0;
  /** The latest revision when the response started, for its header: the client continues from there. */
  #headerRevision = 0;
  /** Of the whole range, once it is known. */
  #count = -1;
  #left = 0;
  #pieceKeys = firstPieceKeys;
  #scheduled = false;

  constructor(context: ServiceContext, call: ServerCall, request: RangeRequest) {
    this.#context = context;
    this.#call = call;
    this.#request = request;
    this.#key = request.key;
    this.#pieceBytesMax = context.proposer.limits.requestBytesMax;
  }

  start(): void {
    guarded(this.#call, () => {
      const { store } = this.#context.machine;
      const request = this.#request;
      const denied = this.#context.access.checkKeyAccess(this.#call, request.key, request.rangeEnd);
      if (denied !== null) {
        failCall(this.#call, denied);
        return;
      }
      this.#headerRevision = store.revision;
      this.#revision = request.revision > 0 ? request.revision : this.#headerRevision;
      this.#count = store.range({ ...request, revision: this.#revision, countOnly: true, limit: 0 }).count;
      this.#left = request.limit > 0 ? Math.min(request.limit, this.#count) : this.#count;
      if (request.countOnly) this.#finish([]);
      else this.#send();
    });
  }

  /** The client has taken what was sent. */
  proceed(): void {
    if (this.#count < 0 || this.#scheduled || !this.#call.open) return;
    guarded(this.#call, () => this.#send());
  }

  #send(): void {
    const kvs = this.#readPiece();
    const last = kvs.at(-1);
    if (kvs.length >= this.#left || last === undefined) {
      this.#finish(kvs);
      return;
    }
    this.#left -= kvs.length;
    this.#key = Buffer.concat([decodeKeyValue(last).key, Buffer.alloc(1)]);
    this.#fit(kvs);
    const taken = this.#call.send(encodePiece(encodeRangeResponse({ header: undefined, kvs, more: false, count: 0 })));
    if (taken) this.#sendLater();
  }

  /** In key order, whatever the target: the next piece starts where this one ends. */
  #readPiece(): readonly EncodedKeyValue[] {
    const limit = Math.min(this.#pieceKeys, this.#left);
    const piece = { key: this.#key, revision: this.#revision, limit, sortTarget: SortTarget.key };
    return this.#context.machine.store.range({ ...this.#request, ...piece }).kvs;
  }

  /** Yields to other calls between two pieces. */
  #sendLater(): void {
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.proceed();
    });
  }

  #fit(kvs: readonly EncodedKeyValue[]): void {
    const bytes = kvs.reduce((sum, kv) => sum + kv.length, 0);
    if (bytes * 2 <= this.#pieceBytesMax) this.#pieceKeys *= 2;
    else if (bytes > this.#pieceBytesMax) this.#pieceKeys = Math.max(1, this.#pieceKeys >> 1);
  }

  #finish(kvs: readonly EncodedKeyValue[]): void {
    const { limit, countOnly } = this.#request;
    const header = responseHeader(this.#context, this.#headerRevision);
    const more = !countOnly && limit > 0 && this.#count > limit;
    this.#call.send(encodePiece(encodeRangeResponse({ header, kvs, more, count: this.#count })));
    this.#call.finish();
  }
}

/** RangeStreamResponse: range_response = 1. */
function encodePiece(response: Uint8Array): Uint8Array {
  const length: number[] = [];
  let rest = response.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  length.push(rest);
  return Buffer.concat([Uint8Array.of(0x0a, ...length), response]);
}
