import { describe, expect, it } from "vitest";
import type { ResourceChange } from "../../../src/plan/plan.ts";
import { decideRepair, type RepairInput, type RepairPolicy } from "./decide-repair.ts";

const nowMs = 10_000_000;
const policy: RepairPolicy = { restart: true, renewCertificates: true, waitMs: 30_000, repairsPerHour: 3 };

function change(address: string, more: Partial<ResourceChange> = {}): ResourceChange {
  const [type, name] = address.split(".") as [ResourceChange["type"], string];
  return {
    address: address as ResourceChange["address"],
    type,
    name,
    action: "update",
    reason: "because",
    before: {},
    after: {},
    unknownAfter: [],
    sensitive: [],
    forcesReplacement: [],
    ...more,
  };
}

const deadAgent = change("haplan_agent.m1", { reasonCode: "dead" });
const dueCertificate = change("haplan_certificate.m1", { reasonCode: "renewalDue" });
const handedOut = change("haplan_agent.m1", { reason: "its certificate is issued again" });
const longAgo = new Map([deadAgent, dueCertificate].map(({ address }) => [address as string, nowMs - 60_000]));

function decide(changes: readonly ResourceChange[], more: Partial<RepairInput> = {}): ReturnType<typeof decideRepair> {
  const quorum = { canLose: 0, hasLeader: true };
  return decideRepair({ nowMs, policy, changes, quorum, since: longAgo, past: [], ...more });
}

function repairedAgo(...minutes: readonly number[]): RepairInput["past"] {
  return minutes.map((each) => ({ address: deadAgent.address, atMs: nowMs - each * 60_000 }));
}

describe("repairs", () => {
  it("a dead agent that has been dead for long enough, also where no further voter may fail", () => {
    const { repair, findings } = decide([deadAgent]);
    expect(repair).toMatchObject({ kind: "restart", address: "haplan_agent.m1", targets: ["haplan_agent.m1"] });
    expect(findings).toEqual([{ address: "haplan_agent.m1", reason: "because", kind: "restart", waits: null }]);
  });

  it("a certificate that is due, together with the unit that gets it", () => {
    const { repair, findings } = decide([dueCertificate, handedOut]);
    expect(repair).toMatchObject({ kind: "renew", targets: ["haplan_certificate.m1", "haplan_agent.m1"] });
    expect(findings.map(({ address }) => address)).toEqual(["haplan_certificate.m1"]);
  });

  it("one thing at a time: masters first, certificates last", () => {
    const worker = change("haplan_worker.w1", { reasonCode: "dead" });
    const since = new Map([...longAgo, [worker.address, 0] as const]);
    const { repair, findings } = decide([dueCertificate, worker, deadAgent], { since });
    expect(repair?.address).toBe("haplan_agent.m1");
    expect(findings.map(({ waits }) => waits)).toEqual(["queued", "queued", null]);
  });

  it("again after twice the time, as it may have been bad luck", () => {
    expect(decide([deadAgent], { past: repairedAgo(2) }).repair).not.toBeNull();
    const later = new Map([[deadAgent.address as string, nowMs - 59_000]]);
    expect(decide([deadAgent], { past: repairedAgo(2), since: later }).findings[0]?.waits).toBe("settling");
  });
});

describe("only reports", () => {
  it.each<[string, readonly ResourceChange[], Partial<RepairInput>, string]>([
    ["without repair: in the spec", [deadAgent], { policy: null }, "notAllowed"],
    ["a restart that is not allowed", [deadAgent], { policy: { ...policy, restart: false } }, "notAllowed"],
    [
      "a renewal that is not allowed",
      [dueCertificate],
      { policy: { ...policy, renewCertificates: false } },
      "notAllowed",
    ],
    ["a lost quorum", [deadAgent], { quorum: { canLose: null, hasLeader: false } }, "quorumAtStake"],
    ["a cluster without a leader", [deadAgent], { quorum: { canLose: 1, hasLeader: false } }, "quorumAtStake"],
    ["what has just begun", [deadAgent], { since: new Map() }, "settling"],
    ["a flapping agent", [deadAgent], { past: repairedAgo(5, 15, 25) }, "flapping"],
    ["a changed spec", [change("haplan_agent.m1", { reason: "its configuration has changed" })], {}, "notARepair"],
    ["a lost machine", [change("haplan_machine.m1", { action: "deleteThenCreate" })], {}, "notARepair"],
    ["a new member", [change("haplan_raft_member.m4", { action: "create" })], {}, "notARepair"],
    [
      "a member to remove",
      [change("haplan_raft_member.m3", { action: "delete", reasonCode: "notInSpec" })],
      {},
      "notARepair",
    ],
  ])("%s", (_, changes, more, waits) => {
    const { repair, findings } = decide(changes, more);
    expect(repair).toBeNull();
    expect(findings).toMatchObject([{ waits }]);
  });

  it("nothing where nothing differs", () => {
    expect(decide([change("haplan_agent.m1", { action: "noop" })])).toMatchObject({ repair: null, findings: [] });
  });
});

describe("the memory", () => {
  it("counts from the first look at which something differs, and anew once it was right", () => {
    const first = decide([deadAgent], { since: new Map() });
    const second = decide([deadAgent], { since: first.since, nowMs: nowMs + 30_000 });
    expect(second.repair).not.toBeNull();
    const right = decide([], { since: second.since });
    expect(decide([deadAgent], { since: right.since }).findings[0]?.waits).toBe("settling");
  });

  it("forgets a repair after an hour", () => {
    expect(decide([deadAgent], { past: repairedAgo(61, 62, 63) }).repair).not.toBeNull();
  });
});
