import { describe, expect, it } from "vitest";
import type { ObservedCluster, ObservedMachine, ObservedMember } from "../../src/plan/observed-cluster.ts";
import { type ResourceType, resourceAddress } from "../../src/plan/resource.ts";
import type { State, StateResource } from "../../src/plan/state.ts";
import { loadBalancerName } from "../../src/units/load-balancer-unit.ts";
import {
  fixtureMember,
  fixtureNowMs,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import { certificateStatus } from "./certificate-status.ts";
import { clusterStatus, statusExitCode } from "./cluster-status.ts";
import { createPaint } from "./paint.ts";
import { type ClusterStatus, renderStatus } from "./views/status-view.ts";

const plain = fixtureSpec(["m1", "m2", "m10"], { workers: 1 });
const zoned = plain.controlPlane.masters.map((master, index) => ({ ...master, zone: "abc"[index] ?? null }));
const spec = { ...plain, controlPlane: { ...plain.controlPlane, masters: zoned } };

/** The status where `more` is true for the members with these names. */
function statusWhere(
  more: Readonly<Record<string, Partial<ObservedMember>>>,
  beside: Partial<ObservedCluster> = {},
  inState: readonly string[] = [],
): ClusterStatus {
  const settled = settledObservation(spec);
  const names = ["m10", "m2", "m1", ...Object.keys(more).filter((name) => !/^m(1|2|10)$/.test(name))];
  const members = names.map((name) =>
    fixtureMember(spec, name, { leader: name === "m2", version: "3.6.0", ...more[name] }),
  );
  const membership = { ...settled.membership!, members, hasLeader: members.some(({ leader }) => leader) };
  const observed: ObservedCluster = { ...settled, membership, ...beside };
  const reporting = new Set(["w1"]);
  return clusterStatus({
    spec,
    state:
      inState.length === 0
        ? null
        : {
            ...settledState(spec),
            resources: settledState(spec).resources.filter(
              ({ name, type }) => type !== "haplan_raft_member" || inState.includes(name),
            ),
          },
    observed,
    balancers: [{ name: loadBalancerName, report: null, virtualAddress: null }],
    reporting,
    interrupted: null,
    nowMs: fixtureNowMs,
  });
}

function stoppedOn(machines: readonly ObservedMachine[], name: string): readonly ObservedMachine[] {
  return machines.map((machine) =>
    machine.name === name
      ? { ...machine, units: machine.units.map((unit) => ({ ...unit, running: false, pid: null })) }
      : machine,
  );
}

const silent = { healthy: false, leader: false, raftIndex: null } as const;

describe("status", () => {
  it("T low: lists members by name, with zone, lag and version", () => {
    const { members } = statusWhere({ m10: { raftIndex: 80 } });
    expect(members.map(({ name, zone, lag, version }) => [name, zone, lag, version])).toEqual([
      ["m1", "a", 0, "3.6.0"],
      ["m2", "b", 0, "3.6.0"],
      ["m10", "c", 20, "3.6.0"],
    ]);
  });

  it("does not count an unresponsive learner as a voter", () => {
    expect(statusWhere({ m4: { ...silent, learner: true } })).toMatchObject({ voters: 3, healthyVoters: 3 });
  });

  it.each<[string, Partial<ObservedCluster>, string]>([
    ["has no machine, on a host that answers", { machines: [] }, "absent"],
    ["runs", {}, "unreachable"],
    ["whose process does not run", { machines: stoppedOn(settledObservation(spec).machines, "m1") }, "stopped"],
    [
      "whose machine has no unit",
      { machines: settledObservation(spec).machines.map((each) => ({ ...each, units: [] })) },
      "stopped",
    ],
    [
      "is on a host that does not answer",
      { machines: [], unreachable: [{ name: "m1", reason: "no route" }] },
      "unreachable",
    ],
  ])("calls a member that does not answer and %s what it is", (_, more, role) => {
    expect(statusWhere({ m1: silent }, more).members[0]).toMatchObject({ name: "m1", role });
    expect(statusWhere({ m1: silent }, { ...more, membership: null }, ["m1"]).members[0]).toMatchObject({ role });
  });

  it("knows no machine of a member that is not in the spec, or was adopted", () => {
    expect(statusWhere({ m4: silent }, { machines: [] }).members.at(-2)).toMatchObject({
      name: "m4",
      role: "unreachable",
    });
  });

  describe("of machines that are unreachable", () => {
    const reason = "no route to host";
    const settled = settledObservation(spec);
    const without = (...names: readonly string[]): Partial<ObservedCluster> => ({
      machines: settled.machines.filter(({ name }) => !names.includes(name)),
      unreachable: names.map((name) => ({ name, reason })),
    });
    const text = (status: ClusterStatus): string => renderStatus(status, createPaint(false), () => "");

    it("says nothing of what it does not know", () => {
      const status = statusWhere({}, without("m1", loadBalancerName, "w1"));
      const unknown = { running: false, state: "unreachable", unreachable: reason, pid: null };
      expect(status.loadBalancer).toMatchObject(unknown);
      expect(status.workers).toMatchObject([{ ...unknown, reporting: true }]);
      expect(status.members[0]).toMatchObject({ name: "m1", role: "follower", pid: null, unreachable: reason });
      expect(status.unreachable).toEqual(["m1", loadBalancerName, "w1"].map((name) => ({ name, reason })));
      const shown = text(status);
      expect(shown).toMatch(/^Load balancer: \S+ \(embedded, unreachable\)/m);
      expect(shown).toContain("(unreachable, reporting through the load balancer)");
      expect(shown).toContain(`Machine w1 is unreachable: ${reason}`);
      expect(shown).not.toMatch(/not running|none/);
    });

    it("tells a machine that was reached and has none of it apart", () => {
      const bare = { machines: settled.machines.map((each) => ({ ...each, units: [] })) };
      expect(statusWhere({}, bare).workers).toMatchObject([{ state: "stopped", unreachable: null }]);
      const absent = statusWhere({}, { machines: [] });
      expect(absent.loadBalancer).toBeNull();
      expect(text(absent)).toContain("Worker w1: 127.0.2.1 (absent");
    });

    it("knows a load balancer of a cloud only where that answers", () => {
      const cloud = { running: true, address: "lb", definitionDigest: "d" };
      const unreachable = [{ name: loadBalancerName, reason }];
      expect(statusWhere({}, { loadBalancer: cloud }).loadBalancer).toMatchObject({ running: true, state: "running" });
      expect(statusWhere({}, { loadBalancer: cloud, unreachable }).loadBalancer).toMatchObject({
        running: false,
        state: "unreachable",
        unreachable: reason,
      });
      expect(statusWhere({}, { loadBalancer: null }).loadBalancer).toBeNull();
    });

    it("does not say that there is no cluster where no machine was reached", () => {
      const status = statusWhere({}, { ...without("m1", "m2", "m10"), membership: null });
      expect(text({ ...status, members: [] })).not.toContain("There is no cluster");
    });
  });

  describe("of a master that is being replaced on another host", () => {
    const settled = settledObservation(spec);
    const former = settled.machines.find(({ name }) => name === "m1")!;
    const units = former.units.map((unit) => ({ ...unit, pid: 77 }));
    const other = { ...former, address: "127.0.1.20", generation: 2, freeBytes: 7, units };
    const joins = { id: "id-new", name: "m1", peerUrls: ["https://127.0.1.20:2380"] };
    const rest = settled.machines.filter(({ name }) => name !== "m1");
    const reason = "no route to host";

    it.each<[string, readonly ObservedMachine[], ObservedCluster["unreachable"], object]>([
      ["answers", [former, other], [], { role: "unreachable", pid: 4242, unreachable: null }],
      [
        "is unreachable",
        [other],
        [{ name: "m1@1", reason }],
        { role: "unreachable", pid: null, freeBytes: null, unreachable: reason },
      ],
      ["has lost the machine", [other], [], { role: "unreachable", pid: null, freeBytes: null, unreachable: null }],
    ])(
      "has the process and disk of each machine in its own row, where the former host %s",
      (_, own, away, expected) => {
        const more = { machines: [...rest, ...own], ...(away!.length === 0 ? {} : { unreachable: away! }) };
        const { members } = statusWhere({ m1: silent, new: joins }, more);
        const rows = members.filter(({ name }) => name === "m1");
        expect(rows.find(({ id }) => id === "id-m1")).toMatchObject(expected);
        expect(rows.find(({ id }) => id === "id-new")).toMatchObject({ pid: 77, freeBytes: 7, unreachable: null });
      },
    );
  });

  it("T low: shows alarms with their member", () => {
    const text = renderStatus(statusWhere({ m1: { alarms: ["alarm:NOSPACE"] } }), createPaint(false), () => "");
    expect(text).toContain("Alarm at m1: alarm:NOSPACE");
  });

  it("tells of a disk that is almost full before its member stops", () => {
    const status = statusWhere({});
    const [first, ...others] = status.members;
    const text = renderStatus(
      { ...status, members: [{ ...first!, freeBytes: 12 * 2 ** 20 }, ...others] },
      createPaint(false),
      () => "",
    );
    expect(text).toContain("Disk of m1 almost full: 12.0 MB free. The member stops when it can no longer write.");
  });

  it("T low: does not report workers as reporting if no lease expires", () => {
    expect(statusWhere({}).workers).toMatchObject([{ reporting: true }]);
    expect(statusWhere({ m1: silent, m2: silent }).workers).toMatchObject([{ reporting: null }]);
  });

  it("T4: does not call a certificate foreign if the authority's own is missing", () => {
    const settled = settledObservation(spec);
    const certificates = settled.certificates.map((each) => ({ ...each, trusted: false }));
    const states = (authority: ObservedCluster["authority"]): readonly string[] =>
      certificateStatus({ spec, observed: { authority, certificates }, nowMs: fixtureNowMs }).map(
        ({ status }) => status,
      );
    expect(new Set(states(null))).toEqual(new Set(["valid"]));
    expect(states(settled.authority)).toContain("untrusted");
  });

  describe("of a master that is no member", () => {
    const settled = settledObservation(spec);
    const withMembers = (...members: readonly ObservedMember[]): ClusterStatus =>
      statusWhere({}, { membership: { ...settled.membership!, members, hasLeader: true } });
    const m1 = fixtureMember(spec, "m1", { leader: true });
    const m2 = fixtureMember(spec, "m2");
    const m10 = fixtureMember(spec, "m10");
    const text = (status: ClusterStatus): string =>
      renderStatus(status, createPaint(false), (words) => `haplan ${words.join(" ")}`);

    it.each<[string, ClusterStatus, readonly string[], 0 | 2]>([
      ["removed", withMembers(m1, m2), ["m10"], 2],
      ["there, without its name, as before its first start", withMembers(m1, m2, { ...m10, name: "" }), [], 0],
      ["there, under a former name", withMembers(m1, m2, { ...m10, name: "node10" }), [], 0],
      ["there, at a former address", withMembers(m1, m2, { ...m10, peerUrls: ["https://127.9.9.9:2380"] }), [], 0],
    ])("is told where it is %s", (_, status, notMembers, code) => {
      expect(status.notMembers).toEqual(notMembers);
      expect(statusExitCode(status)).toBe(code);
    });

    it("is named, with the command to look at, and what an even number of voters means", () => {
      const shown = text(withMembers(m1, m2));
      expect(shown).toContain(
        "Quorum: 2 of 2 voters healthy, quorum 2; survives no further failure. 2 voters survive no more failures than 1 would.",
      );
      expect(shown).toContain(
        "Master m10 of the spec is no member of the cluster. To see what adds it, run:\n    haplan plan",
      );
      expect(text(withMembers(m1))).toContain("Masters m2, m10 of the spec are no members of the cluster.");
      expect(text(withMembers(m1, m2, m10))).not.toMatch(/no member|no more failures/);
    });

    it("is not known where no member answers", () => {
      expect(statusWhere({}, { membership: null }, ["m1"]).notMembers).toEqual([]);
    });
  });

  it("R14: does not report members as dead if they reject another authority's certificates", () => {
    const settled = settledObservation(spec);
    const certificates = settled.certificates.map((each) => ({ ...each, trusted: false }));
    const resource = (type: ResourceType, name: string, fingerprint: string): StateResource => ({
      address: resourceAddress(type, name),
      type,
      name,
      attributes: { fingerprint },
      sensitive: [],
      dependsOn: [],
      status: "ready",
      generation: 1,
    });
    const resources = [resource("haplan_ca", spec.name, "the former one"), resource("haplan_raft_member", "m1", "")];
    const state = { version: 1, lineage: "l", serial: 1, clusterName: spec.name, resources } as unknown as State;
    const observed = { ...settled, certificates, membership: null };
    const status = clusterStatus({
      spec,
      state,
      observed,
      balancers: [{ name: loadBalancerName, report: null, virtualAddress: null }],
      reporting: null,
      interrupted: null,
      nowMs: fixtureNowMs,
    });
    expect(status.notAuthenticated).toMatch(/^cannot authenticate: ca.crt in .* is not the authority/);
    expect(status.members).toMatchObject([{ name: "m1", role: "unknown" }]);
    expect(statusExitCode(status)).toBe(4);
  });

  it("says unknown, not lost, where it cannot call the members that would be the quorum", () => {
    const settled = settledObservation(spec);
    const called = (name: string): boolean => name === "m1";
    const members = settled.membership!.members.map((member) =>
      called(member.name)
        ? member
        : { ...member, healthy: false, raftIndex: null, raftTerm: null, answersItsHost: true as const },
    );
    const reason = "its process is at work on its own host, but no connection is made to it";
    const observed = {
      ...settled,
      membership: { ...settled.membership!, members },
      unreachable: ["m2", "m3"].map((name) => ({ name, reason, uncalled: true as const })),
    };
    const status = clusterStatus({
      spec,
      state: null,
      observed,
      balancers: [{ name: loadBalancerName, report: null, virtualAddress: null }],
      reporting: null,
      interrupted: null,
      nowMs: fixtureNowMs,
    });
    expect(status.notAuthenticated).toBe(`cannot call m2, m3: ${reason}`);
    expect(status.members.map(({ role }) => role)).toEqual(["leader", "unknown", "unknown"]);
    expect(statusExitCode(status)).toBe(4);
  });

  it.each([
    ["all voters are healthy", {}, 0],
    ["one of three is missing", { m1: silent }, 2],
    ["two of three are missing", { m1: silent, m2: silent }, 4],
    ["there is no leader", { m2: { leader: false } }, 4],
  ] as const)("T low: exits for probes if %s", (_, more, code) => {
    expect(statusExitCode(statusWhere(more))).toBe(code);
  });
});
