/**
 * Invariants that hold between any two events. The cheap half is checked after every event, in production too: a
 * member with an inconsistent state must stop before it sends anything. The thorough half walks the log, for tests.
 */
import { assert } from "../../base/assert.ts";
import type { RaftState } from "./state.ts";

export function assertCheapInvariants(state: RaftState): void {
  const { log, durability } = state;
  const { lastIndex, baseIndex } = log;
  assert(baseIndex <= state.deliveredIndex, "I1: only delivered entries are compacted");
  assert(state.appliedIndex <= state.deliveredIndex, "I2: only delivered entries are applied");
  assert(state.deliveredIndex <= state.commitIndex, "I3: only committed entries are delivered");
  assert(state.commitIndex <= lastIndex, "I4: the commit index is inside the log");
  assert(durability.durableIndex <= lastIndex, "I5: nothing is durable beyond the log");
  assert(durability.unsavedFrom <= lastIndex + 1, "I6: nothing is written beyond the log");
  assert(log.end.term <= state.term, "I7: no entry has a later term than the member");
  assert((state.role === "leader") === (state.leadership !== null), "I8: a leader, and only a leader, tracks peers");
  assert(state.role !== "leader" || state.leader === state.id, "I9: a leader follows itself");
  assert(state.role === "leader" || state.leader !== state.id, "I10: no other role does");
  assert(state.role !== "candidate" || state.votedFor === state.id, "I11: a candidate has voted for itself");
}

/** Checks every invariant; walks the log, so for tests only. */
export function assertInvariants(state: RaftState): void {
  assertCheapInvariants(state);
  assertLog(state);
  assertPeers(state);
  const { index, configuration } = state.configurations.current;
  assert(index <= state.log.lastIndex, "I15: the configuration in force is in the log");
  assert(
    state.role === "follower" || configuration.voters.length > 0,
    "I16: only a member that knows voters campaigns",
  );
}

function assertLog({ log }: RaftState): void {
  let term = log.termAt(log.baseIndex) ?? 0;
  for (let index = log.firstIndex; index <= log.lastIndex; index += 1) {
    const entry = log.entryAt(index);
    assert(entry.index === index, "I12: the log has no gap");
    assert(entry.term >= term, "I13: terms never decrease along the log");
    term = entry.term;
  }
}

function assertPeers({ leadership, log, settings }: RaftState): void {
  for (const [peer, progress] of leadership?.peers ?? []) {
    assert(progress.matchIndex < progress.nextIndex, `I14: the next index of ${peer} is above its match index`);
    assert(progress.nextIndex <= log.lastIndex + 1, `I14: the next index of ${peer} is not beyond the log`);
    assert(progress.inflight.count <= settings.maxInflightMessages, `I14: the window of ${peer} is bounded`);
    assert(
      progress.state === "replicate" || progress.inflight.count === 0,
      `I14: only the replicate state uses the window`,
    );
  }
}
