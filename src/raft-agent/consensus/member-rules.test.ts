import { describe, expect, it } from "vitest";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { checkMemberAdd, checkStrictMemberAdd, type MemberFacts } from "./member-rules.ts";

const url = "http://127.77.17.2:2380";

function facts(member: {
  readonly learner: boolean;
  readonly connected: boolean;
  readonly self?: boolean;
}): MemberFacts {
  return {
    self: member.self ? "b" : "a",
    members: [{ id: "b", name: "m2", peerUrls: [url], clientUrls: [], learner: member.learner }],
    configuration: { voters: ["a", "b", "c"], votersOutgoing: [], learners: [] },
    progress: [],
    connectedMs: () => (member.connected ? 5000 : null),
  };
}

describe("checkMemberAdd", () => {
  it("lets a learner take the peer URL of a disconnected voter only", () => {
    expect(checkMemberAdd(facts({ learner: false, connected: false }), [url], true)).toBeNull();
    expect(checkMemberAdd(facts({ learner: false, connected: true }), [url], true)).toBe(EtcdErrors.peerUrlExists);
    expect(checkMemberAdd(facts({ learner: true, connected: false }), [url], true)).toBe(EtcdErrors.peerUrlExists);
    expect(checkMemberAdd(facts({ learner: false, connected: false, self: true }), [url], true)).toBe(
      EtcdErrors.peerUrlExists,
    );
  });

  it("does not let a voter take any member's peer URL, as in etcd", () => {
    expect(checkMemberAdd(facts({ learner: false, connected: false }), [url])).toBe(EtcdErrors.peerUrlExists);
    expect(checkMemberAdd(facts({ learner: false, connected: false }), ["http://127.77.17.3:2380"])).toBeNull();
  });
});

describe("checkStrictMemberAdd", () => {
  const members = ["a", "b", "c"].map((id) => ({ id, name: id, peerUrls: [], clientUrls: [], learner: false }));
  const configuration = { voters: ["a", "b", "c"], votersOutgoing: [], learners: [] };
  const withConnected = (...connected: string[]): MemberFacts => ({
    self: "a",
    members,
    configuration,
    progress: [],
    connectedMs: (id) => (connected.includes(id) ? 5_000 : null),
  });

  it("A13: requires a majority of connected voters for learners, too, but no started members", () => {
    for (const asLearner of [true, false]) {
      expect(checkStrictMemberAdd(withConnected("b", "c"), asLearner)).toBeNull();
      expect(checkStrictMemberAdd(withConnected("b"), asLearner)).toBeNull();
      expect(checkStrictMemberAdd(withConnected(), asLearner)).toBe(EtcdErrors.unhealthy);
    }
    const unstarted = members.map((member) => ({ ...member, name: member.id === "a" ? "a" : "" }));
    const facts = { ...withConnected("b", "c"), members: unstarted };
    expect(checkStrictMemberAdd(facts, true)).toBeNull();
    expect(checkStrictMemberAdd(facts)).toBe(EtcdErrors.notEnoughStarted);
  });
});
