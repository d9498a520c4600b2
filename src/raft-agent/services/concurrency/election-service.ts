/**
 * v3electionpb.Election: the client with the oldest key below the name is the leader; its value is its proclamation.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { KeyValueSchema } from "../../api/gen/mvccpb/kv_pb.ts";
import {
  CampaignRequestSchema,
  CampaignResponseSchema,
  LeaderRequestSchema,
  LeaderResponseSchema,
  ProclaimRequestSchema,
  ProclaimResponseSchema,
  ResignRequestSchema,
  ResignResponseSchema,
} from "../../api/gen/v3electionpb/v3election_pb.ts";
import { decodeKeyValue, type EncodedKeyValue, EventType } from "../../api/key-value.ts";
import { prefixEnd } from "../../api/prefix-end.ts";
import type { ResponseHeader } from "../../api/response-header.ts";
import { watchCreateRequest } from "../../api/watch.ts";
import { emptyBytes } from "../../api/wire.ts";
import type { ServerCall } from "../../grpc/call.ts";
import { bytesEqual } from "../../mvcc/key-range.ts";
import { EtcdErrors } from "../../state-machine/etcd-error.ts";
import { failCall, guarded } from "../answer.ts";
import { authorizedStream } from "../authorized-stream.ts";
import { generatedFrom } from "../generated-header.ts";
import type { ServedMethod, StreamMethod } from "../served-method.ts";
import type { ServiceContext } from "../service-context.ts";
import { ConcurrencyError, compositeMethod, failComposite } from "./composite-method.ts";
import { LocalCallAbortedError, type LocalCalls } from "./local-calls.ts";
import { createdAt, headerOf, putOp, queueKey, queuePrefix, WaiterQueue } from "./waiter-queue.ts";

/** The number of unread leaders of an observer, before its stream is ended. */
const unreadLeadersMax = 1_000;
const noLeader = "election: no leader";
const notLeader = "election: not leader";
const leaderKeyMissing = '"leader" field must be provided';

export function createElectionMethods(context: ServiceContext, calls: LocalCalls): ServedMethod[] {
  const path = (name: string): string => `/v3electionpb.Election/${name}`;
  return [
    compositeMethod(context, path("Campaign"), (request, call, signal) => campaign(calls, request, call, signal)),
    compositeMethod(context, path("Proclaim"), (request, call) => proclaim(calls, request, call)),
    compositeMethod(context, path("Leader"), (request, call) => leader(calls, request, call)),
    compositeMethod(context, path("Resign"), (request, call) => resign(calls, request, call)),
    authorizedStream(context, observeMethod(path("Observe"), calls)),
  ];
}

async function campaign(
  calls: LocalCalls,
  bytes: Uint8Array,
  call: ServerCall,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { name, lease: asked, value } = fromBinary(CampaignRequestSchema, bytes);
  const queue = new WaiterQueue(calls, call);
  const lease = await queue.session(asked);
  const key = queueKey(name, lease);
  const { revision, header, existing } = await queue.enqueue(key, value, lease);
  try {
    if (existing !== null && !bytesEqual(decodeKeyValue(existing).value, value)) {
      await rewrite(queue, { key, revision, lease }, value);
    }
    await queue.waitDeletes(queuePrefix(name), revision, signal);
  } catch (error) {
    if (error instanceof LocalCallAbortedError)
      await queue.txn([createdAt(key, revision)], [deleteOp(key)]).catch(() => undefined);
    throw error;
  }
  const leader = { name, key, rev: BigInt(revision), lease };
  return toBinary(CampaignResponseSchema, create(CampaignResponseSchema, { header: generatedFrom(header), leader }));
}

async function proclaim(calls: LocalCalls, bytes: Uint8Array, call: ServerCall): Promise<Uint8Array> {
  const { leader: named, value } = fromBinary(ProclaimRequestSchema, bytes);
  if (named === undefined) throw new ConcurrencyError(leaderKeyMissing);
  const queue = new WaiterQueue(calls, call);
  const lease = await queue.session(named.lease);
  const header = await rewrite(queue, { key: named.key, revision: Number(named.rev), lease }, value);
  return toBinary(ProclaimResponseSchema, create(ProclaimResponseSchema, { header: generatedFrom(header) }));
}

