/** etcd's API with types: keys, watches and leases here, members, maintenance and users in the clients of those names. */
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { decodeCompactionResponse, encodeCompactionRequest } from "../raft-agent/api/compaction.ts";
import {
  type DeleteRangeResponse,
  decodeDeleteRangeResponse,
  encodeDeleteRangeRequest,
} from "../raft-agent/api/delete-range.ts";
import {
  LeaseGrantRequestSchema,
  type LeaseGrantResponse,
  LeaseGrantResponseSchema,
  LeaseRevokeRequestSchema,
} from "../raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { decodeKeyValue } from "../raft-agent/api/key-value.ts";
import {
  decodeLeaseKeepAliveResponse,
  encodeLeaseKeepAliveRequest,
  type LeaseKeepAliveResponse,
} from "../raft-agent/api/lease-keep-alive.ts";
import { prefixEnd as endOfPrefix } from "../raft-agent/api/prefix-end.ts";
import { decodePutResponse, encodePutRequest, type PutRequest, type PutResponse } from "../raft-agent/api/put.ts";
import {
  decodeRangeResponse,
  encodeRangeRequest,
  type RangeRequest,
  type RangeResponse,
  rangeRequest,
} from "../raft-agent/api/range.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import { decodeTxnResponse, encodeTxnRequest, type TxnRequest, type TxnResponse } from "../raft-agent/api/txn.ts";
import {
  decodeWatchResponse,
  encodeWatchRequest,
  type WatchCreateRequest,
  type WatchResponse,
  watchCreateRequest,
} from "../raft-agent/api/watch.ts";
import { emptyBytes } from "../raft-agent/api/wire.ts";
import { AuthClient } from "./auth-client.ts";
import type { CallChannel } from "./call-channel.ts";
import type { CallOptions } from "./client-stream.ts";
import { ClusterClient } from "./cluster-client.ts";
import { GrpcError } from "./grpc-error.ts";
import { MaintenanceClient } from "./maintenance-client.ts";

/** Text is encoded as UTF-8. */
export type Bytes = string | Uint8Array;

/** The range end for all keys that begin with `prefix`. */
export function prefixEnd(prefix: Bytes): Uint8Array {
  return endOfPrefix(toBytes(prefix));
}

export class EtcdClient {
  readonly grpc: CallChannel;
  readonly cluster: ClusterClient;
  readonly maintenance: MaintenanceClient;
  readonly auth: AuthClient;
  readonly #options: CallOptions;

  /** `options` apply to every call: a deadline, credentials in the metadata. */
  constructor(grpc: CallChannel, options: CallOptions = { timeoutMs: 5_000 }) {
    this.grpc = grpc;
    this.cluster = new ClusterClient(grpc, options);
    this.maintenance = new MaintenanceClient(grpc, options);
    this.auth = new AuthClient(grpc, options);
    this.#options = options;
  }

