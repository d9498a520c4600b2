/** The status of a member, for operators, metrics and tests. */
import type { Configuration } from "./configuration.ts";
import type { LogIndex, MemberId, Term } from "./entry.ts";
import type { ProgressState } from "./progress.ts";
import type { Role } from "./ready.ts";
import type { RaftState } from "./state.ts";

export type PeerStatus = {
  readonly state: ProgressState;
  readonly matchIndex: LogIndex;
  readonly nextIndex: LogIndex;
  /** The index of the snapshot in flight, else 0: entries after it are worth keeping. */
  readonly pendingSnapshotIndex: LogIndex;
  readonly inflightMessages: number;
  readonly inflightBytes: number;
  /** Whether the follower was heard from since the last quorum check. */
  readonly recentlyActive: boolean;
};

export type RaftStatus = {
  readonly id: MemberId;
  readonly role: Role;
  readonly term: Term;
  readonly votedFor: MemberId | null;
  readonly leader: MemberId | null;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly durableIndex: LogIndex;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** The configuration in force, committed or not, and the entry that carries it. */
  readonly configuration: Configuration;
  readonly configurationIndex: LogIndex;
  /** The target of a leadership transfer, on a leader. */
  readonly transferringTo: MemberId | null;
  readonly pendingReads: number;
  /** Empty except on a leader. */
  readonly peers: ReadonlyMap<MemberId, PeerStatus>;
};

export function describeState(state: RaftState): RaftStatus {
  const { log, leadership, configurations } = state;
  const peers = new Map<MemberId, PeerStatus>();
  for (const [peer, progress] of leadership?.peers ?? []) {
    const { state: progressState, matchIndex, nextIndex, pendingSnapshotIndex, recentlyActive, inflight } = progress;
    peers.set(peer, {
      state: progressState,
      matchIndex,
      nextIndex,
      pendingSnapshotIndex,
      inflightMessages: inflight.count,
      inflightBytes: inflight.bytes,
      recentlyActive,
    });
  }
  return {
    id: state.id,
    role: state.role,
    term: state.term,
    votedFor: state.votedFor,
    leader: state.leader,
    commitIndex: state.commitIndex,
    appliedIndex: state.appliedIndex,
    durableIndex: state.durability.durableIndex,
    firstIndex: log.firstIndex,
    lastIndex: log.lastIndex,
    lastTerm: log.end.term,
    configuration: configurations.current.configuration,
    configurationIndex: configurations.current.index,
    transferringTo: leadership?.transfer?.to ?? null,
    pendingReads: leadership?.reads.size ?? state.forwardedReads.size,
    peers,
  };
}
