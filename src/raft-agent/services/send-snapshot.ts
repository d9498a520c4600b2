/**
 * Maintenance.Snapshot: etcd's database file in messages of at most 32 KiB, and its SHA-256 as the last one. The file
 * is built while it is sent, from a view that writes do not change, as fast as the client takes it.
 */
import { errorText } from "../../base/haplan-error.ts";
import { StatusCode } from "../api/status-code.ts";
import type { WireWriter } from "../api/wire.ts";
import { snapshotBytes } from "../etcd-snapshot/snapshot-bytes.ts";
import type { ServerCall, StreamHandler } from "../grpc/call.ts";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { checkMetadata, failCall } from "./answer.ts";
import type { StreamMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

/** etcd's snapshotSendBufferSize. */
const blobBytesMax = 32 * 1024;
/** Each holds a view, which keeps space from being reused. */
const sendingMax = 4;
/** The storage schema of the file, for clients that report which etcd can restore it. */
const storageVersion = Buffer.from("3.5.0");

/** Learners respond too: a snapshot claims nothing about the cluster. */
export function createSnapshotMethod(context: ServiceContext): StreamMethod {
  const sending = new Set<SnapshotCall>();
  return {
    kind: "stream",
    path: "/etcdserverpb.Maintenance/Snapshot",
    access: "root",
    open: (call) => {
      const rejection = checkMetadata(context, call) ?? (sending.size < sendingMax ? null : EtcdErrors.tooManyRequests);
      if (rejection !== null) failCall(call, rejection);
      const sender = new SnapshotCall(context, call);
      if (rejection === null) sending.add(sender);
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
      (error) => this.#call.finish(StatusCode.internal, `haplan-agent: cannot create a snapshot: ${errorText(error)}`),
    );
  }

  async #run(): Promise<void> {
    const view = await this.#context.machine.store.view();
    try {
      const { databaseBytes, chunks } = await snapshotBytes(view, () => this.#nextTurn());
      let remaining = databaseBytes;
      for await (const chunk of chunks) {
        for (let at = 0; at < chunk.length; at += blobBytesMax) {
          const blob = chunk.subarray(at, at + blobBytesMax);
          // As in etcd, the digest does not count.
          remaining = Math.max(0, remaining - blob.length);
          await this.#send(blob, remaining);
          if (!this.#call.open) return;
        }
      }
    } finally {
      view.close();
    }
  }

  /** A finished call releases its view at once: the store may be about to close. */
  async #nextTurn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.#call.open) throw new Error("the call has ended");
  }

  /** Resolves when the client can take more. */
  async #send(blob: Uint8Array, remaining: number): Promise<void> {
    const { writer } = this.#context;
    writer.reset();
    writeSnapshotResponse(writer, remaining, blob);
    // Created before sending: the stream may have drained by the time that `send` returns.
    const drained = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (!this.#call.send(writer.view()) && this.#call.open) await drained;
  }
}

/** etcdserverpb.SnapshotResponse: remaining_bytes = 2, blob = 3, version = 4. */
function writeSnapshotResponse(writer: WireWriter, remaining: number, blob: Uint8Array): void {
  writer.intUnlessZero(0x10, remaining);
  writer.bytesField(0x1a, blob);
  writer.bytesField(0x22, storageVersion);
}
