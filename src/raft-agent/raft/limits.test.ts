/**
 * Each queue and batch of the core has a limit; each limit is reached here, and what then happens is what the
 * documentation says.
 */
import { describe, expect, it } from "vitest";
import { MemoryMember, memberId } from "../../../test/raft-core/memory-member.ts";
import { createRandom } from "../../base/random.ts";
import { bootstrapState } from "./bootstrap.ts";
import { entryBytes } from "./entry.ts";
import type { Message, MessageBody, MessageOf } from "./message.ts";
import type { RaftOptions } from "./options.ts";

const [self, other, third] = [memberId(1), memberId(2), memberId(3)];
const voters = [self, other, third];

function memberWith(options: Partial<RaftOptions>, initialMembers: readonly string[] = voters): MemoryMember {
  return new MemoryMember({ id: self, random: createRandom(1), ...options }, bootstrapState(initialMembers));
}

function send(member: MemoryMember, from: string, body: MessageBody): void {
  const { term } = member.raft.status();
  member.step({ kind: "message", message: { from, to: self, term, ...body } as Message });
}

/** Takes and persists everything; returns all messages. */
function drain(member: MemoryMember): Message[] {
  const messages: Message[] = [];
  for (let ready = member.takeReady(); ready !== null; ready = member.takeReady()) {
    messages.push(...ready.messages);
    while (member.unsynced.length > 0) messages.push(...member.persist());
  }
  return messages;
}

/** A leader that knows its first follower's log, so that it replicates optimistically. */
function leaderWith(options: Partial<RaftOptions>): MemoryMember {
  const member = memberWith(options);
  member.step({ kind: "campaign" });
  drain(member);
  send(member, other, { kind: "voteResponse", preVote: true, granted: true });
  drain(member);
  send(member, other, { kind: "voteResponse", preVote: false, granted: true });
  drain(member);
  send(member, other, { kind: "appendResponse", accepted: true, index: 2, hintIndex: 0, hintTerm: 0 });
  drain(member);
  expect(member.raft.status()).toMatchObject({ role: "leader", commitIndex: 2 });
  return member;
}

function appendsTo(messages: readonly Message[], peer: string): MessageOf<"appendRequest">[] {
  return messages.filter(
    (message) => message.kind === "appendRequest" && message.to === peer,
  ) as MessageOf<"appendRequest">[];
}

const payload = (bytes: number): Uint8Array => new Uint8Array(bytes);

