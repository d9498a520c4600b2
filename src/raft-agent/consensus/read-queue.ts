/**
 * Linearizable reads without a log entry (Raft thesis §6.4): reads that arrive together share one read index, and run
 * once that index is applied here. The next batch is collected while earlier ones are being confirmed.
 */
import { type EtcdError, EtcdErrors } from "../state-machine/etcd-error.ts";
import type { ConsensusPort } from "./consensus-port.ts";

/** Gets null when the read may be served from the local store now. Called exactly once. */
export type ReadDone = (error: EtcdError | null) => void;

type Batch = {
  readonly context: number;
  readonly reads: ReadDone[];
  readonly deadlineMs: number;
  askedAtMs: number;
  /** Null until the leader has confirmed the batch. */
  index: number | null;
};

/**
 * One at a time, as in etcd: later reads make the next batch larger, and a round of heartbeats costs the same for one
 * read and for hundreds.
 */
const batchesInFlightMax = 1;
/** etcd retries after the same time: a message may be lost, or arrive before the leader's first commit. */
const retryMs = 500;

export type ReadQueueOptions = {
  readonly consensus: ConsensusPort;
  readonly clock: { monotonicMs(): number };
  readonly requestTimeoutMs: number;
  readonly waitingMax: number;
};

export class ReadQueue {
  readonly #options: ReadQueueOptions;
  readonly #batches = new Map<number, Batch>();
  #gathering: ReadDone[] = [];
  #gatheringSinceMs = 0;
  #flushScheduled = false;
  #nextContext = 1;
  #waitingCount = 0;
  #unconfirmedCount = 0;
  #slowTotal = 0;
  #failedTotal = 0;
  #stopped = false;

  constructor(options: ReadQueueOptions) {
    this.#options = options;
  }

  /** Read indexes that were requested again because there was no response. */
  get slowTotal(): number {
    return this.#slowTotal;
  }

  get failedTotal(): number {
    return this.#failedTotal;
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  request(done: ReadDone): void {
    if (this.#stopped || this.#waitingCount >= this.#options.waitingMax) {
      done(this.#stopped ? EtcdErrors.stopped : EtcdErrors.tooManyRequests);
      return;
    }
    if (this.#gathering.length === 0) this.#gatheringSinceMs = this.#options.clock.monotonicMs();
    this.#gathering.push(done);
    this.#waitingCount++;
    this.#scheduleFlush();
  }

  /** The leader confirms that `index` was committed when the batch was requested. */
  confirmed(context: number, index: number): void {
    const batch = this.#batches.get(context);
    if (batch === undefined || batch.index !== null) return;
    batch.index = index;
    this.#unconfirmedCount--;
    if (this.#options.consensus.appliedIndex() >= index) this.#end(batch, null);
    if (this.#gathering.length > 0) this.#scheduleFlush();
  }

  /** The member that received the request is no longer the leader. */
  failed(context: number): void {
    const batch = this.#batches.get(context);
    if (batch !== undefined) this.#end(batch, EtcdErrors.leaderChanged);
  }

  applied(index: number): void {
    if (this.#batches.size === 0) return;
    for (const batch of this.#batches.values()) {
      if (batch.index !== null && batch.index <= index) this.#end(batch, null);
    }
  }

  /** Called a few times per second: retries, and times out batches. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const batch of this.#batches.values()) {
      if (batch.deadlineMs <= nowMs) {
        this.#end(batch, batch.index === null ? EtcdErrors.timeout : EtcdErrors.timeoutWaitingAppliedIndex);
      } else if (batch.index === null && batch.askedAtMs + retryMs <= nowMs) {
        batch.askedAtMs = nowMs;
        this.#slowTotal++;
        this.#options.consensus.requestReadIndex(batch.context);
      }
    }
    if (this.#gathering.length > 0) this.#flush();
  }

  stop(): void {
    this.#stopped = true;
    const gathering = this.#gathering;
    this.#gathering = [];
    this.#waitingCount -= gathering.length;
    for (const done of gathering) done(EtcdErrors.stopped);
    for (const batch of this.#batches.values()) this.#end(batch, EtcdErrors.stopped);
  }

  /** All reads of one turn of the event loop share a batch, whatever connection they arrived on. */
  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#options.consensus.onTickEnd(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#gathering.length === 0 || this.#unconfirmedCount >= batchesInFlightMax) return;
    const context = this.#nextContext++;
    const batch: Batch = {
      context,
      reads: this.#gathering,
      deadlineMs: this.#gatheringSinceMs + this.#options.requestTimeoutMs,
      askedAtMs: this.#options.clock.monotonicMs(),
      index: null,
    };
    this.#gathering = [];
    this.#batches.set(context, batch);
    this.#unconfirmedCount++;
    this.#options.consensus.requestReadIndex(context);
  }

  #end(batch: Batch, error: EtcdError | null): void {
    this.#batches.delete(batch.context);
    if (batch.index === null) this.#unconfirmedCount--;
    if (error !== null) this.#failedTotal++;
    this.#waitingCount -= batch.reads.length;
    for (const done of batch.reads) done(error);
    if (this.#gathering.length > 0) this.#scheduleFlush();
  }
}
