/** The effects that have accumulated since the last `Ready`. */
import type { SnapshotMetadata } from "./configuration.ts";
import type { MemberId, Term } from "./entry.ts";
import type { Message } from "./message.ts";
import type { ReadState } from "./ready.ts";

type Forwarding = { readonly to: MemberId; readonly term: Term; readonly proposals: Uint8Array[]; bytes: number };

export class Outbox {
  messages: Message[] = [];
  afterPersist: Message[] = [];
  reads: ReadState[] = [];
  failedReads: number[] = [];
  installSnapshot: SnapshotMetadata | null = null;
  /** The size of the proposals among `messages`. */
  forwardedBytes = 0;
  /** The newest message with proposals among `messages`, while more can be added to it. */
  #forwarding: Forwarding | null = null;

  /** Queues a proposal for the leader. Proposals of one step are batched into one message, up to `maxBytes`. */
  forward(to: MemberId, term: Term, from: MemberId, proposal: Uint8Array, maxBytes: number): void {
    const open = this.#forwarding;
    this.forwardedBytes += proposal.length;
    if (open !== null && open.to === to && open.term === term && open.bytes + proposal.length <= maxBytes) {
      open.proposals.push(proposal);
      open.bytes += proposal.length;
      return;
    }
    const proposals = [proposal];
    this.#forwarding = { to, term, proposals, bytes: proposal.length };
    this.messages.push({ from, to, term, kind: "forwardedProposals", proposals });
  }

  /**
   * Queues a response that promises durable entries. It replaces the previous one to the same leader: acknowledging an
   * index acknowledges every lower one.
   */
  acknowledge(message: Message & { kind: "appendResponse" }): void {
    const before = this.afterPersist.at(-1);
    const replaces =
      before?.kind === "appendResponse" && before.to === message.to && before.term === message.term && before.accepted;
    if (!replaces) this.afterPersist.push(message);
    else if (before.index <= message.index) this.afterPersist[this.afterPersist.length - 1] = message;
  }

  /** Moves the responses that depend on the disk to those that depend on nothing. */
  releaseAfterPersist(): void {
    for (const message of this.afterPersist) this.messages.push(message);
    this.afterPersist = [];
  }

  clear(): void {
    this.messages = [];
    this.afterPersist = [];
    this.reads = [];
    this.failedReads = [];
    this.installSnapshot = null;
    this.forwardedBytes = 0;
    this.#forwarding = null;
  }
}
