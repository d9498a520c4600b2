/**
 * What each role does with each message of its own term, of a later one and of an earlier one. The tables are typed as
 * full records: a role or a message without an expectation does not compile.
 */
import { describe, expect, it } from "vitest";
import { memberId } from "../../../test/raft-core/memory-member.ts";
import { createRandom } from "../../base/random.ts";
import { bootstrapState } from "./bootstrap.ts";
import { EntryKind } from "./entry.ts";
import type { Message, MessageBody, MessageKind } from "./message.ts";
import { Raft } from "./raft.ts";
import type { Ready, Role } from "./ready.ts";

const self = memberId(1);
const other = memberId(2);
const third = memberId(3);

/** A reaction in short: the role afterwards, `+n` when the term rose, and the responses. */
type Reaction = string;

function drain(raft: Raft): Ready[] {
  const taken: Ready[] = [];
  for (let ready = raft.takeReady(); ready !== null; ready = raft.takeReady()) {
    taken.push(ready);
    if (ready.persistTicket !== null) raft.step({ kind: "persisted", ticket: ready.persistTicket });
  }
  return taken;
}

function send(raft: Raft, from: string, term: number, body: MessageBody): void {
  raft.step({ kind: "message", message: { from, to: self, term, ...body } as Message });
}

/** One of three members, in the given role: in term 2, or 1 before any election. */
function memberIn(role: Role): Raft {
  const random = createRandom(1);
  const raft = new Raft(
    { id: self, random, electionTimeoutTicks: 10, heartbeatTicks: 3 },
    bootstrapState([self, other, third]),
  );
  if (role === "follower") {
    send(raft, other, 2, { kind: "heartbeatRequest", commitIndex: 1, readRound: 0 });
    drain(raft);
    return raft;
  }
  raft.step({ kind: "campaign" });
  drain(raft);
  if (role === "preCandidate") return raft;
  send(raft, other, 1, { kind: "voteResponse", preVote: true, granted: true });
  drain(raft);
  if (role === "candidate") return raft;
  send(raft, other, 2, { kind: "voteResponse", preVote: false, granted: true });
  drain(raft);
  return raft;
}

const bodies: Readonly<Record<MessageKind, MessageBody>> = {
  voteRequest: { kind: "voteRequest", preVote: false, lastLogIndex: 9, lastLogTerm: 2, leadershipTransfer: false },
  voteResponse: { kind: "voteResponse", preVote: false, granted: true },
  appendRequest: {
    kind: "appendRequest",
    previousIndex: 1,
    previousTerm: 1,
    entries: [{ term: 1, index: 2, kind: EntryKind.normal, data: new Uint8Array(1) }],
    commitIndex: 2,
    needsAck: true,
  },
  appendResponse: { kind: "appendResponse", accepted: true, index: 2, hintIndex: 0, hintTerm: 0 },
  heartbeatRequest: { kind: "heartbeatRequest", commitIndex: 1, readRound: 5 },
  heartbeatResponse: { kind: "heartbeatResponse", readRound: 0 },
  snapshotRequest: {
    kind: "snapshotRequest",
    snapshot: { index: 7, term: 1, configuration: { voters: [self, other, third], votersOutgoing: [], learners: [] } },
  },
  timeoutNowRequest: { kind: "timeoutNowRequest" },
  forwardedProposals: { kind: "forwardedProposals", proposals: [new Uint8Array(3)] },
  readIndexRequest: { kind: "readIndexRequest", context: 4 },
  readIndexResponse: { kind: "readIndexResponse", context: 4, index: 1 },
};

function describeAnswer(message: Message): string {
  if (message.kind === "voteResponse") return message.granted ? "grants" : "rejects";
  if (message.kind === "appendResponse") return message.accepted ? `acknowledges ${message.index}` : "rejects";
  if (message.kind === "voteRequest") return message.preVote ? "requests pre-votes" : "requests votes";
  if (message.kind === "appendRequest") return `appends ${message.entries.length}, commit ${message.commitIndex}`;
  return message.kind;
}

function reactionOf(role: Role, kind: MessageKind, termDifference: number): Reaction {
  const raft = memberIn(role);
  const before = raft.status();
  // A leader that requests votes has lost its leadership; the table is about another member that requests them.
  const sender = kind === "voteRequest" ? third : other;
  try {
    send(raft, sender, before.term + termDifference, bodies[kind]);
  } catch (error) {
    return `stops: ${/\((.*)\)/.exec(String(error))?.[1]}`;
  }
  const messages = drain(raft).flatMap((ready) => [...ready.messages, ...ready.messagesAfterPersist]);
  const after = raft.status();
  const risen = after.term === before.term ? "" : ` +${after.term - before.term}`;
  const leader = after.leader === other && before.leader !== other ? " of the sender" : "";
  const answers = [...new Set(messages.map(describeAnswer))];
  return [`${after.role}${risen}${leader}`, ...answers].join(", ");
}

