/** A member whose disk was restored from an older copy detects it and takes no further part in consensus. */
import { describe, expect, it } from "vitest";
import { MemoryMember, memberId } from "../../../test/raft-core/memory-member.ts";
import { createRandom } from "../../base/random.ts";
import { bootstrapState } from "./bootstrap.ts";
import type { RaftOptions } from "./options.ts";

const ids = [1, 2, 3].map(memberId);
const optionsOf = (n: number): RaftOptions => ({
  id: memberId(n),
  random: createRandom(n),
  electionTimeoutTicks: 10,
  heartbeatTicks: 3,
});

function cluster(): MemoryMember[] {
  return [1, 2, 3].map((n) => new MemoryMember(optionsOf(n), bootstrapState(ids)));
}

/** Runs until nothing is left to do; messages to members in `deaf` are lost. */
function settle(members: readonly MemoryMember[], deaf: readonly MemoryMember[] = []): void {
  for (let isQuiet = false; !isQuiet; ) {
    isQuiet = true;
    for (const member of members) {
      const messages = [...(member.takeReady()?.messages ?? [])];
      while (member.unsynced.length > 0) messages.push(...member.persist());
      for (const message of messages) {
        isQuiet = false;
        const to = members.find(({ id }) => id === message.to)!;
        if (!deaf.includes(to)) to.step({ kind: "message", message });
      }
    }
  }
}

function propose(leader: MemoryMember, count: number): void {
  for (let i = 0; i < count; i++) leader.raft.propose([Buffer.from(`entry ${i}`)]);
}

function tick(member: MemoryMember, times: number): void {
  for (let i = 0; i < times; i++) member.step({ kind: "tick" });
}

/** The first member leads, and all members have 30 client entries. */
function clusterWithEntries(): [MemoryMember, MemoryMember, MemoryMember] {
  const members = cluster() as [MemoryMember, MemoryMember, MemoryMember];
  members[0].step({ kind: "campaign" });
  settle(members);
  propose(members[0], 30);
  settle(members);
  return members;
}

describe("a follower restored from an older copy", () => {
  it.each([
    ["idle", 0],
    ["under writes", 5],
  ])("R20: stops when the leader's heartbeat shows what it had acknowledged (%s)", (_when, more) => {
    const members = clusterWithEntries();
    const [leader, , follower] = members;
    const old = { ...follower.disk, entries: [...follower.disk.entries] };
    propose(leader, 200);
    settle(members);
    const restored = new MemoryMember(optionsOf(3), old);
    const now = [leader, members[1]!, restored];
    leader.step({ kind: "peerDisconnected", peer: restored.id });
    propose(leader, more);
    tick(leader, 3);
    expect(() => settle(now)).toThrow(
      expect.objectContaining({
        code: "raft/lost-entries",
        message: expect.stringMatching(/acknowledged entries up to \d+ .* its log ends at entry 32\./),
      }),
    );
  });

  it("R20: keeps running after a restart with everything that it had synced", () => {
    const members = clusterWithEntries();
    const [leader, , follower] = members;
    propose(leader, 5);
    settle(members, [follower]);
    follower.restart(optionsOf(3));
    leader.step({ kind: "peerDisconnected", peer: follower.id });
    tick(leader, 6);
    settle(members);
    expect(follower.raft.status().lastIndex).toBe(leader.raft.status().lastIndex);
  });
});
