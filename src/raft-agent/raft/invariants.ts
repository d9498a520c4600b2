/**
 * What holds between any two events. The cheap half is checked after every event, in production too: a member that
 * has left its own model of the world must stop before it tells anybody. The thorough half walks the log, for tests.
 */
import { assert } from "../../base/assert.ts";
import type { RaftState } from "./state.ts";

export function assertCheapInvariants(state: RaftState): void {
  const { log, durability } = state;
  const { lastIndex, baseIndex } = log;
  assert(baseIndex <= state.handedOutIndex, "I1: only entries that were handed out are compacted");
  assert(state.appliedIndex <= state.handedOutIndex, "I2: only entries that were handed out are applied");
  assert(state.handedOutIndex <= state.commitIndex, "I3: only committed entries are handed out");
  assert(state.commitIndex <= lastIndex, "I4: the commit index lies inside the log");
  assert(durability.durableIndex <= lastIndex, "I5: nothing is durable beyond the log");
  assert(durability.unsavedFrom <= lastIndex + 1, "I6: nothing is handed to the disk beyond the log");
  assert(log.end.term <= state.term, "I7: no entry is of a later term than the member");
  assert((state.role === "leader") === (state.leadership !== null), "I8: a leader, and only a leader, has peers");
  assert(state.role !== "leader" || state.leader === state.id, "I9: a leader follows itself");
  assert(state.role === "leader" || state.leader !== state.id, "I10: nobody else does");
  assert(state.role !== "candidate" || state.votedFor === state.id, "I11: a candidate has voted for itself");
}

/** Everything, for tests: costs a walk over the log. */
export function assertInvariants(state: RaftState): void {
  assertCheapInvariants(state);
  assertLog(state);
  assertPeers(state);
  const { index, configuration } = state.configurations.current;
  assert(index <= state.log.lastIndex, "I15: the configuration in force is in the log");
  assert(
    state.role === "follower" || configuration.voters.length > 0,
    "I16: only who knows voters stands for election",
  );
}

function assertLog({ log }: RaftState): void {
  let term = log.termAt(log.baseIndex) ?? 0;
  for (let index = log.firstIndex; index <= log.lastIndex; index += 1) {
    const entry = log.entryAt(index);
    assert(entry.index === index, "I12: the log has no gap");
    assert(entry.term >= term, "I13: terms never fall along the log");
    term = entry.term;
  }
}

function assertPeers({ leadership, log, settings }: RaftState): void {
  for (const [peer, progress] of leadership?.peers ?? []) {
    assert(progress.matchIndex < progress.nextIndex, `I14: ${peer} is sent nothing that it holds`);
    assert(progress.nextIndex <= log.lastIndex + 1, `I14: ${peer} is sent nothing beyond the log`);
    assert(progress.inflight.count <= settings.maxInflightMessages, `I14: the window of ${peer} is bounded`);
    assert(progress.state === "replicate" || progress.inflight.count === 0, `I14: only replication uses the window`);
  }
}