const sameTerm: Readonly<Record<Role, Readonly<Record<MessageKind, Reaction>>>> = {
  follower: {
    voteRequest: "follower",
    voteResponse: "follower",
    appendRequest: "follower, acknowledges 2",
    appendResponse: "follower",
    heartbeatRequest: "follower, heartbeatResponse",
    heartbeatResponse: "follower",
    snapshotRequest: "follower, acknowledges 7",
    timeoutNowRequest: "candidate +1, requests votes",
    forwardedProposals: "follower, forwardedProposals",
    readIndexRequest: "follower",
    readIndexResponse: "follower",
  },
  preCandidate: {
    voteRequest: "preCandidate, grants",
    voteResponse: "preCandidate",
    appendRequest: "follower of the sender, acknowledges 2",
    appendResponse: "preCandidate",
    heartbeatRequest: "follower of the sender, heartbeatResponse",
    heartbeatResponse: "preCandidate",
    snapshotRequest: "follower of the sender, acknowledges 7",
    timeoutNowRequest: "candidate +1, requests votes",
    forwardedProposals: "preCandidate",
    readIndexRequest: "preCandidate",
    readIndexResponse: "preCandidate",
  },
  candidate: {
    voteRequest: "candidate, rejects",
    voteResponse: "leader, appends 1, commit 1",
    appendRequest: "follower of the sender, acknowledges 2",
    appendResponse: "candidate",
    heartbeatRequest: "follower of the sender, heartbeatResponse",
    heartbeatResponse: "candidate",
    snapshotRequest: "follower of the sender, acknowledges 7",
    timeoutNowRequest: "candidate",
    forwardedProposals: "candidate",
    readIndexRequest: "candidate",
    readIndexResponse: "candidate",
  },
  leader: {
    voteRequest: "leader",
    voteResponse: "leader",
    appendRequest: "stops: election safety, Raft §5.2",
    appendResponse: "leader, appends 0, commit 2",
    heartbeatRequest: "stops: election safety, Raft §5.2",
    heartbeatResponse: "leader, appends 1, commit 1",
    snapshotRequest: "stops: election safety, Raft §5.2",
    timeoutNowRequest: "leader",
    forwardedProposals: "leader",
    readIndexRequest: "leader",
    readIndexResponse: "leader",
  },
};

/**
 * Every role becomes a follower at a later term, except that a vote request is not even considered while a leader is
 * alive.
 */
const laterTerm: Readonly<Record<MessageKind, Readonly<Record<"inLease" | "leaderless", Reaction>>>> = {
  voteRequest: { inLease: "unchanged", leaderless: "follower +1, grants" },
  voteResponse: { inLease: "follower +1", leaderless: "follower +1" },
  appendRequest: {
    inLease: "follower +1 of the sender, acknowledges 2",
    leaderless: "follower +1 of the sender, acknowledges 2",
  },
  appendResponse: { inLease: "follower +1", leaderless: "follower +1" },
  heartbeatRequest: {
    inLease: "follower +1 of the sender, heartbeatResponse",
    leaderless: "follower +1 of the sender, heartbeatResponse",
  },
  heartbeatResponse: { inLease: "follower +1", leaderless: "follower +1" },
  snapshotRequest: {
    inLease: "follower +1 of the sender, acknowledges 7",
    leaderless: "follower +1 of the sender, acknowledges 7",
  },
  timeoutNowRequest: { inLease: "candidate +2, requests votes", leaderless: "candidate +2, requests votes" },
  forwardedProposals: { inLease: "follower +1", leaderless: "follower +1" },
  readIndexRequest: { inLease: "follower +1", leaderless: "follower +1" },
  readIndexResponse: { inLease: "follower +1", leaderless: "follower +1" },
};

/**
 * A message of an earlier term is ignored in any role; a sender that believes it is leader or candidate is sent the
 * current term. Proposals belong to no term: a follower forwards them.
 */
const earlierTerm: Readonly<Record<MessageKind, string | Partial<Record<Role, string>>>> = {
  voteRequest: ", rejects",
  voteResponse: "",
  appendRequest: ", rejects",
  appendResponse: "",
  heartbeatRequest: ", rejects",
  heartbeatResponse: "",
  snapshotRequest: ", rejects",
  timeoutNowRequest: "",
  forwardedProposals: { follower: ", forwardedProposals" },
  readIndexRequest: "",
  readIndexResponse: "",
};

const roles = Object.keys(sameTerm) as Role[];
const kinds = Object.keys(bodies) as MessageKind[];

describe("role table", () => {
  it("follower votes for the leader it follows: a leader that campaigns has lost its leadership", () => {
    const raft = memberIn("follower");
    send(raft, other, 3, bodies.voteRequest);
    expect(drain(raft).flatMap((ready) => ready.messagesAfterPersist.map(describeAnswer))).toEqual(["grants"]);
  });

  for (const role of roles) {
    it.each(kinds)(`${role} handles a %s of its own term as in the table`, (kind) => {
      expect(reactionOf(role, kind, 0)).toBe(sameTerm[role][kind]);
    });

    it.each(kinds)(`${role} handles a %s of a later term as in the table`, (kind) => {
      const expectedAs = role === "leader" ? "inLease" : "leaderless";
      const expected = laterTerm[kind][role === "follower" ? "inLease" : expectedAs];
      // A follower that already follows the sender keeps its leader.
      const reaction = reactionOf(role, kind, 1);
      const unchanged = expected === "unchanged" ? role : expected;
      expect(reaction).toBe(role === "follower" ? unchanged.replace(" of the sender", "") : unchanged);
    });

    it.each(kinds)(`${role} ignores a %s of an earlier term`, (kind) => {
      const expected = earlierTerm[kind];
      const answer = typeof expected === "string" ? expected : (expected[role] ?? "");
      expect(reactionOf(role, kind, -1)).toBe(`${role}${answer}`);
    });
  }
});
