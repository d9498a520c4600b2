/**
 * The consensus core (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, and Ongaro's
 * thesis). Events go in, a `Ready` comes out; it knows no clock, disk, socket or promise. This file holds the control
 * flow only: the roles' answers are in `follower.ts`, `candidate.ts` and `leader.ts`, over the one state of `state.ts`.
 */
import { assertNever } from "../../base/assert.ts";
import { candidateReactions, preCandidateReactions, tickCandidate } from "./candidate.ts";
import { collectReady } from "./collect-ready.ts";
import { advanceCommit } from "./commit.ts";
import type { SnapshotMetadata } from "./configuration.ts";
import { proposeConfiguration } from "./configuration-change.ts";
import { campaign, countOwnVote, isLoyal } from "./election.ts";
import type { LogIndex, MemberId } from "./entry.ts";
import type { ConfigurationChange, ConfigurationResult, ProposalResult, RaftEvent } from "./event.ts";
import { followerReactions, loseLeader, tickFollower } from "./follower.ts";
import { assertCheapInvariants, assertInvariants } from "./invariants.ts";
import { endSnapshot, leaderReactions, losePeer, tickLeader } from "./leader.ts";
import type { Message, MessageOf } from "./message.ts";
import type { RaftOptions } from "./options.ts";
import { expireHeldProposals, propose, takeForwardedProposals } from "./proposals.ts";
import type { Reactions } from "./reactions.ts";
import { expireForwardedReads, requestRead } from "./reads.ts";
import type { Ready, Role, SoftState } from "./ready.ts";
import { becomeFollower } from "./role-change.ts";
import { send } from "./sending.ts";
import { snapshotMetadataAt } from "./snapshot-metadata.ts";
import { createState, type RaftState, type RestoredState } from "./state.ts";
import { describeState, type RaftStatus } from "./status.ts";
import { beginTransfer, yieldLeadership } from "./transfer.ts";

const reactions: Readonly<Record<Role, Reactions>> = {
  follower: followerReactions,
  preCandidate: preCandidateReactions,
  candidate: candidateReactions,
  leader: leaderReactions,
};

export class Raft {
  readonly #state: RaftState;
  #reported: SoftState;

  constructor(options: RaftOptions, restored: RestoredState) {
    this.#state = createState(options, restored);
    this.#reported = { role: "follower", leader: null, term: this.#state.term };
  }

  /** Takes an event in. Its effects are in the `Ready`s that follow. */
  step(event: RaftEvent): void {
    handleEvent(this.#state, event);
    assertCheapInvariants(this.#state);
  }

  /** Proposes entries, all or none, on the leader or through it. Accepted does not mean committed. */
  propose(payloads: readonly Uint8Array[]): ProposalResult {
    return propose(this.#state, payloads);
  }

  /** Proposes a configuration; the leader goes there by itself, through a joint one when the voters change. */
  proposeConfiguration(change: ConfigurationChange): ConfigurationResult {
    return proposeConfiguration(this.#state, change);
  }

  /** Asks for a linearizable read; the outcome comes under `context` in `Ready.reads` or `Ready.failedReads`. */
  requestRead(context: number): void {
    requestRead(this.#state, context);
  }

  /** Collects what is to be done, or returns null. Several may be taken before the first one is persisted. */
  takeReady(): Ready | null {
    const ready = collectReady(this.#state, this.#reported);
    if (ready?.softState) this.#reported = ready.softState;
    assertCheapInvariants(this.#state);
    return ready;
  }

  /** Forgets the log up to `index`, which is applied; whoever still needs that part will be sent a snapshot. */
  compact(index: LogIndex): void {
    const upTo = Math.min(index, this.#state.appliedIndex);
    if (upTo <= this.#state.log.baseIndex) return;
    this.#state.log.compact(upTo);
    this.#state.configurations.compact(upTo);
  }

  /** Names the state at `index`, which is committed and not compacted away: for a snapshot of the state machine. */
  snapshotMetadata(index: LogIndex): SnapshotMetadata {
    return snapshotMetadataAt(this.#state, index);
  }

  status(): RaftStatus {
    return describeState(this.#state);
  }

  /** Checks everything that can be checked from inside; walks the log. For tests. */
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
      state.log.settleUpTo(state.appliedIndex);
      return;
    case "peerDisconnected":
      if (state.leadership !== null) losePeer(state.leadership, event.peer);
      else if (state.leader === event.peer) loseLeader(state, event.peer);
      return;
    case "diskStalled":
      handleDiskStalled(state);
      return;
    case "snapshotSent":
      if (state.leadership !== null) endSnapshot(state.leadership, event.peer, event.succeeded);
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
  if (state.leadership !== null) beginTransfer(state, state.leadership, to, { resignAfterwards: false });
}

/** Until the next batch is durable. Without a batch under way the report is a late one. */
function handleDiskStalled(state: RaftState): void {
  if (state.durability.isIdle) return;
  state.diskStalled = true;
  if (state.leadership !== null) yieldLeadership(state, state.leadership);
}

/** Entries may be committed by the own disk, and an election won by it. */
function handlePersisted(state: RaftState, ticket: number): void {
  state.durability.complete(ticket);
  state.diskStalled = false;
  countOwnVote(state);
  if (state.leadership !== null) advanceCommit(state, state.leadership);
}

/** The rules about terms that come before any role's (Raft §5.1). */
function handleMessage(state: RaftState, message: Message): void {
  if (state.settings.rules.isStale(message.term, state.term)) {
    // A proposal belongs to no term: who sent it had not heard yet that leadership has moved.
    if (message.kind === "forwardedProposals") takeForwardedProposals(state, message);
    else answerStale(state, message);
    return;
  }
  if (message.kind === "voteRequest" && isLoyal(state, message)) return;
  if (message.term > state.term) becomeFollower(state, message.term, comesFromLeader(message) ? message.from : null);
  react(state, message);
}

function react<Kind extends Message["kind"]>(state: RaftState, message: MessageOf<Kind> & { kind: Kind }): void {
  const reaction = reactions[state.role][message.kind] as (state: RaftState, message: MessageOf<Kind>) => void;
  reaction(state, message);
}

function comesFromLeader({ kind }: Message): boolean {
  return kind === "appendRequest" || kind === "heartbeatRequest" || kind === "snapshotRequest";
}

/**
 * A message of an earlier term gets no say. A leader or candidate that sent it is told the current term, since with
 * loyal voters it would otherwise go on for ever: nobody else has a reason to write to it.
 */
function answerStale(state: RaftState, message: Message): void {
  if (comesFromLeader(message)) {
    send(state, message.from, { kind: "appendResponse", accepted: false, index: 0, hintIndex: 0, hintTerm: 0 });
  } else if (message.kind === "voteRequest") {
    send(state, message.from, { kind: "voteResponse", preVote: message.preVote, granted: false });
  }
}