  /** The same client over another channel. */
  over(channel: (grpc: CallChannel) => CallChannel): EtcdClient {
    return new EtcdClient(channel(this.grpc), this.#options);
  }

  /** The same client with another deadline. */
  within(timeoutMs: number): EtcdClient {
    return new EtcdClient(this.grpc, { ...this.#options, timeoutMs });
  }

  /** A call of another API that is served beside etcd's. */
  unary(path: string, request: Uint8Array): Promise<Uint8Array> {
    return this.grpc.unary(path, request, this.#options);
  }

  async put(key: Bytes, value: Bytes, more: Partial<Omit<PutRequest, "key" | "value">> = {}): Promise<PutResponse> {
    const request: PutRequest = {
      key: toBytes(key),
      value: toBytes(value),
      lease: 0n,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
      ...more,
    };
    return decodePutResponse(await this.#write("KV/Put", encodePutRequest(request)));
  }

  /** Linearizable unless `serializable` is set. Key-values stay encoded: see `decodeKeyValue`. */
  async range(key: Bytes, more: Partial<Omit<RangeRequest, "key">> = {}): Promise<RangeResponse> {
    const request = encodeRangeRequest(rangeRequest(toBytes(key), more));
    return decodeRangeResponse(await this.#read("KV/Range", request));
  }

  async deleteRange(key: Bytes, rangeEnd: Uint8Array = emptyBytes, prevKv = false): Promise<DeleteRangeResponse> {
    const request = encodeDeleteRangeRequest({ key: toBytes(key), rangeEnd, prevKv });
    return decodeDeleteRangeResponse(await this.#write("KV/DeleteRange", request));
  }

  async txn(request: TxnRequest): Promise<TxnResponse> {
    return decodeTxnResponse(await this.#write("KV/Txn", encodeTxnRequest(request)));
  }

  /** Compacts history before `revision`; with `physical` it waits until the space is free. */
  async compact(revision: number, physical = false): Promise<void> {
    decodeCompactionResponse(await this.#write("KV/Compact", encodeCompactionRequest({ revision, physical })));
  }

  /** `id` 0n lets the server choose. */
  async leaseGrant(ttlSeconds: number, id = 0n): Promise<LeaseGrantResponse> {
    const request = create(LeaseGrantRequestSchema, { TTL: BigInt(ttlSeconds), ID: id });
    const answer = await this.#write("Lease/LeaseGrant", toBinary(LeaseGrantRequestSchema, request));
    return fromBinary(LeaseGrantResponseSchema, answer);
  }

  async leaseRevoke(id: bigint): Promise<void> {
    const request = create(LeaseRevokeRequestSchema, { ID: id });
    await this.#write("Lease/LeaseRevoke", toBinary(LeaseRevokeRequestSchema, request));
  }

  /** Renews a lease once. A TTL of 0 in the response means that there is no such lease. */
  async leaseKeepAlive(id: bigint): Promise<LeaseKeepAliveResponse> {
    // A stream of one message behaves like a plain call.
    return decodeLeaseKeepAliveResponse(await this.#write("Lease/LeaseKeepAlive", encodeLeaseKeepAliveRequest({ id })));
  }

  /**
   * Watches a key or range across lost connections: it resumes after the last revision seen, so that no event is missed
   * or repeated. Ends when `signal` is aborted or the loop is left.
   * @throws GrpcError UNAVAILABLE if no endpoint accepts connections, OUT_OF_RANGE if the next revision has been
   * compacted, or the status of a rejected watch.
   */
  async *watch(
    key: Bytes,
    more: Partial<Omit<WatchCreateRequest, "key" | "fragment">> = {},
    signal?: AbortSignal,
  ): AsyncGenerator<WatchResponse> {
    const { timeoutMs: _unlimited, ...options } = this.#options;
    const request = watchCreateRequest(toBytes(key), more);
    let nextRevision = request.startRevision;
    while (signal?.aborted !== true) {
      try {
        const stream = await this.grpc.stream(
          "/etcdserverpb.Watch/Watch",
          signal === undefined ? options : { ...options, signal },
        );
        await stream.send(encodeWatchRequest({ kind: "create", request: { ...request, startRevision: nextRevision } }));
        for await (const message of stream) {
          const response = decodeWatchResponse(message);
          if (response.canceled) throw watchError(response);
          nextRevision = revisionBehind(response, nextRevision);
          yield response;
        }
      } catch (error) {
        if (signal?.aborted) return;
        if (!(error instanceof GrpcError) || error.code !== StatusCode.unavailable || error.notProcessed) throw error;
      }
      await sleep(watchPauseMs);
    }
  }

  #write(method: string, request: Uint8Array): Promise<Uint8Array> {
    return this.grpc.unary(`/etcdserverpb.${method}`, request, this.#options);
  }

  #read(method: string, request: Uint8Array): Promise<Uint8Array> {
    return this.grpc.unary(`/etcdserverpb.${method}`, request, { ...this.#options, idempotent: true });
  }
}

/** Delay between a lost watch stream and the next. */
const watchPauseMs = 50;

/**
 * Where a watch resumes after this response. With events it is after the last of them: while a watch catches up, the
 * header is already ahead of the sent events.
 */
function revisionBehind(response: WatchResponse, nextRevision: number): number {
  const last = response.events.at(-1)?.kv;
  if (last !== undefined) return decodeKeyValue(last).modRevision + 1;
  const revision = (response.header?.revision ?? 0) + 1;
  if (response.created) return nextRevision === 0 ? revision : nextRevision;
  return Math.max(nextRevision, revision);
}

function watchError(response: WatchResponse): GrpcError {
  if (response.compactRevision > 0)
    return new GrpcError(
      StatusCode.outOfRange,
      `etcdserver: mvcc: required revision has been compacted (up to ${response.compactRevision})`,
    );
  return new GrpcError(StatusCode.cancelled, response.cancelReason || "the server cancelled the watch");
}

function toBytes(value: Bytes): Uint8Array {
  return typeof value === "string" ? Buffer.from(value, "utf8") : value;
}
