/**
 * etcdserverpb.Watch: many watchers on one stream. The hub decides what is delivered to which watcher and when; this
 * file implements the protocol: created and canceled responses, fragments, and progress.
 */

import { StatusCode } from "../api/status-code.ts";
import type { WatchCreateRequest, WatchResponse } from "../api/watch.ts";
import { decodeWatchRequest, writeWatchResponseHead } from "../api/watch.ts";
import type { ServerCall, StreamHandler } from "../grpc/call.ts";
import type { EventBatch, WatchDelivery } from "../mvcc/watch/watch-batch.ts";
import type { WatchHub } from "../mvcc/watch/watch-hub.ts";
import type { CreateResult, WatchStream } from "../mvcc/watch/watch-stream.ts";
import { type EtcdError, EtcdErrors } from "../state-machine/etcd-error.ts";
import { checkLearner, checkMetadata, failCall, guarded } from "./answer.ts";
import type { StreamMethod } from "./served-method.ts";
import { responseHeader, type ServiceContext } from "./service-context.ts";

/** Responses for the whole stream, and for watchers that were never created. */
const noWatcher = -1;
/** Where batches are split when the client permits it; below the usual receive limit of clients. */
const fragmentBytes = 2 * 1024 * 1024;
/** Responses to a client that sends requests and does not read, before the stream is ended. */
const unreadResponsesMax = 10_000;

const rejections: Record<Extract<CreateResult, { kind: "rejected" }>["reason"], string> = {
  emptyRange: "mvcc: watcher range is empty",
  duplicateWatchId: "mvcc: duplicate watch ID provided on the WatchStream",
  negativeRevision: "mvcc: required revision has been compacted",
};

export type WatchService = {
  readonly method: StreamMethod;
  readonly streamCount: number;
  /** Called about every 100 ms: progress notifications. */
  tick(): void;
  /** Ends all streams: the member is stopping. */
  stop(): void;
};

export function createWatchService(context: ServiceContext, hub: WatchHub): WatchService {
  const streams = new Set<WatchCall>();
  return {
    method: {
      kind: "stream",
      path: "/etcdserverpb.Watch/Watch",
      access: "checkedByMethod",
      open: (call) => openWatch(context, hub, streams, call),
    },
    get streamCount() {
      return streams.size;
    },
    tick: () => {
      const nowMs = context.clock.monotonicMs();
      for (const stream of streams) stream.tick(nowMs);
    },
    stop: () => {
      for (const stream of streams) failCall(stream.call, EtcdErrors.stopped);
    },
  };
}

function openWatch(context: ServiceContext, hub: WatchHub, streams: Set<WatchCall>, call: ServerCall): StreamHandler {
  const rejection = checkMetadata(context, call) ?? checkLearner(context);
  if (rejection !== null) failCall(call, rejection);
  const stream = new WatchCall(context, hub, call);
  streams.add(stream);
  return {
    onMessage: (message) => guarded(call, () => stream.receive(message)),
    // etcd keeps notifying a client that has half-closed, such as `curl` behind the JSON gateway.
    onHalfClose: () => {},
    onClose: () => {
      streams.delete(stream);
      stream.close();
    },
    onDrain: () => stream.drained(),
  };
}

type Watcher = {
  readonly fragment: boolean;
  readonly progressNotify: boolean;
  /** When the next notification is due; postponed by every event. */
  progressAtMs: number;
};

class WatchCall {
  readonly call: ServerCall;
  readonly #context: ServiceContext;
  readonly #stream: WatchStream;
  readonly #watchers = new Map<number, Watcher>();
  #blocked = false;
  #unreadResponses = 0;

  constructor(context: ServiceContext, hub: WatchHub, call: ServerCall) {
    this.call = call;
    this.#context = context;
    this.#stream = hub.openStream({ offer: (delivery) => this.#offer(delivery) });
  }

  receive(message: Uint8Array): void {
    const request = decodeWatchRequest(message);
    switch (request.kind) {
      case "create":
        this.#create(request.request);
        break;
      case "cancel":
        this.#cancel(request.watchId);
        break;
      case "progress":
        this.#progress();
        break;
      case "none":
    }
  }

  drained(): void {
    this.#blocked = false;
    this.#unreadResponses = 0;
    this.#stream.drained();
  }

