import { describe, expect, it } from "vitest";
import { loadBalancerName } from "../../src/units/load-balancer-unit.ts";
import { fixtureMember, fixtureNowMs, fixtureSpec, settledObservation } from "../../test/support/planned-cluster.ts";
import { clusterStatus } from "./cluster-status.ts";
import { statusChanges } from "./status-changes.ts";
import type { ClusterStatus, MemberStatus } from "./views/status-view.ts";

const spec = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });

function settled(): ClusterStatus {
  const observed = settledObservation(spec);
  const members = ["m1", "m2", "m3"].map((name) =>
    fixtureMember(spec, name, { leader: name === "m1", version: "3.6.0", raftTerm: 2 }),
  );
  return clusterStatus({
    spec,
    state: null,
    observed: { ...observed, membership: { ...observed.membership!, members, hasLeader: true } },
    balancers: [{ name: loadBalancerName, report: null, virtualAddress: null }],
    reporting: new Set(["w1"]),
    interrupted: null,
    nowMs: fixtureNowMs,
  });
}

const before = settled();

function withMember(name: string, change: Partial<MemberStatus>, status: ClusterStatus = before): ClusterStatus {
  const members = status.members.map((member) => (member.name === name ? { ...member, ...change } : member));
  return { ...status, members };
}

const lost = { role: "unreachable", healthy: false, raftIndex: null } as const;
const m4: MemberStatus = { ...before.members[1]!, name: "m4", id: "id-m4", role: "learner" };
const runs = { running: true, state: "running", unreachable: null, pid: 1 } as const;
const silent = { running: false, state: "unreachable", unreachable: "no route to host", pid: null } as const;
/** Both load balancers, of which one host is unreachable. */
const halfKnown = (name: string): ClusterStatus => {
  const { loadBalancer } = pair("lb1");
  const hosts = loadBalancer!.hosts!.map((host) =>
    host.name === name ? { ...host, ...silent, virtualAddress: null } : host,
  );
  return { ...before, loadBalancer: { ...loadBalancer!, hosts } };
};
const pair = (holder: string): ClusterStatus => ({
  ...before,
  loadBalancer: {
    ...before.loadBalancer!,
    hosts: ["lb1", "lb2"].map((name) => {
      return { name, ...runs, virtualAddress: name === holder ? "holder" : "backup" };
    }),
  },
});

const cases: readonly (readonly [string, ClusterStatus, ClusterStatus, readonly string[]])[] = [
  ["nothing but indexes", before, withMember("m2", { raftIndex: 4711, lag: 3, dbSizeBytes: 1, pid: 7 }), []],
  [
    "an election",
    before,
    withMember("m1", { role: "follower" }, withMember("m2", { role: "leader", raftTerm: 3 })),
    ["m2 is the leader in term 3 (was m1 in term 2)"],
  ],
  [
    "a member that is lost",
    before,
    { ...withMember("m3", lost), healthyVoters: 2, canLose: 0 },
    ["can lose 0 (was 1): 2 of 3 voters healthy, quorum 2", "m3 is unreachable"],
  ],
  [
    "a quorum that is lost, with its leader",
    { ...withMember("m3", lost), healthyVoters: 2, canLose: 0 },
    {
      ...withMember("m1", lost, withMember("m3", lost)),
      healthyVoters: 1,
      canLose: null,
      hasLeader: false,
    },
    ["quorum lost: 1 of 3 voters healthy, quorum 2", "no leader (was m1)", "m1 is unreachable"],
  ],
  [
    "a quorum that comes back",
    { ...withMember("m3", lost), healthyVoters: 1, canLose: null },
    { ...before, canLose: 1 },
    ["quorum is there: 3 of 3 voters healthy, quorum 2", "m3 answers"],
  ],
  ["a learner", before, { ...before, members: [...before.members, m4] }, ["m4 (id-m4) joined as a learner"]],
  [
    "its promotion",
    { ...before, members: [...before.members, m4] },
    { ...before, members: [...before.members, { ...m4, role: "follower" }] },
    ["m4 (id-m4) became a voter"],
  ],
  ["a removal", before, { ...before, members: before.members.slice(0, 2) }, ["m3 (id-m3) was removed"]],
  [
    "another member of the same name",
    before,
    withMember("m3", { id: "id-new" }),
    ["m3 (id-new) joined", "m3 (id-m3) was removed"],
  ],
  ["a version", before, withMember("m2", { version: "3.6.1" }), ["m2 runs 3.6.1 (was 3.6.0)"]],
  ["an alarm", before, withMember("m2", { alarms: ["alarm:NOSPACE"] }), ["alarm:NOSPACE at m2"]],
  ["its end", withMember("m2", { alarms: ["alarm:NOSPACE"] }), before, ["alarm:NOSPACE at m2 has ended"]],
  [
    "a full disk",
    withMember("m2", { freeBytes: 2 ** 30 }),
    withMember("m2", { freeBytes: 0 }),
    ["m2 has almost no free disk space"],
  ],
  ["the virtual address", pair("lb1"), pair("lb2"), ["lb2 has the virtual address (had lb1)"]],
  ["no virtual address", pair("lb1"), pair("none"), ["no host has the virtual address (had lb1)"]],
  ["that the host of the holder is unreachable", pair("lb1"), halfKnown("lb1"), ["lb1 is unreachable"]],
  ["what it was found to do meanwhile", halfKnown("lb1"), pair("lb2"), ["lb1 runs", "lb2 has the virtual address"]],
  [
    "a worker's machine that is unreachable",
    before,
    { ...before, workers: before.workers.map((worker) => ({ ...worker, ...silent })) },
    ["w1 is unreachable"],
  ],
  [
    "the machine of a member that answers",
    before,
    withMember("m2", { unreachable: "no route to host" }),
    ["the machine of m2 is unreachable"],
  ],
  [
    "a target",
    before,
    {
      ...before,
      loadBalancer: {
        ...before.loadBalancer!,
        backends: [
          { name: "m1", state: "down" },
          ...before.loadBalancer!.backends.filter(({ name }) => name !== "m1" && name !== "m3"),
        ],
      },
    },
    ["target m3 was removed", "target m1 is down (was unknown)"],
  ],
  [
    "a worker",
    before,
    { ...before, workers: before.workers.map((worker) => ({ ...worker, reporting: false })) },
    ["w1 does not report"],
  ],
];

describe("what changes between two looks", () => {
  it.each(cases)("is told: %s", (_, from, to, texts) => {
    expect(statusChanges(from, to).map(({ text }) => text)).toEqual(texts);
  });

  it("is nothing for the same status", () => {
    expect(statusChanges(before, settled())).toEqual([]);
  });
});
