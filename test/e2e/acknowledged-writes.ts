/**
 * A writer that remembers exactly what it was promised: every put that was answered, with the revision it was answered
 * at. A put that failed may or may not have happened and is never tried again: the next one has a key of its own.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type EtcdClient, prefixEnd } from "../../src/etcd-client/etcd-client.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";

export type AcknowledgedWrite = {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
  /** The cluster that has answered. */
  readonly clusterId: bigint;
  /** When the answer came, on the monotonic clock. */
  readonly atMs: number;
};

export class AcknowledgingWriter {
  readonly prefix: string;
  readonly acknowledged: AcknowledgedWrite[] = [];
  readonly failures: { readonly atMs: number; readonly error: unknown }[] = [];
  readonly #client: EtcdClient;
  readonly #running: Promise<void>;
  #stopped = false;

  /** Begins at once, one put after the other; `pauseMs` after each. */
  constructor(client: EtcdClient, prefix: string, pauseMs = 1) {
    this.#client = client;
    this.prefix = prefix;
    this.#running = this.#run(pauseMs);
  }

  /** The first answer that came after `ms`, if any. */
  firstAfter(ms: number): AcknowledgedWrite | undefined {
    return this.acknowledged.find(({ atMs }) => atMs > ms);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(pauseMs: number): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const key = `${this.prefix}${String(i).padStart(8, "0")}`;
      const value = `value of ${key}`;
      try {
        const response = await this.#client.put(key, value);
        const { revision = 0, clusterId = 0n } = response.header ?? {};
        this.acknowledged.push({ key, value, revision, clusterId, atMs: performance.now() });
        await sleep(pauseMs);
      } catch (error) {
        this.failures.push({ atMs: performance.now(), error });
        await sleep(20);
      }
    }
  }
}

/** The acknowledged writes that `member` does not have as they were acknowledged, in its own words. */
export async function missingWrites(
  member: EtcdClient,
  prefix: string,
  acknowledged: readonly AcknowledgedWrite[],
): Promise<readonly AcknowledgedWrite[]> {
  const { kvs } = await member.range(prefix, { rangeEnd: prefixEnd(prefix), serializable: true });
  const found = new Map(kvs.map(decodeKeyValue).map((kv) => [Buffer.from(kv.key).toString(), kv] as const));
  return acknowledged.filter(({ key, value, revision }) => {
    const kv = found.get(key);
    return kv === undefined || kv.modRevision !== revision || Buffer.from(kv.value).toString() !== value;
  });
}
