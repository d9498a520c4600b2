/**
 * Automatic compaction, according to etcd's flags (server/etcdserver/api/v3compactor). Every member samples revisions,
 * so that a new leader has its predecessor's information; only the leader compacts.
 *
 * Periodic: the revision is sampled ten times per interval, and revisions older than the retention are compacted; the
 * interval is the retention, at most an hour. By revision: every five minutes all but the last N revisions are
 * compacted.
 */
import { encodeCompactionRequest } from "../api/compaction.ts";
import { CommandKind } from "../state-machine/command.ts";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import type { ServiceContext } from "./service-context.ts";

export type AutoCompactionMode =
  | { readonly mode: "off" }
  | { readonly mode: "periodic"; readonly retentionMs: number }
  | { readonly mode: "revision"; readonly revisions: number };

const hourMs = 3_600_000;
const samplesPerInterval = 10;
const revisionIntervalMs = 300_000;

export class AutoCompaction {
  readonly #context: ServiceContext;
  readonly #mode: AutoCompactionMode;
  readonly #sampleMs: number;
  /** Oldest first; the first is the revision of one retention ago, once there are enough. */
  readonly #samples: number[] = [];
  readonly #startedMs: number;
  #nextSampleMs: number;
  #lastDoneMs: number;
  #lastRevision = 0;
  #waiting = false;
  #compactedOnce = false;

  constructor(context: ServiceContext, mode: AutoCompactionMode) {
    this.#context = context;
    this.#mode = mode;
    this.#sampleMs =
      mode.mode === "periodic" ? Math.min(mode.retentionMs, hourMs) / samplesPerInterval : revisionIntervalMs;
    const nowMs = context.clock.monotonicMs();
    this.#startedMs = nowMs;
    this.#lastDoneMs = nowMs;
    this.#nextSampleMs = mode.mode === "periodic" ? nowMs : nowMs + revisionIntervalMs;
  }

  /** Called a few times per second. */
  tick(): void {
    if (this.#mode.mode === "off") return;
    const nowMs = this.#context.clock.monotonicMs();
    if (nowMs < this.#nextSampleMs) return;
    this.#nextSampleMs = Math.max(this.#nextSampleMs + this.#sampleMs, nowMs);
    const revision = this.#mode.mode === "periodic" ? this.#duePeriodic(nowMs) : this.#dueByRevision();
    if (revision === null || revision <= 0 || revision === this.#lastRevision || this.#waiting) return;
    if (this.#context.consensus.isLeader()) this.#compact(revision, nowMs);
  }

  #duePeriodic(nowMs: number): number | null {
    if (this.#mode.mode !== "periodic") return null;
    const { retentionMs } = this.#mode;
    this.#samples.push(this.#context.machine.store.revision);
    const kept = Math.floor(retentionMs / this.#sampleMs) + 1;
    if (this.#samples.length > kept) this.#samples.shift();
    const intervalMs = this.#compactedOnce ? Math.min(retentionMs, hourMs) : retentionMs;
    const sinceMs = this.#compactedOnce ? this.#lastDoneMs : this.#startedMs;
    return nowMs - sinceMs < intervalMs ? null : this.#samples[0]!;
  }

  #dueByRevision(): number | null {
    return this.#mode.mode === "revision" ? this.#context.machine.store.revision - this.#mode.revisions : null;
  }

  #compact(revision: number, nowMs: number): void {
    this.#waiting = true;
    const body = encodeCompactionRequest({ revision, physical: false });
    this.#context.proposer.propose(CommandKind.compact, body, (result) => {
      this.#waiting = false;
      // Another client may have compacted further meanwhile; any other error is retried with the next sample.
      if (result.kind === "etcdError" && result !== EtcdErrors.compacted) return;
      this.#lastRevision = revision;
      this.#lastDoneMs = nowMs;
      this.#compactedOnce = true;
    });
  }
}
