import { describe, expect, it } from "vitest";
import type { ClusterStatus, MemberStatus } from "../views/status-view.ts";
import { possibleFailures } from "./possible-failures.ts";

function member(name: string, change: Partial<MemberStatus> = {}): MemberStatus {
  return {
    name,
    zone: null,
    version: "3.6.1",
    lag: 0,
    alarms: [],
    id: name,
    role: name === "m1" ? "leader" : "follower",
    clientUrl: null,
    peerUrl: null,
    pid: null,
    unreachable: null,
    raftTerm: 2,
    raftIndex: 10,
    dbSizeBytes: 1,
    readLatencyMs: 1,
    freeBytes: null,
    healthy: true,
    ...change,
  };
}

function status(members: readonly MemberStatus[], loadBalancer: ClusterStatus["loadBalancer"] = null): ClusterStatus {
  const voters = members.filter(({ role }) => role !== "learner");
  const healthyVoters = voters.filter(({ healthy }) => healthy).length;
  const quorum = Math.floor(voters.length / 2) + 1;
  return {
    interrupted: null,
    cluster: "demo",
    stateUnread: null,
    members,
    notMembers: [],
    voters: voters.length,
    healthyVoters,
    quorum,
    faultTolerance: voters.length - quorum,
    canLose: healthyVoters >= quorum ? healthyVoters - quorum : null,
    hasLeader: true,
    notAuthenticated: null,
    certificates: [],
    loadBalancer,
    workers: [],
    unreachable: [],
  };
}

function outcomes(of: ClusterStatus): readonly string[] {
  return possibleFailures(of).map(({ subject, outcome }) => `${subject} ${outcome}`);
}

const down = { healthy: false, role: "unreachable" } as const;

describe("what may fail next", () => {
  it("is any one of three healthy voters", () => {
    const three = status([member("m1"), member("m2"), member("m3")]);
    expect(outcomes(three)).toEqual(["m1 held", "m2 held", "m3 held"]);
    expect(possibleFailures(three)[0]!.text).toBe(
      "If m1, the leader, fails, the others elect a leader and writes continue: 2 of 3 voters would be left, quorum 2.",
    );
  });

  it("is none of two that are left, and says nothing of the one that is down", () => {
    const two = status([member("m1"), member("m2"), member("m3", down)]);
    expect(outcomes(two)).toEqual(["m1 lost", "m2 lost"]);
  });

  it("is nothing without a quorum", () => {
    expect(outcomes(status([member("m1"), member("m2", down), member("m3", down)]))).toEqual([]);
  });

  it("does not count learners", () => {
    const learning = status([member("m1"), member("m2"), member("m3"), member("m4", { role: "learner" })]);
    expect(outcomes(learning)).toEqual(["m1 held", "m2 held", "m3 held"]);
  });

  it("is a zone with a minority of the voters, and not one with a majority", () => {
    const zones = ["a", "a", "a", "b", "b"].map((zone, at) => member(`m${at + 1}`, { zone }));
    expect(outcomes(status(zones)).slice(5)).toEqual(["a lost", "b held"]);
  });

  it("is a load balancer that another one can take over for", () => {
    const hosts = ["lb1", "lb2"].map((name, at) => ({
      name,
      running: true,
      state: "running" as const,
      unreachable: null,
      pid: 1,
      virtualAddress: at === 0 ? "holder" : "backup",
    }));
    const runs = { running: true, state: "running", unreachable: null, pid: null } as const;
    const balancer = { type: "haproxy", endpoint: "https://vip:2379", ...runs, backends: [], hosts };
    const members = [member("m1"), member("m2"), member("m3")];
    expect(possibleFailures(status(members, balancer)).slice(3)).toMatchObject([
      { subject: "lb1", outcome: "held", text: "If lb1 fails, lb2 takes over the virtual address." },
      { subject: "lb2", outcome: "held" },
    ]);
    const alone = { ...balancer, hosts: [hosts[0]!, { ...hosts[1]!, virtualAddress: "fault" }] };
    expect(outcomes(status(members, alone)).slice(3)).toEqual(["lb1 lost"]);
    const other = { ...hosts[1]!, running: false, state: "unreachable" as const, virtualAddress: null };
    expect(possibleFailures(status(members, { ...balancer, hosts: [hosts[0]!, other] })).slice(3)).toMatchObject([
      { text: "If lb1 fails, clients reach https://vip:2379 only if lb2 serves, which is unreachable." },
    ]);
  });
});
