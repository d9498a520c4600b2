import { describe, expect, it } from "vitest";
import type { ListedMember } from "../etcd-client/cluster-client.ts";
import type { ProbeResult } from "./member-probe.ts";
import { membershipFrom } from "./observe-membership.ts";

function listed(id: string, changes: Partial<ListedMember> = {}): ListedMember {
  return { id, name: `name-${id}`, peerUrls: [], clientUrls: [], learner: false, ...changes };
}

function answer(id: string, leader: string | null, changes: Partial<ProbeResult> = {}): ProbeResult {
  return {
    endpoint: `http://${id}`,
    status: {
      memberId: id,
      leader,
      revision: 1,
      raftIndex: 10,
      raftAppliedIndex: 10,
      raftTerm: 2,
      dbSizeBytes: 4096,
      version: "3.6.0",
      errors: [],
    },
    listing: { clusterId: "c", members: [listed("a"), listed("b"), listed("c")] },
    configuration: null,
    serializableRead: true,
    linearizableRead: true,
    readLatencyMs: 1,
    refused: null,
    ...changes,
  };
}

function withStatus(of: ProbeResult, changes: Partial<ProbeResult["status"]>): ProbeResult {
  return { ...of, status: { ...of.status, ...changes } };
}

describe("the membership", () => {
  it("is unknown if no member answers, or none lists the members", () => {
    expect(membershipFrom([])).toBeNull();
    expect(membershipFrom([answer("a", "b", { listing: { clusterId: "", members: [] } })])).toBeNull();
  });

  it("is what the leader says, even when another's log looks longer", () => {
    const behind = answer("b", "a", { listing: { clusterId: "c", members: [listed("b")] } });
    const seen = membershipFrom([withStatus(behind, { raftAppliedIndex: 99 }), answer("a", "a")]);
    expect(seen?.members.map((member) => member.id)).toEqual(["a", "b", "c"]);
  });

  it("is what the longest log says when no leader answers", () => {
    const fresh = answer("b", null, { listing: { clusterId: "c", members: [listed("b"), listed("c")] } });
    const seen = membershipFrom([answer("a", null), withStatus(fresh, { raftAppliedIndex: 11 })]);
    expect(seen?.members.map((member) => member.id)).toEqual(["b", "c"]);
  });

  it("has a leader if the leader says so, or if a member reads through one", () => {
    const cut = { linearizableRead: false };
    expect(membershipFrom([answer("a", "a", cut)])?.hasLeader).toBe(true);
    expect(membershipFrom([answer("a", "b")])?.hasLeader).toBe(true);
    expect(membershipFrom([answer("a", "b", cut)])?.hasLeader).toBe(false);
    expect(membershipFrom([answer("a", null, cut)])?.hasLeader).toBe(false);
  });

  it("has one leader, that of the highest term, when an old one has not noticed yet", () => {
    const old = withStatus(answer("a", "a", { linearizableRead: false }), { raftTerm: 1 });
    const seen = membershipFrom([old, answer("b", "b")]);
    expect(seen?.members.filter((member) => member.leader).map((member) => member.id)).toEqual(["b"]);
  });

  it.each([
    ["a voter that reads both ways", false, true, true, true],
    ["a voter without a majority", false, true, false, false],
    ["a voter whose store does not answer", false, false, false, false],
    ["a learner, which serves serializable reads only", true, true, false, true],
    ["a learner whose store does not answer", true, false, false, false],
  ])("judges the health of %s", (_title, learner, serializableRead, linearizableRead, healthy) => {
    const members = [listed("a", { learner })];
    const listing = { clusterId: "c", members };
    const seen = membershipFrom([answer("a", null, { listing, serializableRead, linearizableRead })]);
    expect(seen?.members[0]?.healthy).toBe(healthy);
  });

  it("shows members that do not answer without figures, and voters on their way out of a joint change", () => {
    const configuration = {
      voters: ["a", "b", "c"],
      votersOutgoing: ["a", "b", "d"],
      learners: [],
      index: 9,
      heard: [],
    };
    const seen = membershipFrom([answer("a", "a", { configuration })]);
    expect(seen).toMatchObject({ votersOutgoing: ["a", "b", "d"], configurationIndex: 9 });
    expect(seen?.members[1]).toMatchObject({ healthy: false, leader: false, raftIndex: null, dbSizeBytes: null });
  });

  it("tells which of the members that do not answer haplan answer the leader", () => {
    const configuration = { voters: ["a", "b", "c"], votersOutgoing: [], learners: [], index: 9, heard: ["b"] };
    const heard = (asked: string): readonly boolean[] =>
      membershipFrom([answer(asked, "a", { configuration })])!.members.map(
        ({ heardByLeader = false }) => heardByLeader,
      );
    expect(heard("a")).toEqual([false, true, false]);
    expect(heard("c")).toEqual([false, false, false]);
  });
});