  tick(nowMs: number): void {
    if (this.#blocked) return;
    for (const [watchId, watcher] of this.#watchers) {
      if (!watcher.progressNotify || watcher.progressAtMs > nowMs) continue;
      const revision = this.#stream.progressOf(watchId);
      // Flushing may have sent events to this very watcher: then it needs no notification.
      if (revision === null || watcher.progressAtMs > nowMs) continue;
      this.#scheduleProgress(watcher);
      this.#answer({ watchId }, revision);
    }
  }

  close(): void {
    this.#stream.close();
    this.#watchers.clear();
  }

  #create(request: WatchCreateRequest): void {
    const denied = checkWatchAccess(this.#context, this.call, request);
    if (denied !== null) {
      const cancelReason = statusText(denied);
      const revision = this.#context.machine.store.revision;
      this.#answer({ watchId: noWatcher, created: true, canceled: true, cancelReason }, revision);
      return;
    }
    const result = this.#stream.create(request);
    if (result.kind === "rejected") {
      const cancelReason = rejections[result.reason];
      const revision = this.#context.machine.store.revision;
      this.#answer({ watchId: noWatcher, created: true, canceled: true, cancelReason }, revision);
      return;
    }
    const watcher = { fragment: request.fragment, progressNotify: request.progressNotify, progressAtMs: 0 };
    this.#scheduleProgress(watcher);
    this.#watchers.set(result.watchId, watcher);
    this.#answer({ watchId: result.watchId, created: true }, result.revision);
  }

  #cancel(watchId: number): void {
    if (!this.#stream.cancel(watchId)) return;
    this.#watchers.delete(watchId);
    this.#answer({ watchId, canceled: true }, this.#context.machine.store.revision);
  }

  /** No response is sent while a watcher is behind: clients ask again. */
  #progress(): void {
    if (this.#stream.watcherCount === 0) return;
    const revision = this.#stream.progress();
    if (revision !== null) this.#answer({ watchId: noWatcher }, revision);
  }

  /** The interval with up to a tenth of jitter, so that many watchers are not notified in one turn. */
  #scheduleProgress(watcher: Watcher): void {
    const { clock, limits, random } = this.#context;
    watcher.progressAtMs = clock.monotonicMs() + limits.watchProgressIntervalMs * (1 + random() / 10);
  }

  #offer(delivery: WatchDelivery): boolean {
    if (this.#blocked || !this.call.open) return false;
    const { watchId } = delivery;
    if (delivery.kind === "compacted") {
      this.#watchers.delete(watchId);
      this.#answer({ watchId, canceled: true, compactRevision: delivery.compactRevision }, 0);
      return true;
    }
    const watcher = this.#watchers.get(watchId);
    if (watcher?.progressNotify) this.#scheduleProgress(watcher);
    this.#context.counts.watchEvents += delivery.batch.eventEnds.length;
    if (watcher?.fragment && delivery.batch.encoded.length > fragmentBytes) {
      this.#sendFragments(watchId, delivery.revision, delivery.batch);
    } else {
      this.#send(noFlags, watchId, delivery.revision, delivery.batch.encoded);
    }
    return true;
  }

  #sendFragments(watchId: number, revision: number, batch: EventBatch): void {
    const { encoded, eventEnds } = batch;
    let start = 0;
    let end = 0;
    for (const eventEnd of eventEnds) {
      if (eventEnd - start > fragmentBytes && end > start) {
        this.#send({ fragment: true }, watchId, revision, encoded.subarray(start, end));
        start = end;
      }
      end = eventEnd;
    }
    this.#send(noFlags, watchId, revision, encoded.subarray(start));
  }

  #answer(fields: Partial<WatchResponse> & { readonly watchId: number }, revision: number): void {
    if (this.#blocked && ++this.#unreadResponses > unreadResponsesMax) {
      failCall(this.call, EtcdErrors.tooManyRequests);
      return;
    }
    this.#send(fields, fields.watchId, revision, noEvents);
  }

  #send(fields: Partial<WatchResponse>, watchId: number, revision: number, events: Uint8Array): void {
    const { writer } = this.#context;
    writer.reset();
    writeWatchResponseHead(writer, {
      header: responseHeader(this.#context, revision),
      watchId,
      created: fields.created ?? false,
      canceled: fields.canceled ?? false,
      compactRevision: fields.compactRevision ?? 0,
      cancelReason: fields.cancelReason ?? "",
      fragment: fields.fragment ?? false,
    });
    writer.raw(events);
    if (!this.call.send(writer.view())) this.#blocked = true;
    writer.shrink(fragmentBytes);
  }
}

/**
 * Authorized when a watcher is created, by the metadata of its stream; later changes of permissions do not end it
 * (etcd).
 */
function checkWatchAccess({ access }: ServiceContext, call: ServerCall, request: WatchCreateRequest): EtcdError | null {
  if (!access.enabled) return null;
  return access.checkKeyAccess(call, request.key.length === 0 ? firstKey : request.key, request.rangeEnd);
}

/** Like grpc-go prints a status: clients match such texts in the reason. */
function statusText({ code, text }: EtcdError): string {
  const name = Object.entries(StatusCode).find(([, number]) => number === code)?.[0] ?? "unknown";
  return `rpc error: code = ${name[0]!.toUpperCase()}${name.slice(1)} desc = ${text}`;
}

const firstKey = Uint8Array.of(0);
const noFlags: Partial<WatchResponse> = {};
const noEvents = new Uint8Array(0);
