/**
 * The common part of locks and elections (etcd client/v3/concurrency): each contender puts a key `NAME/LEASE` that
 * expires with its lease, and the oldest key is the owner; every other contender waits for the key right before its
 * own.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Compare, CompareResult, CompareTarget } from "../../api/compare.ts";
import { decodeDeleteRangeResponse, encodeDeleteRangeRequest } from "../../api/delete-range.ts";
import { LeaseGrantRequestSchema, LeaseGrantResponseSchema } from "../../api/gen/etcdserverpb/rpc_pb.ts";
import { decodeKeyValue, type EncodedKeyValue, EventType } from "../../api/key-value.ts";
import { prefixEnd } from "../../api/prefix-end.ts";
import type { PutRequest } from "../../api/put.ts";
import {
  decodeRangeResponse,
  encodeRangeRequest,
  type RangeRequest,
  type RangeResponse,
  rangeRequest,
  SortOrder,
  SortTarget,
} from "../../api/range.ts";
import type { ResponseHeader } from "../../api/response-header.ts";
import { decodeTxnResponse, encodeTxnRequest, type RequestOp, type TxnResponse } from "../../api/txn.ts";
import { type WatchCreateRequest, WatchFilter, watchCreateRequest } from "../../api/watch.ts";
import { emptyBytes } from "../../api/wire.ts";
import type { ServerCall } from "../../grpc/call.ts";
import type { LocalCalls } from "./local-calls.ts";

/** The TTL of the lease that is created for a client without one. */
const sessionTtlSeconds = 60n;

/** One client's view of a queue's keys. */
export class WaiterQueue {
  readonly #calls: LocalCalls;
  readonly #client: ServerCall;

  constructor(calls: LocalCalls, client: ServerCall) {
    this.#calls = calls;
    this.#client = client;
  }

  /** The lease itself, or a new one when it is 0. */
  async session(lease: bigint): Promise<bigint> {
    if (lease !== 0n) return lease;
    const request = toBinary(LeaseGrantRequestSchema, create(LeaseGrantRequestSchema, { TTL: sessionTtlSeconds }));
    const answer = await this.#calls.unary(this.#client, "/etcdserverpb.Lease/LeaseGrant", request);
    return fromBinary(LeaseGrantResponseSchema, answer).ID;
  }

  /** Puts the key unless it exists; else reads it. `revision` is where the key was created. */
  async enqueue(
    key: Uint8Array,
    value: Uint8Array,
    lease: bigint,
  ): Promise<{
    readonly revision: number;
    readonly header: ResponseHeader;
    readonly existing: EncodedKeyValue | null;
  }> {
    const entered = await this.txn([createdAt(key, 0)], [putOp(key, value, lease)], [rangeOp(key)]);
    const header = headerOf(entered.header);
    if (entered.succeeded) return { revision: header.revision, header, existing: null };
    const [read] = entered.responses;
    const existing = read?.kind === "range" ? read.response.kvs[0] : undefined;
    if (existing === undefined) throw new Error("an existing key cannot be read");
    return { revision: decodeKeyValue(existing).createRevision, header, existing };
  }

  /** Resolves once no key below `prefix` is older than `revision`. @throws LocalCallAbortedError */
  async waitDeletes(prefix: Uint8Array, revision: number, signal: AbortSignal): Promise<ResponseHeader> {
    for (;;) {
      const youngestBefore = rangeRequest(prefix, {
        rangeEnd: prefixEnd(prefix),
        limit: 1,
        sortOrder: SortOrder.descend,
        sortTarget: SortTarget.create,
        maxCreateRevision: revision - 1,
      });
      const { kvs, header } = await this.range(youngestBefore);
      const [before] = kvs;
      if (before === undefined) return headerOf(header);
      await this.#awaitDeletion(decodeKeyValue(before).key, headerOf(header).revision, signal);
    }
  }

  /** The owner; undefined when the queue is empty. */
  async first(
    prefix: Uint8Array,
  ): Promise<{ readonly kv: EncodedKeyValue | undefined; readonly header: ResponseHeader }> {
    const oldest = rangeRequest(prefix, {
      rangeEnd: prefixEnd(prefix),
      limit: 1,
      sortOrder: SortOrder.ascend,
      sortTarget: SortTarget.create,
    });
    const { kvs, header } = await this.range(oldest);
    return { kv: kvs[0], header: headerOf(header) };
  }

  async get(key: Uint8Array): Promise<RangeResponse> {
    return await this.range(rangeRequest(key));
  }

  async range(request: RangeRequest): Promise<RangeResponse> {
    const bytes = encodeRangeRequest(request);
    return decodeRangeResponse(await this.#calls.unary(this.#client, "/etcdserverpb.KV/Range", bytes));
  }

  async delete(key: Uint8Array): Promise<ResponseHeader> {
    const bytes = encodeDeleteRangeRequest({ key, rangeEnd: emptyBytes, prevKv: false });
    const answer = await this.#calls.unary(this.#client, "/etcdserverpb.KV/DeleteRange", bytes);
    return headerOf(decodeDeleteRangeResponse(answer).header);
  }

  async txn(
    compare: readonly Compare[],
    success: readonly RequestOp[],
    failure: readonly RequestOp[] = [],
  ): Promise<TxnResponse> {
    const bytes = encodeTxnRequest({ compare, success, failure });
    return decodeTxnResponse(await this.#calls.unary(this.#client, "/etcdserverpb.KV/Txn", bytes));
  }

  /** Resolves when `onEvents` returns true, or when the required events are compacted. */
  async watch(
    request: WatchCreateRequest,
    signal: AbortSignal,
    onEvents: (
      events: readonly { readonly type: number; readonly kv: EncodedKeyValue }[],
      header: ResponseHeader,
    ) => boolean,
  ): Promise<void> {
    await this.#calls.watch(this.#client, request, signal, (response) => {
      if (response.canceled) return true;
      const events = response.events.flatMap(({ type, kv }) => (kv === undefined ? [] : [{ type, kv }]));
      return events.length > 0 && onEvents(events, headerOf(response.header));
    });
  }

  #awaitDeletion(key: Uint8Array, readRevision: number, signal: AbortSignal): Promise<void> {
    const request = watchCreateRequest(key, { startRevision: readRevision + 1, filters: [WatchFilter.noPut] });
    return this.watch(request, signal, (events) => events.some(({ type }) => type === EventType.delete));
  }
}

/** A compare that holds while the key's create revision is `revision`; 0 = there is no such key. */
export function createdAt(key: Uint8Array, revision: number): Compare {
  return {
    key,
    rangeEnd: emptyBytes,
    target: CompareTarget.create,
    result: CompareResult.equal,
    operand: { kind: "createRevision", number: revision },
  };
}

export function putOp(key: Uint8Array, value: Uint8Array, lease: bigint): RequestOp {
  const request: PutRequest = { key, value, lease, prevKv: false, ignoreValue: false, ignoreLease: false };
  return { kind: "put", request };
}

export function rangeOp(key: Uint8Array): RequestOp {
  return { kind: "range", request: rangeRequest(key) };
}

/** `NAME/` and, below it, `NAME/LEASE` with the lease in hex. */
export function queuePrefix(name: Uint8Array): Uint8Array {
  return Buffer.concat([name, Buffer.from("/")]);
}

export function queueKey(name: Uint8Array, lease: bigint): Uint8Array {
  return Buffer.concat([name, Buffer.from(`/${lease.toString(16)}`)]);
}

export function headerOf(header: ResponseHeader | undefined): ResponseHeader {
  if (header === undefined) throw new Error("one of our responses has no header");
  return header;
}