type Held = { readonly key: Uint8Array; readonly revision: number; readonly lease: bigint };

async function rewrite(queue: WaiterQueue, { key, revision, lease }: Held, value: Uint8Array): Promise<ResponseHeader> {
  const { succeeded, header } = await queue.txn([createdAt(key, revision)], [putOp(key, value, lease)]);
  if (!succeeded) throw new ConcurrencyError(notLeader);
  return headerOf(header);
}

async function leader(calls: LocalCalls, bytes: Uint8Array, call: ServerCall): Promise<Uint8Array> {
  const { name } = fromBinary(LeaderRequestSchema, bytes);
  const { kv, header } = await new WaiterQueue(calls, call).first(queuePrefix(name));
  if (kv === undefined) throw new ConcurrencyError(noLeader);
  return encodeLeader(header, kv);
}

async function resign(calls: LocalCalls, bytes: Uint8Array, call: ServerCall): Promise<Uint8Array> {
  const { leader: named } = fromBinary(ResignRequestSchema, bytes);
  if (named === undefined) throw new ConcurrencyError(leaderKeyMissing);
  const queue = new WaiterQueue(calls, call);
  await queue.session(named.lease);
  const { header } = await queue.txn([createdAt(named.key, Number(named.rev))], [deleteOp(named.key)]);
  return toBinary(ResignResponseSchema, create(ResignResponseSchema, { header: generatedFrom(headerOf(header)) }));
}

function deleteOp(key: Uint8Array): Parameters<WaiterQueue["txn"]>[1][number] {
  return { kind: "deleteRange", request: { key, rangeEnd: emptyBytes, prevKv: false } };
}

function encodeLeader(header: ResponseHeader, kv: EncodedKeyValue): Uint8Array {
  const message = create(LeaderResponseSchema, { header: generatedFrom(header), kv: fromBinary(KeyValueSchema, kv) });
  return toBinary(LeaderResponseSchema, message);
}

function observeMethod(path: string, calls: LocalCalls): StreamMethod {
  return {
    kind: "stream",
    path,
    access: "checkedByMethod",
    open: (call) => {
      const controller = new AbortController();
      let asked = false;
      let unread = 0;
      const tell = (header: ResponseHeader, kv: EncodedKeyValue): void => {
        if (call.send(encodeLeader(header, kv))) return;
        if (++unread > unreadLeadersMax) failCall(call, EtcdErrors.tooManyRequests);
      };
      return {
        onMessage: (message) => {
          if (asked) return;
          asked = true;
          guarded(call, () => {
            const { name } = fromBinary(LeaderRequestSchema, message);
            observe(new WaiterQueue(calls, call), queuePrefix(name), tell, controller.signal).catch((error: unknown) =>
              failComposite(call, error),
            );
          });
        },
        onHalfClose: () => {},
        onClose: () => controller.abort(),
        onDrain: () => {
          unread = 0;
        },
      };
    },
  };
}

type Tell = (header: ResponseHeader, kv: EncodedKeyValue) => void;

/** Reports the current leader, its proclamations, and its successors, until the client disconnects. */
async function observe(queue: WaiterQueue, prefix: Uint8Array, tell: Tell, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { kv, header } = await queue.first(prefix);
    if (kv === undefined) {
      const below = { rangeEnd: prefixEnd(prefix), startRevision: header.revision + 1 };
      const request = watchCreateRequest(prefix, below);
      await queue.watch(request, signal, (events) => events.some(({ type }) => type === EventType.put));
      continue;
    }
    tell(header, kv);
    const { key } = decodeKeyValue(kv);
    const request = watchCreateRequest(key, { startRevision: header.revision + 1 });
    await queue.watch(request, signal, (events, watched) => {
      for (const event of events) {
        if (event.type === EventType.delete) return true;
        tell({ ...watched, revision: decodeKeyValue(event.kv).modRevision }, event.kv);
      }
      return false;
    });
  }
}
