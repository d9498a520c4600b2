/** Every queue and batch of the core has a limit; each is reached here, and what then happens is the documented thing. */
import { describe, expect, it } from "vitest";
import { MemoryMember, memberId } from "../../../test/raft-core/memory-member.ts";
import { createRandom } from "../../base/random.ts";
import { foundingState } from "./bootstrap.ts";
import { entryBytes } from "./entry.ts";
import type { Message, MessageBody, MessageOf } from "./message.ts";
import type { RaftOptions } from "./options.ts";

const [self, other, third] = [memberId(1), memberId(2), memberId(3)];
const voters = [self, other, third];

function memberWith(options: Partial<RaftOptions>, founders: readonly string[] = voters): MemoryMember {
  return new MemoryMember({ id: self, random: createRandom(1), ...options }, foundingState(founders));
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

/** A leader whose first follower is known to hold its log, so that it replicates freely. */
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
  it("leader refuses a payload above maxProposalBytes, and takes none of its batch", () => {
    const leader = leaderWith({ maxProposalBytes: 100 });
    expect(leader.raft.propose([payload(1), payload(101)])).toEqual({ accepted: false, reason: "tooLarge" });
    expect(leader.raft.status().lastIndex).toBe(2);
    expect(leader.raft.propose([payload(100)])).toEqual({ accepted: true });
  });

  it("leader refuses proposals above maxUncommittedBytes until something is committed", () => {
    const leader = leaderWith({ maxUncommittedBytes: 1000 });
    expect(leader.raft.propose([payload(600)]).accepted).toBe(true);
    expect(leader.raft.propose([payload(600)])).toEqual({ accepted: false, reason: "tooManyInFlight" });
    drain(leader);
    send(leader, other, { kind: "appendResponse", accepted: true, index: 3, hintIndex: 0, hintTerm: 0 });
    expect(leader.raft.propose([payload(600)]).accepted).toBe(true);
    expect(leader.raft.propose([payload(600), payload(600)])).toEqual({ accepted: false, reason: "tooLarge" });
  });

  it("follower forwards the proposals of one turn together, in messages of at most maxAppendBytes", () => {
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

  it("leader takes those of a message of forwarded proposals that there is room for", () => {
    const leader = leaderWith({ maxProposalBytes: 100 });
    send(leader, other, { kind: "forwardedProposals", proposals: [payload(1), payload(101), payload(2)] });
    expect(leader.raft.status().lastIndex).toBe(4);
  });

  it("follower refuses to forward above maxUncommittedBytes until its driver has taken them", () => {
    const follower = memberWith({ maxUncommittedBytes: 1000 });
    expect(follower.raft.propose([payload(1)])).toEqual({ accepted: false, reason: "noLeader" });
    send(follower, other, { kind: "heartbeatRequest", commitIndex: 1, readRound: 0 });
    expect(follower.raft.propose([payload(600)]).accepted).toBe(true);
    expect(follower.raft.propose([payload(600)])).toEqual({ accepted: false, reason: "tooManyInFlight" });
    drain(follower);
    expect(follower.raft.propose([payload(600)]).accepted).toBe(true);
  });

  it("leader keeps messages under maxAppendBytes, and sends a larger entry alone", () => {
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

  it("leader stops at maxInflightMessages and goes on with each acknowledgement", () => {
    const leader = leaderWith({ maxInflightMessages: 3, maxAppendBytes: 1 });
    leader.raft.propose(Array.from({ length: 10 }, () => payload(5)));
    expect(appendsTo(drain(leader), other).map(({ previousIndex }) => previousIndex)).toEqual([2, 3, 4]);
    send(leader, other, { kind: "appendResponse", accepted: true, index: 4, hintIndex: 0, hintTerm: 0 });
    expect(appendsTo(drain(leader), other).map(({ previousIndex }) => previousIndex)).toEqual([5, 6]);
  });

  it("leader stops at maxInflightBytes", () => {
    const leader = leaderWith({ maxInflightBytes: 250, maxAppendBytes: 1 });
    leader.raft.propose(Array.from({ length: 10 }, () => payload(100)));
    expect(appendsTo(drain(leader), other)).toHaveLength(3);
  });

  it("leader whose whole window was lost finds out by the heartbeat's answer", () => {
    const leader = leaderWith({ maxInflightMessages: 2, maxAppendBytes: 1 });
    leader.raft.propose([payload(1), payload(1), payload(1)]);
    expect(appendsTo(drain(leader), other)).toHaveLength(2);
    send(leader, other, { kind: "heartbeatResponse", readRound: 0 });
    const [question] = appendsTo(drain(leader), other);
    expect(question).toMatchObject({ previousIndex: 4, entries: [] });
    send(leader, other, { kind: "appendResponse", accepted: false, index: 4, hintIndex: 2, hintTerm: 2 });
    expect(appendsTo(drain(leader), other)[0]).toMatchObject({ previousIndex: 2 });
  });

  it("leader asks for what may be lost once for each heartbeat, however many rounds of reads are answered", () => {
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

  it("committed entries come in portions of maxCommittedBytes", () => {
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

  it("leader fails a read beyond maxPendingReads, and leaves a follower's without an answer", () => {
    const leader = leaderWith({ maxPendingReads: 2 });
    for (const context of [1, 2, 3]) leader.raft.requestRead(context);
    send(leader, other, { kind: "readIndexRequest", context: 4 });
    expect(leader.takeReady()?.failedReads).toEqual([3]);
    send(leader, other, { kind: "heartbeatResponse", readRound: 1 });
    const ready = leader.takeReady();
    expect(ready?.reads.map(({ context }) => context)).toEqual([1, 2]);
    expect(ready?.messages.filter(({ kind }) => kind === "readIndexResponse")).toEqual([]);
  });

  it("follower fails forwarded reads that are too many, unanswered for an election timeout, or orphaned", () => {
    const follower = memberWith({ maxPendingReads: 1, electionTimeoutTicks: 20, heartbeatTicks: 3 });
    const hearLeader = (): void => send(follower, other, { kind: "heartbeatRequest", commitIndex: 1, readRound: 0 });
    hearLeader();
    follower.raft.requestRead(1);
    follower.raft.requestRead(2);
    expect(follower.takeReady()?.failedReads).toEqual([2]);
    for (let tick = 0; tick < 20; tick += 1) {
      follower.step({ kind: "tick" });
      hearLeader();
    }
    expect(follower.takeReady()?.failedReads).toEqual([1]);
    follower.raft.requestRead(3);
    follower.step({ kind: "peerDisconnected", peer: other });
    expect(follower.takeReady()?.failedReads).toEqual([3]);
  });

  it("leader refuses to make a voter of a stranger, and of a learner that lags by more than maxLearnerLagEntries", () => {
    const leader = leaderWith({ maxLearnerLagEntries: 5 });
    const fourth = memberId(4);
    const wanted = { target: { voters: [...voters, fourth], learners: [] }, context: payload(0) };
    const refused = { accepted: false, reason: "learnerNotReady", lagging: [fourth] };
    expect(leader.raft.proposeConfiguration(wanted)).toEqual(refused);
    leader.raft.proposeConfiguration({ target: { voters, learners: [fourth] }, context: payload(0) });
    drain(leader);
    send(leader, other, { kind: "appendResponse", accepted: true, index: 3, hintIndex: 0, hintTerm: 0 });
    leader.raft.propose(Array.from({ length: 6 }, () => payload(1)));
    drain(leader);
    send(leader, other, { kind: "appendResponse", accepted: true, index: 9, hintIndex: 0, hintTerm: 0 });
    send(leader, fourth, { kind: "appendResponse", accepted: true, index: 3, hintIndex: 0, hintTerm: 0 });
    expect(leader.raft.proposeConfiguration(wanted)).toEqual(refused);
    send(leader, fourth, { kind: "appendResponse", accepted: true, index: 4, hintIndex: 0, hintTerm: 0 });
    expect(leader.raft.proposeConfiguration(wanted)).toMatchObject({ accepted: true, index: 10 });
    expect(leader.raft.proposeConfiguration(wanted)).toMatchObject({ accepted: false, reason: "changeInProgress" });
  });

  it("options that cannot work are refused with what is wrong", () => {
    expect(() => memberWith({ heartbeatTicks: 100, electionTimeoutTicks: 100 })).toThrow(
      "electionTimeoutTicks (100) exceeds heartbeatTicks (100)",
    );
    expect(() => memberWith({ maxInflightMessages: 0 })).toThrow("maxInflightMessages is a whole number above 0");
    expect(() => memberWith({ id: "7" })).toThrow('member id "7" is 16 lower-case hex digits');
  });
});
