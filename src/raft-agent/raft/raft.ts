/**
 * The consensus core (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, and Ongaro's
 * thesis). Events go in, a `Ready` comes out; the core has no clock, disk, socket or promise. This file holds the
 * control flow only: the message handlers of the roles are in `follower.ts`, `candidate.ts` and `leader.ts`, over the
 * one state of `state.ts`.
 */
import { assertNever } from "../../base/assert.ts";
import { candidateHandlers, preCandidateHandlers, tickCandidate } from "./candidate.ts";
import { collectReady } from "./collect-ready.ts";
import { advanceCommit } from "./commit.ts";
import type { SnapshotMetadata } from "./configuration.ts";
import { proposeConfiguration } from "./configuration-change.ts";
import { campaign, inLeaderLease, recordOwnVote } from "./election.ts";
import type { LogIndex, MemberId } from "./entry.ts";
import type { ConfigurationChange, ConfigurationResult, ProposalResult, RaftEvent } from "./event.ts";
import { followerHandlers, onLeaderDisconnected, tickFollower } from "./follower.ts";
import { assertCheapInvariants, assertInvariants } from "./invariants.ts";
import { leaderHandlers, onPeerDisconnected, onSnapshotFinished, tickLeader } from "./leader.ts";
import type { Message, MessageOf } from "./message.ts";
import type { MessageHandlers } from "./message-handlers.ts";
import type { RaftOptions } from "./options.ts";
import { expireHeldProposals, handleForwardedProposals, propose } from "./proposals.ts";
import { expireForwardedReads, requestRead } from "./reads.ts";
import type { Ready, Role, SoftState } from "./ready.ts";
import { becomeFollower } from "./role-change.ts";
import { send } from "./sending.ts";
import { snapshotMetadataAt } from "./snapshot-metadata.ts";
import { createState, type RaftState, type RestoredState } from "./state.ts";
import { describeState, type RaftStatus } from "./status.ts";
import { beginTransfer, transferOrStepDown } from "./transfer.ts";

const handlers: Readonly<Record<Role, MessageHandlers>> = {
  follower: followerHandlers,
  preCandidate: preCandidateHandlers,
  candidate: candidateHandlers,
  leader: leaderHandlers,
};

export class Raft {
  readonly #state: RaftState;
  #reported: SoftState;

  constructor(options: RaftOptions, restored: RestoredState) {
    this.#state = createState(options, restored);
    this.#reported = { role: "follower", leader: null, term: this.#state.term };
  }

