/**
 * A writer of a steady rate, which does not wait for one answer before it sends the next write: each has a key of its
 * own. It retries what etcd's own client retries (clientv3's retry of puts): only writes that certainly reached no member.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { GrpcError } from "../../src/etcd-client/grpc-error.ts";
import type { AcknowledgedWrite } from "./acknowledged-writes.ts";

const giveUpMs = 5_000;

export class PacedWriter {
  readonly prefix: string;
  readonly acknowledged: AcknowledgedWrite[] = [];
  readonly failures: unknown[] = [];
  readonly #client: EtcdClient;
  readonly #running: Promise<void>;
  readonly #pending = new Set<Promise<void>>();
  #repeats = 0;
  #stopped = false;

  constructor(client: EtcdClient, prefix: string, writesPerSecond: number) {
    this.#client = client;
    this.prefix = prefix;
    this.#running = this.#run(1000 / writesPerSecond);
  }

  /** Resolves when every write that was begun has its answer. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await Promise.all(this.#pending);
  }

  /** The longest time between one answer and the next. */
  longestGapMs(): number {
    const times = this.acknowledged.map(({ atMs }) => atMs).sort((a, b) => a - b);
    return Math.max(0, ...times.slice(1).map((at, i) => at - times[i]!));
  }

  summary(): string {
    const { length } = this.acknowledged;
    return `${length} writes acknowledged, ${this.failures.length} failed, ${this.#repeats} repeated, longest gap ${Math.round(this.longestGapMs())} ms`;
  }

  async #run(intervalMs: number): Promise<void> {
    const started = performance.now();
    for (let i = 0; !this.#stopped; i++) {
      const write = this.#write(i).finally(() => this.#pending.delete(write));
      this.#pending.add(write);
      await sleep(Math.max(0, started + (i + 1) * intervalMs - performance.now()));
    }
  }

  async #write(i: number): Promise<void> {
    const key = `${this.prefix}${String(i).padStart(8, "0")}`;
    const value = `value of ${key}`;
    const deadline = performance.now() + giveUpMs;
    for (;;) {
      try {
        const response = await this.#client.put(key, value);
        const { revision = 0, clusterId = 0n } = response.header ?? {};
        this.acknowledged.push({ key, value, revision, clusterId, atMs: performance.now() });
        return;
      } catch (error) {
        const repeatable = error instanceof GrpcError && error.notProcessed;
        if (!repeatable || performance.now() > deadline) return void this.failures.push(error);
        this.#repeats += 1;
        await sleep(20);
      }
    }
  }
}
