/**
 * The one state that the roles share. A member owns exactly one; functions of the other files take it as their first
 * argument and change it in place.
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

/** The state that a member reads from its disk at startup. */
export type RestoredState = {
  readonly hardState: HardState;
  /** The compaction point of the log, and the configuration there. */
  readonly snapshot: SnapshotMetadata;
  /** All entries after the snapshot, without a gap. */
  readonly entries: readonly Entry[];
  /**
   * The index that a durable state machine has already applied, if it is after the snapshot: those entries are not
   * delivered again.
   */
  readonly appliedIndex?: LogIndex;
};

type Transfer = {
  readonly to: MemberId;
  elapsedTicks: number;
  /** timeoutNow was sent to the successor. */
  timeoutNowSent: boolean;
  /** Step down when the transfer fails, since the local disk does not respond. */
  readonly stepDownAfterwards: boolean;
};

/** State that only a leader has; reinitialized after each election. */
export type Leadership = {
  /** Every other member that receives the log. Removed members stay until their removal is committed. */
  readonly peers: Map<MemberId, Progress>;
  /**
   * How far the log is durable on a member, the leader included; created once, since every acknowledgement needs it.
   */
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
  /** Committed entries up to this index were delivered to the driver (etcd: applying). */
  deliveredIndex: LogIndex;
  /** And the driver reported these as applied. */
  appliedIndex: LogIndex;
  /** Ticks since the start; only differences matter. */
  ticks: number;
  /** Ticks since the leader was last heard from, or the election began. */
  electionElapsedTicks: number;
  electionDeadlineTicks: number;
  /**
   * The connection to the leader broke: this member campaigns soon, unless it yields its election slot to another
   * member (once).
   */
  hasElectionSlot: boolean;
  /** Responses to this member's own election. */
  readonly votes: Map<MemberId, boolean>;
  leadership: Leadership | null;
  /** The local disk is stalled: no election can be won with it. */
  diskStalled: boolean;
};

/** Creates the state of a member at startup: a follower that knows no leader. */
export function createState(options: RaftOptions, restored: RestoredState): RaftState {
  const settings = raftSettings(options);
  const { hardState, snapshot, entries } = restored;
  const log = new RaftLog(snapshot.index, snapshot.term);
  const configurations = new ConfigurationHistory(snapshot.index, snapshot.configuration, settings.rules.voterGroupsOf);
  for (const entry of entries) {
    log.append(entry);
    if (entry.kind === EntryKind.configuration) {
      configurations.append(entry.index, decodeConfigurationEntry(entry.data).configuration);
    }
  }
  const appliedIndex = Math.max(snapshot.index, restored.appliedIndex ?? 0);
  log.packUpTo(appliedIndex);
  const commitIndex = Math.max(hardState.commitIndex, appliedIndex);
  assert(commitIndex <= log.lastIndex, `commit index ${commitIndex} is inside the restored log`);
  assert(
    hardState.term >= log.end.term,
    `restored term ${hardState.term} is not lower than its log's, ${log.end.term}`,
  );
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
    deliveredIndex: appliedIndex,
    appliedIndex,
    ticks: 0,
    electionElapsedTicks: 0,
    electionDeadlineTicks: settings.electionTimeoutTicks + options.random.below(settings.electionTimeoutTicks),
    hasElectionSlot: false,
    votes: new Map(),
    leadership: null,
    diskStalled: false,
  };
}