  /** Handles an event. Its effects are in the following `Ready`s. */
  step(event: RaftEvent): void {
    handleEvent(this.#state, event);
    assertCheapInvariants(this.#state);
  }

  /** Proposes entries, all or none, on the leader or through it. Accepted does not mean committed. */
  propose(payloads: readonly Uint8Array[]): ProposalResult {
    return propose(this.#state, payloads);
  }

  /** Proposes a configuration; the leader reaches it by itself, through a joint one when the voters change. */
  proposeConfiguration(change: ConfigurationChange): ConfigurationResult {
    return proposeConfiguration(this.#state, change);
  }

  /** Requests a linearizable read; the outcome appears under `context` in `Ready.reads` or `Ready.failedReads`. */
  requestRead(context: number): void {
    requestRead(this.#state, context);
  }

  /** Collects the pending effects, or returns null. Several may be taken before the first one is persisted. */
  takeReady(): Ready | null {
    const ready = collectReady(this.#state, this.#reported);
    if (ready?.softState) this.#reported = ready.softState;
    assertCheapInvariants(this.#state);
    return ready;
  }

  /** Compacts the log up to `index`, which is applied; a follower that still needs that part is sent a snapshot. */
  compact(index: LogIndex): void {
    const upTo = Math.min(index, this.#state.appliedIndex);
    if (upTo <= this.#state.log.baseIndex) return;
    this.#state.log.compact(upTo);
    this.#state.configurations.compact(upTo);
  }

  /** Describes the state at `index`, which is committed and not compacted, for a snapshot of the state machine. */
  snapshotMetadata(index: LogIndex): SnapshotMetadata {
    return snapshotMetadataAt(this.#state, index);
  }

  status(): RaftStatus {
    return describeState(this.#state);
  }

  /** Checks every internal invariant; walks the log. For tests. */
  assertInvariants(): void {
    assertInvariants(this.#state);
  }
}

function handleEvent(state: RaftState, event: RaftEvent): void {
  switch (event.kind) {
    case "tick":
      tick(state);
      return;
    case "message":
      handleMessage(state, event.message);
      return;
    case "persisted":
      handlePersisted(state, event.ticket);
      return;
    case "applied":
      state.appliedIndex = Math.max(state.appliedIndex, event.index);
      state.log.packUpTo(state.appliedIndex);
      return;
    case "peerDisconnected":
      if (state.leadership !== null) onPeerDisconnected(state.leadership, event.peer);
      else if (state.leader === event.peer) onLeaderDisconnected(state, event.peer);
      return;
    case "diskStalled":
      handleDiskStalled(state);
      return;
    case "snapshotSent":
      if (state.leadership !== null) onSnapshotFinished(state.leadership, event.peer, event.succeeded);
      return;
    case "transferLeadership":
      handleTransfer(state, event.to);
      return;
    case "campaign":
      campaign(state, { leadershipTransfer: false });
      return;
    default:
      assertNever(event);
  }
}

function tick(state: RaftState): void {
  state.ticks += 1;
  expireForwardedReads(state);
  expireHeldProposals(state);
  if (state.leadership !== null) tickLeader(state, state.leadership);
  else if (state.role === "follower") tickFollower(state);
  else tickCandidate(state);
}

function handleTransfer(state: RaftState, to: MemberId): void {
  if (state.leadership !== null) beginTransfer(state, state.leadership, to, { stepDownAfterwards: false });
}

/** Lasts until the next batch is durable. Without a batch in flight the report is late. */
function handleDiskStalled(state: RaftState): void {
  if (state.durability.isIdle) return;
  state.diskStalled = true;
  if (state.leadership !== null) transferOrStepDown(state, state.leadership);
}

/** A local write may commit entries or win an election. */
function handlePersisted(state: RaftState, ticket: number): void {
  state.durability.complete(ticket);
  state.diskStalled = false;
  recordOwnVote(state);
  if (state.leadership !== null) advanceCommit(state, state.leadership);
}

/** The term rules that apply before those of any role (Raft §5.1). */
function handleMessage(state: RaftState, message: Message): void {
  if (state.settings.rules.isStale(message.term, state.term)) {
    // A proposal belongs to no term: its sender did not know yet that leadership has moved.
    if (message.kind === "forwardedProposals") handleForwardedProposals(state, message);
    else answerStale(state, message);
    return;
  }
  if (message.kind === "voteRequest" && inLeaderLease(state, message)) return;
  if (message.term > state.term) becomeFollower(state, message.term, comesFromLeader(message) ? message.from : null);
  handle(state, message);
}

function handle<Kind extends Message["kind"]>(state: RaftState, message: MessageOf<Kind> & { kind: Kind }): void {
  const handler = handlers[state.role][message.kind] as (state: RaftState, message: MessageOf<Kind>) => void;
  handler(state, message);
}

function comesFromLeader({ kind }: Message): boolean {
  return kind === "appendRequest" || kind === "heartbeatRequest" || kind === "snapshotRequest";
}

/**
 * A message of an earlier term is ignored. A leader or candidate that sent it is sent the current term; otherwise,
 * under leader stickiness, it would continue forever, since no other member has a reason to send to it.
 */
function answerStale(state: RaftState, message: Message): void {
  if (comesFromLeader(message)) {
    send(state, message.from, { kind: "appendResponse", accepted: false, index: 0, hintIndex: 0, hintTerm: 0 });
  } else if (message.kind === "voteRequest") {
    send(state, message.from, { kind: "voteResponse", preVote: message.preVote, granted: false });
  }
}
