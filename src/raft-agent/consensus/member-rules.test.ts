import { describe, expect, it } from "vitest";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { addFault, type MemberFacts, strictAddFault } from "./member-rules.ts";

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

describe("addFault", () => {
  it("lets a learner take the peer URL of a voter that is not connected, and nobody else's", () => {
    expect(addFault(facts({ learner: false, connected: false }), [url], true)).toBeNull();
    expect(addFault(facts({ learner: false, connected: true }), [url], true)).toBe(EtcdErrors.peerUrlExists);
    expect(addFault(facts({ learner: true, connected: false }), [url], true)).toBe(EtcdErrors.peerUrlExists);
    expect(addFault(facts({ learner: false, connected: false, self: true }), [url], true)).toBe(
      EtcdErrors.peerUrlExists,
    );
  });

  it("lets no voter take any member's peer URL, as etcd does not", () => {
    expect(addFault(facts({ learner: false, connected: false }), [url])).toBe(EtcdErrors.peerUrlExists);
    expect(addFault(facts({ learner: false, connected: false }), ["http://127.77.17.3:2380"])).toBeNull();
  });
});

describe("strictAddFault", () => {
  const members = ["a", "b", "c"].map((id) => ({ id, name: id, peerUrls: [], clientUrls: [], learner: false }));
  const configuration = { voters: ["a", "b", "c"], votersOutgoing: [], learners: [] };
  const withConnected = (...connected: string[]): MemberFacts => ({
    self: "a",
    members,
    configuration,
    progress: [],
    connectedMs: (id) => (connected.includes(id) ? 5_000 : null),
  });

  it("A13: wants a majority of the voters connected for learners, too, and nothing of unstarted members for them", () => {
    for (const asLearner of [true, false]) {
      expect(strictAddFault(withConnected("b", "c"), asLearner)).toBeNull();
      expect(strictAddFault(withConnected("b"), asLearner)).toBeNull();
      expect(strictAddFault(withConnected(), asLearner)).toBe(EtcdErrors.unhealthy);
    }
    const unstarted = members.map((member) => ({ ...member, name: member.id === "a" ? "a" : "" }));
    const facts = { ...withConnected("b", "c"), members: unstarted };
    expect(strictAddFault(facts, true)).toBeNull();
    expect(strictAddFault(facts)).toBe(EtcdErrors.notEnoughStarted);
  });
});
