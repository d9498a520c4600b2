/** A watcher that records every event below a prefix, and continues after the last one whenever its watch ends. */
import { setTimeout as sleep } from "node:timers/promises";
import { type EtcdClient, prefixEnd } from "../../src/etcd-client/etcd-client.ts";
import { GrpcError } from "../../src/etcd-client/grpc-error.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";

export type RecordedEvent = { readonly revision: number; readonly key: string };

export class EventRecorder {
  readonly seen: RecordedEvent[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(client: EtcdClient, prefix: string) {
    this.#running = this.#run(client, prefix);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(client: EtcdClient, prefix: string): Promise<void> {
    let next = 1;
    while (!this.#stop.signal.aborted) {
      try {
        const more = { rangeEnd: prefixEnd(prefix), startRevision: next };
        for await (const { events } of client.watch(prefix, more, this.#stop.signal)) {
          for (const { kv } of events) {
            const { key, modRevision } = decodeKeyValue(kv!);
            this.seen.push({ revision: modRevision, key: Buffer.from(key).toString() });
            next = modRevision + 1;
          }
        }
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
        // It asks for another token, as a plain call does.
        await client.range(prefix, { limit: 1 }).catch(() => undefined);
        await sleep(20);
      }
    }
  }
}
