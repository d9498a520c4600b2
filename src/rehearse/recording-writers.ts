/**
 * Clients of a copy that write all the time and remember what was acknowledged. A write that failed may have happened or not: it
 * is not repeated, the next one has a key of its own.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type EtcdClient, prefixEnd } from "../etcd-client/etcd-client.ts";
import { decodeKeyValue } from "../raft-agent/api/key-value.ts";
import { gapShownMs, type Span } from "./rehearsal.ts";

export type WriterOptions = {
  readonly prefix: string;
  /** Opens a client with the credentials that are valid now. */
  readonly open: () => EtcdClient;
  readonly nowMs: () => number;
};

/** The last one opens a connection for each write, as etcdctl does. */
const writerCount = 4;
const pauseMs = 40;
const failurePauseMs = 30;

export class RecordingWriters {
  readonly #options: WriterOptions;
  readonly #acknowledged = new Map<string, string>();
  readonly #gaps: Span[] = [];
  readonly #running: readonly Promise<void>[];
  #longestGapMs = 0;
  #failed = 0;
  #stopped = false;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#running = Array.from({ length: writerCount }, (_, at) => this.#write(at));
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  get failed(): number {
    return this.#failed;
  }

  /** Of the client that waited longest. */
  get longestGapMs(): number {
    return this.#longestGapMs;
  }

  get gaps(): readonly Span[] {
    return this.#gaps.toSorted((a, b) => a.fromMs - b.fromMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  /** Keys of acknowledged writes that this client does not find. */
  async lost(
    client: EtcdClient,
    { serializable = false }: { readonly serializable?: boolean } = {},
  ): Promise<readonly string[]> {
    const { prefix } = this.#options;
    const { kvs } = await client.range(prefix, { rangeEnd: prefixEnd(prefix), serializable });
    const found = new Map(
      kvs.map(decodeKeyValue).map(({ key, value }) => [Buffer.from(key).toString(), Buffer.from(value).toString()]),
    );
    return [...this.#acknowledged].filter(([key, value]) => found.get(key) !== value).map(([key]) => key);
  }

  async #write(writer: number): Promise<void> {
    const { prefix, open, nowMs } = this.#options;
    const connectsAnew = writer === writerCount - 1;
    let client: EtcdClient | null = null;
    let waitingSinceMs: number | null = null;
    for (let count = 0; !this.#stopped; count += 1) {
      const [key, value] = [`${prefix}${writer}/${String(count).padStart(7, "0")}`, `value ${count}`];
      waitingSinceMs ??= nowMs();
      let succeeded = false;
      try {
        client ??= open();
        await client.put(key, value);
        succeeded = true;
        this.#acknowledged.set(key, value);
        this.#endGap(waitingSinceMs);
        waitingSinceMs = null;
      } catch {
        this.#failed += 1;
      }
      if (!succeeded || connectsAnew) {
        await client?.grpc.close().catch(() => undefined);
        client = null;
      }
      await sleep(succeeded ? pauseMs : failurePauseMs);
    }
    if (waitingSinceMs !== null) this.#endGap(waitingSinceMs);
    await client?.grpc.close().catch(() => undefined);
  }

  #endGap(fromMs: number): void {
    const untilMs = this.#options.nowMs();
    this.#longestGapMs = Math.max(this.#longestGapMs, untilMs - fromMs);
    if (untilMs - fromMs >= gapShownMs) this.#gaps.push({ fromMs, untilMs });
  }
}
