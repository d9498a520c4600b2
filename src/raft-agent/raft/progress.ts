/**
 * The progress of one follower as seen by the leader.
 *
 *   probe      its log is not known yet: one message at a time, the next after a response or a heartbeat's
 *   replicate  its log is known: messages are pipelined optimistically, as far as the window allows
 *   snapshot   the entries it needs are compacted: nothing is sent until the snapshot has arrived or failed
 */
import type { LogIndex } from "./entry.ts";
import type { InflightWindow } from "./inflight-window.ts";

export type ProgressState = "probe" | "replicate" | "snapshot";

export class Progress {
  state: ProgressState = "probe";
  /** The log is known to be equal and durable on the follower up to this index. */
  matchIndex: LogIndex = 0;
  /** The next entry to send; above `matchIndex`. */
  nextIndex: LogIndex;
  /** The index of the snapshot in flight, else 0. */
  pendingSnapshotIndex: LogIndex = 0;
  /** A probe is in flight (etcd: MsgAppFlowPaused). */
  probeInFlight = false;
  /** Send a probe even without new entries: an earlier message may have been lost. */
  probeDue = false;
  /** The leader's tick at which that was last detected. */
  lastProbeTicks: number = Number.NEGATIVE_INFINITY;
  /** Whether the follower was heard from since the last quorum check. */
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
    if (this.state === "probe") return this.probeInFlight;
    return this.state === "snapshot" || this.inflight.isFull;
  }

  /** Notes that `count` entries ending in `lastIndex` were sent; `count` may be 0. */
  sent(lastIndex: LogIndex, count: number, bytes: number): void {
    this.probeDue = false;
    if (this.state === "probe") {
      this.probeInFlight = true;
    } else if (count > 0) {
      this.nextIndex = lastIndex + 1;
      this.inflight.add(lastIndex, bytes);
    }
  }

  /** The follower holds everything up to `index`. Returns whether the match index advanced. */
  acknowledge(index: LogIndex): boolean {
    const isNews = index > this.matchIndex;
    this.matchIndex = Math.max(this.matchIndex, index);
    this.nextIndex = Math.max(this.nextIndex, index + 1);
    this.probeInFlight = false;
    if (this.state === "replicate") this.inflight.freeUpTo(index);
    return isNews;
  }

  /**
   * The follower rejected an append after `rejectedIndex`; its log may agree up to `agreesUpTo`. Late responses, about
   * positions that were settled meanwhile, are ignored: then the result is false.
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
    this.probeInFlight = false;
    this.pendingSnapshotIndex = 0;
    this.inflight.clear();
  }
}
