/**
 * One follower as seen by the leader.
 *
 *   probe      its log is not known yet: one message at a time, the next after an answer or a heartbeat's
 *   replicate  its log is known: messages follow each other optimistically, as far as the window allows
 *   snapshot   what it needs is compacted away: nothing until the snapshot has arrived or failed
 */
import type { LogIndex } from "./entry.ts";
import type { InflightWindow } from "./inflight-window.ts";

export type ProgressState = "probe" | "replicate" | "snapshot";

export class Progress {
  state: ProgressState = "probe";
  /** The log is known to be equal and durable there up to here. */
  matchIndex: LogIndex = 0;
  /** The next entry to send; above `matchIndex`. */
  nextIndex: LogIndex;
  /** The snapshot on its way, else 0. */
  pendingSnapshotIndex: LogIndex = 0;
  /** A probe is on its way. */
  awaitsAnswer = false;
  /** Ask even without anything new: an earlier message may have been lost. */
  mustAsk = false;
  /** When that was last found, in the leader's ticks. */
  askedAtTicks: number = Number.NEGATIVE_INFINITY;
  /** Heard of since the last check of the quorum. */
  recentlyActive = false;
  /** The highest commit index sent. */
  sentCommitIndex: LogIndex = 0;
  /** The highest read round answered. */
  answeredRound = 0;
  readonly inflight: InflightWindow;

  constructor(nextIndex: LogIndex, window: InflightWindow) {
    this.nextIndex = nextIndex;
    this.inflight = window;
  }

  get isPaused(): boolean {
    if (this.state === "probe") return this.awaitsAnswer;
    return this.state === "snapshot" || this.inflight.isFull;
  }

  /** Notes that `count` entries ending in `lastIndex` were sent; `count` may be 0. */
  sent(lastIndex: LogIndex, count: number, bytes: number): void {
    this.mustAsk = false;
    if (this.state === "probe") {
      this.awaitsAnswer = true;
    } else if (count > 0) {
      this.nextIndex = lastIndex + 1;
      this.inflight.add(lastIndex, bytes);
    }
  }

  /** The follower holds everything up to `index`. Returns whether that is news. */
  acknowledge(index: LogIndex): boolean {
    const isNews = index > this.matchIndex;
    this.matchIndex = Math.max(this.matchIndex, index);
    this.nextIndex = Math.max(this.nextIndex, index + 1);
    this.awaitsAnswer = false;
    if (this.state === "replicate") this.inflight.freeUpTo(index);
    return isNews;
  }

  /**
   * The follower could not place an append behind `rejectedIndex`; its log may agree up to `agreesUpTo`. Late answers,
   * about positions that were settled meanwhile, are ignored: then the result is false.
   */
  reject(rejectedIndex: LogIndex, agreesUpTo: LogIndex): boolean {
    if (this.state === "snapshot" || rejectedIndex <= this.matchIndex) return false;
    if (this.state === "probe" && rejectedIndex !== this.nextIndex - 1) return false;
    this.becomeProbe();
    this.nextIndex = Math.max(this.matchIndex + 1, Math.min(rejectedIndex, agreesUpTo + 1));
    return true;
  }

  becomeProbe(): void {
    this.nextIndex = Math.max(this.matchIndex, this.pendingSnapshotIndex) + 1;
    this.#enter("probe");
  }

  becomeReplicate(): void {
    this.#enter("replicate");
    this.nextIndex = this.matchIndex + 1;
  }

  becomeSnapshot(index: LogIndex): void {
    this.#enter("snapshot");
    this.pendingSnapshotIndex = index;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.awaitsAnswer = false;
    this.pendingSnapshotIndex = 0;
    this.inflight.clear();
  }
}
