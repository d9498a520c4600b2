/** v3lockpb.Lock: a lock is a key that lives as long as its lease; the oldest key below the name holds it. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  LockRequestSchema,
  LockResponseSchema,
  UnlockRequestSchema,
  UnlockResponseSchema,
} from "../../api/gen/v3lockpb/v3lock_pb.ts";
import { emptyBytes } from "../../api/wire.ts";
import type { ServerCall } from "../../grpc/call.ts";
import { generatedFrom } from "../generated-header.ts";
import type { ServedMethod } from "../served-method.ts";
import type { ServiceContext } from "../service-context.ts";
import { ConcurrencyError, compositeMethod } from "./composite-method.ts";
import type { LocalCalls } from "./local-calls.ts";
import { headerOf, queueKey, queuePrefix, WaiterQueue } from "./waiter-queue.ts";

export function createLockMethods(context: ServiceContext, calls: LocalCalls): ServedMethod[] {
  return [
    compositeMethod(context, "/v3lockpb.Lock/Lock", (request, call, signal) => lock(calls, request, call, signal)),
    compositeMethod(context, "/v3lockpb.Lock/Unlock", async (request, call) => {
      const { key } = fromBinary(UnlockRequestSchema, request);
      const header = generatedFrom(await new WaiterQueue(calls, call).delete(key));
      return toBinary(UnlockResponseSchema, create(UnlockResponseSchema, { header }));
    }),
  ];
}

async function lock(calls: LocalCalls, bytes: Uint8Array, call: ServerCall, signal: AbortSignal): Promise<Uint8Array> {
  const request = fromBinary(LockRequestSchema, bytes);
  const queue = new WaiterQueue(calls, call);
  const lease = await queue.session(request.lease);
  const key = queueKey(request.name, lease);
  const { revision } = await queue.enqueue(key, emptyBytes, lease);
  try {
    await queue.waitDeletes(queuePrefix(request.name), revision, signal);
    // The lease may have expired while this client waited, and the key with it.
    const { kvs, header } = await queue.get(key);
    if (kvs.length === 0) throw new ConcurrencyError("mutex: session is expired");
    return toBinary(LockResponseSchema, create(LockResponseSchema, { header: generatedFrom(headerOf(header)), key }));
  } catch (error) {
    await queue.delete(key).catch(() => undefined);
    throw error;
  }
}
