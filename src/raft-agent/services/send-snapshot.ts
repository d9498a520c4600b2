/**
 * Maintenance.Snapshot: etcd's database file in messages of at most 32 KiB, and its SHA-256 as the last one. The file is
 * made while it is sent, from a view that writes do not change, as fast as the client takes it.
 */
import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { errorText } from "../../base/haplan-error.ts";
import { SnapshotResponseSchema } from "../api/gen/etcdserverpb/rpc_pb.ts";
import { exportDatabase } from "../etcd-snapshot/export-database.ts";
import { type Method, type ServerCall, StatusCode, type StreamHandler } from "../grpc/call.ts";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { fail, metadataFault } from "./answer.ts";
import type { ServiceContext } from "./service-context.ts";

/** etcd's snapshotSendBufferSize. */
const blobBytesMax = 32 * 1024;
/** Each holds a view, and a view keeps space from being used again. */
const sendingMax = 4;
/** The storage schema of the file, for clients that say which etcd to restore it with. */
const storageVersion = "3.5.0";

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Learners answer too: a snapshot claims nothing about the cluster. */
export function createSnapshotMethod(context: ServiceContext): Method {
  const sending = new Set<SnapshotCall>();
  return {
    kind: "stream",
    path: "/etcdserverpb.Maintenance/Snapshot",
    open: (call) => {
      const refusal = metadataFault(context, call) ?? (sending.size < sendingMax ? null : EtcdErrors.tooManyRequests);
      if (refusal !== null) fail(call, refusal);
      const sender = new SnapshotCall(context, call);
      if (refusal === null) sending.add(sender);
      return sender.handler(() => sending.delete(sender));
    },
  };
}

class SnapshotCall {
  readonly #context: ServiceContext;
  readonly #call: ServerCall;
  #started = false;
  #wake: () => void = () => {};

  constructor(context: ServiceContext, call: ServerCall) {
    this.#context = context;
    this.#call = call;
  }

  handler(onEnd: () => void): StreamHandler {
    return {
      onMessage: () => this.#start(),
      onHalfClose: () => {
        if (!this.#started)
          this.#call.finish(StatusCode.internal, "haplan-agent: Snapshot was called without a request");
      },
      onDrain: () => this.#wake(),
      onClose: () => {
        onEnd();
        this.#wake();
      },
    };
  }

  #start(): void {
    if (this.#started || !this.#call.open) return;
    this.#started = true;
    this.#run().then(
      () => this.#call.finish(),
      (error) => this.#call.finish(StatusCode.internal, `haplan-agent: cannot make a snapshot: ${errorText(error)}`),
    );
  }

  async #run(): Promise<void> {
    const view = await this.#context.machine.store.view();
    try {
      const { sizeBytes, chunks } = await exportDatabase(view, nextTurn);
      const hash = createHash("sha256");
      let remaining = sizeBytes;
      for await (const chunk of chunks) {
        hash.update(chunk);
        for (let at = 0; at < chunk.length; at += blobBytesMax) {
          const blob = chunk.subarray(at, at + blobBytesMax);
          remaining -= blob.length;
          await this.#send(blob, remaining);
          if (!this.#call.open) return;
        }
      }
      await this.#send(hash.digest(), 0);
    } finally {
      view.close();
    }
  }

  /** Resolves when the client has taken enough for more. */
  async #send(blob: Uint8Array, remaining: number): Promise<void> {
    const message = create(SnapshotResponseSchema, {
      remainingBytes: BigInt(remaining),
      blob,
      version: storageVersion,
    });
    // Made before sending: the stream may have drained by the time that `send` returns.
    const drained = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (!this.#call.send(toBinary(SnapshotResponseSchema, message)) && this.#call.open) await drained;
  }
}
