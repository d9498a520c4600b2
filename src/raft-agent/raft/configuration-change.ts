/**
 * Membership changes (Raft §6). A change of voters goes through one joint configuration, in which the old and the new
 * voters each need their own majority; the leader leaves the joint configuration by itself as soon as it is committed.
 * A change of learners alone is one entry. One change at a time.
 */
import { type Configuration, isJoint, isVoter, membersOf } from "./configuration.ts";
import { encodeConfigurationEntry } from "./configuration-codec.ts";
import { EntryKind, type LogIndex, type MemberId } from "./entry.ts";
import type { ConfigurationChange, ConfigurationRejection, ConfigurationResult } from "./event.ts";
import { appendEntry } from "./log-changes.ts";
import { replicate } from "./replication.ts";
import { addPeer } from "./role-change.ts";
import type { Leadership, RaftState } from "./state.ts";

export function proposeConfiguration(state: RaftState, change: ConfigurationChange): ConfigurationResult {
  const { leadership } = state;
  if (leadership === null) return reject("notLeader");
  if (isChanging(state, leadership)) return reject("changeInProgress");
  const { configuration } = state.configurations.current;
  const target = normalized(change.target);
  if (target.voters.length === 0) return reject("noVoters");
  const lagging = target.voters.filter(
    (voter) => !isVoter(configuration, voter) && !isCaughtUp(state, leadership, voter),
  );
  if (lagging.length > 0) return reject("learnerNotReady", lagging);
  return {
    accepted: true,
    index: appendConfiguration(state, nextConfiguration(configuration, target), change.context),
  };
}

/** Leaves a joint configuration, or drops removed peers. Called when the commit index has advanced. */
export function advanceConfigurationChange(state: RaftState, leadership: Leadership): void {
  const { index, configuration, members } = state.configurations.current;
  if (index > state.commitIndex) return;
  if (!isJoint(configuration)) {
    for (const [peer, progress] of leadership.peers) {
      if (members.includes(peer)) continue;
      // The removed member still learns that its removal is committed, so that its host can shut it down.
      replicate(state, peer, progress);
      leadership.peers.delete(peer);
    }
  } else if (leadership.transfer === null && state.commitIndex >= leadership.termStartIndex) {
    appendConfiguration(state, { ...configuration, votersOutgoing: [] }, new Uint8Array(0));
  }
}

/** The next configuration on the way to `target`: the joint one when the voters differ. */
function nextConfiguration(current: Configuration, target: Configuration): Configuration {
  const sameVoters = current.voters.join() === target.voters.join();
  return sameVoters ? target : { ...target, votersOutgoing: current.voters };
}

function appendConfiguration(state: RaftState, configuration: Configuration, context: Uint8Array): LogIndex {
  const index = state.log.lastIndex + 1;
  const data = encodeConfigurationEntry({ configuration, context });
  appendEntry(state, { term: state.term, index, kind: EntryKind.configuration, data });
  for (const member of membersOf(configuration)) {
    if (state.leadership !== null) addPeer(state, state.leadership, member, index);
  }
  return index;
}

/**
 * A change is in progress until its last entry is committed. A leader that has not yet committed an entry of its term
 * does not know whether its predecessor's change is committed.
 */
function isChanging(state: RaftState, leadership: Leadership): boolean {
  const { index, configuration } = state.configurations.current;
  if (index > state.commitIndex || isJoint(configuration)) return true;
  return state.commitIndex < leadership.termStartIndex || leadership.transfer !== null;
}

/** A lagging voter would join majorities that then wait for it, so it has to catch up as a learner first. */
function isCaughtUp(state: RaftState, leadership: Leadership, voter: MemberId): boolean {
  const progress = leadership.peers.get(voter);
  if (progress === undefined || progress.state !== "replicate") return false;
  return state.log.lastIndex - progress.matchIndex <= state.settings.maxLearnerLagEntries;
}

function normalized(target: ConfigurationChange["target"]): Configuration {
  const voters = [...new Set(target.voters)].sort();
  const learners = [...new Set(target.learners)].filter((member) => !voters.includes(member)).sort();
  return { voters, votersOutgoing: [], learners };
}

function reject(reason: ConfigurationRejection, lagging: readonly MemberId[] = []): ConfigurationResult {
  return { accepted: false, reason, lagging };
}
