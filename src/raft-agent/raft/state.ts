/**
 * The one state that the roles work on. A member owns exactly one; functions of the other files take it as their
 * first argument and change it in place.
 */
import { assert } from "../../base/assert.ts";
import type { Random } from "../../base/random.ts";
import type { SnapshotMetadata } from "./configuration.ts";
import { decodeConfigurationEntry } from "./configuration-codec.ts";
import { ConfigurationHistory } from "./configuration-history.ts";
import { Durability } from "./durability.ts";
import { type Entry, EntryKind, type HardState, type LogIndex, type MemberId, type Term } from "./entry.ts";
import { ForwardedReads } from "./forwarded-reads.ts";
import { HeldProposals } from "./held-proposals.ts";
import { type RaftOptions, type RaftSettings, raftSettings } from "./options.ts";
import { Outbox } from "./outbox.ts";
import type { Progress } from "./progress.ts";
import { RaftLog } from "./raft-log.ts";
import type { ReadRounds } from "./read-rounds.ts";
import type { Role } from "./ready.ts";

/** What a member finds on its disk at its start. */
export type RestoredState = {
  readonly hardState: HardState;
  /** Where the log was cut off, and the configuration there. */
  readonly snapshot: SnapshotMetadata;
  /** Everything behind the snapshot, without a gap. */
  readonly entries: readonly Entry[];
  /** What the state machine has applied durably by itself, if it lies behind the snapshot: not handed out again. */
  readonly appliedIndex?: LogIndex;
};

type Transfer = {
  readonly to: MemberId;
  elapsedTicks: number;
  /** The successor was told to start its election. */
  told: boolean;
  /** Step down when the transfer fails, since the own disk does not answer. */
  readonly resignAfterwards: boolean;
};

/** What only a leader knows; made anew at each election. */
export type Leadership = {
  /** Everyone else who receives the log. Removed members stay until their removal is committed. */
  readonly peers: Map<MemberId, Progress>;
  /** How far the log is durable on a member, the leader included; made once, since every acknowledgement asks. */
  readonly matchOf: (member: MemberId) => LogIndex;
  readonly reads: ReadRounds;
  /** The empty entry that opened the term. */
  readonly termStartIndex: LogIndex;
  heartbeatElapsedTicks: number;
  quorumElapsedTicks: number;
  transfer: Transfer | null;
};

export type RaftState = {
  readonly id: MemberId;
  readonly settings: RaftSettings;
  readonly random: Random;
  readonly log: RaftLog;
  readonly configurations: ConfigurationHistory;
  readonly durability: Durability;
  readonly outbox: Outbox;
  readonly forwardedReads: ForwardedReads;
  readonly heldProposals: HeldProposals;
  term: Term;
  votedFor: MemberId | null;
  role: Role;
  leader: MemberId | null;
  commitIndex: LogIndex;
  /** Committed entries up to here were given to the driver. */
  handedOutIndex: LogIndex;
  /** And the driver reported these as applied. */
  appliedIndex: LogIndex;
  /** Ticks since the start; only differences matter. */
  ticks: number;
  /** Ticks since the leader was heard, or the election began. */
  electionElapsedTicks: number;
  electionDeadlineTicks: number;
  /** The leader's connection broke: this member is to stand soon, unless it gives way to somebody (once). */
  hasTurn: boolean;
  /** Answers to the own election. */
  readonly votes: Map<MemberId, boolean>;
  leadership: Leadership | null;
  /** The own disk hangs: no election can be won with it. */
  diskStalled: boolean;
};

/** Builds the state of a member that starts, as a follower that knows no leader. */
export function createState(options: RaftOptions, restored: RestoredState): RaftState {
  const settings = raftSettings(options);
  const { hardState, snapshot, entries } = restored;
  const log = new RaftLog(snapshot.index, snapshot.term);
  const configurations = new ConfigurationHistory(snapshot.index, snapshot.configuration, settings.rules.electorateOf);
  for (const entry of entries) {
    log.append(entry);
    if (entry.kind === EntryKind.configuration) {
      configurations.append(entry.index, decodeConfigurationEntry(entry.data).configuration);
    }
  }
  const appliedIndex = Math.max(snapshot.index, restored.appliedIndex ?? 0);
  log.settleUpTo(appliedIndex);
  const commitIndex = Math.max(hardState.commitIndex, appliedIndex);
  assert(commitIndex <= log.lastIndex, `commit index ${commitIndex} lies inside the restored log`);
  assert(hardState.term >= log.end.term, `restored term ${hardState.term} is not behind its log's, ${log.end.term}`);
  return {
    id: options.id,
    settings,
    random: options.random,
    log,
    configurations,
    durability: new Durability(log.lastIndex, hardState),
    outbox: new Outbox(),
    forwardedReads: new ForwardedReads(options.random),
    heldProposals: new HeldProposals(),
    term: hardState.term,
    votedFor: hardState.votedFor,
    role: "follower",
    leader: null,
    commitIndex,
    handedOutIndex: appliedIndex,
    appliedIndex,
    ticks: 0,
    electionElapsedTicks: 0,
    electionDeadlineTicks: settings.electionTimeoutTicks + options.random.below(settings.electionTimeoutTicks),
    hasTurn: false,
    votes: new Map(),
    leadership: null,
    diskStalled: false,
  };
}