describe("limits", () => {
  it("leader rejects a payload above maxProposalBytes together with its whole batch", () => {
    const leader = leaderWith({ maxProposalBytes: 100 });
    expect(leader.raft.propose([payload(1), payload(101)])).toEqual({ accepted: false, reason: "tooLarge" });
    expect(leader.raft.status().lastIndex).toBe(2);
    expect(leader.raft.propose([payload(100)])).toEqual({ accepted: true });
  });

  it("leader rejects proposals above maxUncommittedBytes until an entry is committed", () => {
    const leader = leaderWith({ maxUncommittedBytes: 1000 });
    expect(leader.raft.propose([payload(600)]).accepted).toBe(true);
    expect(leader.raft.propose([payload(600)])).toEqual({ accepted: false, reason: "tooManyInFlight" });
    drain(leader);
    send(leader, other, { kind: "appendResponse", accepted: true, index: 3, hintIndex: 0, hintTerm: 0 });
    expect(leader.raft.propose([payload(600)]).accepted).toBe(true);
    expect(leader.raft.propose([payload(600), payload(600)])).toEqual({ accepted: false, reason: "tooLarge" });
  });

  it("follower batches the forwarded proposals of one step in messages of at most maxAppendBytes", () => {
    const member = memberWith({ maxAppendBytes: 100 });
    send(member, other, { kind: "heartbeatRequest", commitIndex: 1, readRound: 0 });
    drain(member);
    for (const bytes of [40, 60, 1, 200, 3]) member.raft.propose([payload(bytes)]);
    const sizes = drain(member).map((message) =>
      message.kind === "forwardedProposals" ? message.proposals.map(({ length }) => length) : message.kind,
    );
    expect(sizes).toEqual([[40, 60], [1], [200], [3]]);
    member.raft.propose([payload(5)]);
    expect(drain(member)).toMatchObject([{ to: other, proposals: [payload(5)] }]);
  });

  it("leader appends the forwarded proposals of a message that fit its limits", () => {
    const leader = leaderWith({ maxProposalBytes: 100 });
    send(leader, other, { kind: "forwardedProposals", proposals: [payload(1), payload(101), payload(2)] });
    expect(leader.raft.status().lastIndex).toBe(4);
  });

  it("follower rejects forwarding above maxUncommittedBytes until its driver has taken the messages", () => {
    const follower = memberWith({ maxUncommittedBytes: 1000 });
    expect(follower.raft.propose([payload(1)])).toEqual({ accepted: false, reason: "noLeader" });
    send(follower, other, { kind: "heartbeatRequest", commitIndex: 1, readRound: 0 });
    expect(follower.raft.propose([payload(600)]).accepted).toBe(true);
    expect(follower.raft.propose([payload(600)])).toEqual({ accepted: false, reason: "tooManyInFlight" });
    drain(follower);
    expect(follower.raft.propose([payload(600)]).accepted).toBe(true);
  });

  it("leader limits messages to maxAppendBytes, and sends a larger entry alone", () => {
    const leader = leaderWith({ maxAppendBytes: 300 });
    leader.raft.propose([payload(100), payload(100), payload(100), payload(900), payload(1)]);
    const appends = appendsTo(drain(leader), other);
    expect(appends.map(({ entries }) => entries.map((entry) => entry.data.length))).toEqual([
      [100, 100],
      [100],
      [900],
      [1],
    ]);
    for (const { entries } of appends) {
      const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
      expect(entries.length === 1 || bytes <= 300).toBe(true);
    }
  });

  it("leader pauses at maxInflightMessages and resumes with each acknowledgement", () => {
    const leader = leaderWith({ maxInflightMessages: 3, maxAppendBytes: 1 });
    leader.raft.propose(Array.from({ length: 10 }, () => payload(5)));
    expect(appendsTo(drain(leader), other).map(({ previousIndex }) => previousIndex)).toEqual([2, 3, 4]);
    send(leader, other, { kind: "appendResponse", accepted: true, index: 4, hintIndex: 0, hintTerm: 0 });
    expect(appendsTo(drain(leader), other).map(({ previousIndex }) => previousIndex)).toEqual([5, 6]);
  });

  it("leader pauses at maxInflightBytes", () => {
    const leader = leaderWith({ maxInflightBytes: 250, maxAppendBytes: 1 });
    leader.raft.propose(Array.from({ length: 10 }, () => payload(100)));
    expect(appendsTo(drain(leader), other)).toHaveLength(3);
  });

  it("leader detects a lost window by the heartbeat response", () => {
    const leader = leaderWith({ maxInflightMessages: 2, maxAppendBytes: 1 });
    leader.raft.propose([payload(1), payload(1), payload(1)]);
    expect(appendsTo(drain(leader), other)).toHaveLength(2);
    send(leader, other, { kind: "heartbeatResponse", readRound: 0 });
    const [question] = appendsTo(drain(leader), other);
    expect(question).toMatchObject({ previousIndex: 4, entries: [] });
    send(leader, other, { kind: "appendResponse", accepted: false, index: 4, hintIndex: 2, hintTerm: 2 });
    expect(appendsTo(drain(leader), other)[0]).toMatchObject({ previousIndex: 2 });
  });

  it("leader probes for lost appends once per heartbeat, however many read rounds are acknowledged", () => {
    const leader = leaderWith({ heartbeatTicks: 3 });
    leader.raft.propose([payload(1)]);
    drain(leader);
    const asked: number[] = [];
    for (let round = 1; round <= 9; round++) {
      leader.raft.requestRead(round);
      drain(leader);
      send(leader, other, { kind: "heartbeatResponse", readRound: round });
      asked.push(appendsTo(drain(leader), other).length);
      if (round % 3 === 0) for (let tick = 0; tick < 3; tick++) leader.step({ kind: "tick" });
    }
    expect(asked).toEqual([1, 0, 0, 1, 0, 0, 1, 0, 0]);
  });

  it("committed entries are delivered in batches of maxCommittedBytes", () => {
    const single = memberWith({ maxCommittedBytes: 300 }, [self]);
    single.step({ kind: "campaign" });
    drain(single);
    single.raft.propose(Array.from({ length: 5 }, () => payload(100)));
    const portions: number[] = [];
    for (let ready = single.takeReady(); ready !== null; ready = single.takeReady()) {
      if (ready.committed.length > 0) portions.push(ready.committed.length);
      while (single.unsynced.length > 0) single.persist();
    }
    expect(portions).toEqual([2, 2, 1]);
  });

  it("leader fails a read beyond maxPendingReads, and does not answer a follower's", () => {
    const leader = leaderWith({ maxPendingReads: 2 });
    for (const context of [1, 2, 3]) leader.raft.requestRead(context);
    send(leader, other, { kind: "readIndexRequest", context: 4 });
    expect(leader.takeReady()?.failedReads).toEqual([3]);
    send(leader, other, { kind: "heartbeatResponse", readRound: 1 });
    const ready = leader.takeReady();
    expect(ready?.reads.map(({ context }) => context)).toEqual([1, 2]);
    expect(ready?.messages.filter(({ kind }) => kind === "readIndexResponse")).toEqual([]);
  });

  it("follower fails forwarded reads beyond the limit, unanswered for an election timeout, or orphaned", () => {
    const follower = memberWith({ maxPendingReads: 1, electionTimeoutTicks: 20, heartbeatTicks: 3 });
    const followLeader = (): void => send(follower, other, { kind: "heartbeatRequest", commitIndex: 1, readRound: 0 });
    followLeader();
    follower.raft.requestRead(1);
    follower.raft.requestRead(2);
    expect(follower.takeReady()?.failedReads).toEqual([2]);
    for (let tick = 0; tick < 20; tick += 1) {
      follower.step({ kind: "tick" });
      followLeader();
    }
    expect(follower.takeReady()?.failedReads).toEqual([1]);
    follower.raft.requestRead(3);
    follower.step({ kind: "peerDisconnected", peer: other });
    expect(follower.takeReady()?.failedReads).toEqual([3]);
  });

  it("leader does not promote an unknown member, nor a learner that lags by more than maxLearnerLagEntries", () => {
    const leader = leaderWith({ maxLearnerLagEntries: 5 });
    const fourth = memberId(4);
    const wanted = { target: { voters: [...voters, fourth], learners: [] }, context: payload(0) };
    const rejected = { accepted: false, reason: "learnerNotReady", lagging: [fourth] };
    expect(leader.raft.proposeConfiguration(wanted)).toEqual(rejected);
    leader.raft.proposeConfiguration({ target: { voters, learners: [fourth] }, context: payload(0) });
    drain(leader);
    send(leader, other, { kind: "appendResponse", accepted: true, index: 3, hintIndex: 0, hintTerm: 0 });
    leader.raft.propose(Array.from({ length: 6 }, () => payload(1)));
    drain(leader);
    send(leader, other, { kind: "appendResponse", accepted: true, index: 9, hintIndex: 0, hintTerm: 0 });
    send(leader, fourth, { kind: "appendResponse", accepted: true, index: 3, hintIndex: 0, hintTerm: 0 });
    expect(leader.raft.proposeConfiguration(wanted)).toEqual(rejected);
    send(leader, fourth, { kind: "appendResponse", accepted: true, index: 4, hintIndex: 0, hintTerm: 0 });
    expect(leader.raft.proposeConfiguration(wanted)).toMatchObject({ accepted: true, index: 10 });
    expect(leader.raft.proposeConfiguration(wanted)).toMatchObject({ accepted: false, reason: "changeInProgress" });
  });

  it("invalid options are rejected with the reason", () => {
    expect(() => memberWith({ heartbeatTicks: 100, electionTimeoutTicks: 100 })).toThrow(
      "electionTimeoutTicks (100) exceeds heartbeatTicks (100)",
    );
    expect(() => memberWith({ maxInflightMessages: 0 })).toThrow("maxInflightMessages is a whole number above 0");
    expect(() => memberWith({ id: "7" })).toThrow('member id "7" is 16 lowercase hex digits');
  });
});
