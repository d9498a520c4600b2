import { describe, expect, it } from "vitest";
import type { ResourceChange } from "../../../src/plan/plan.ts";
import { decideRepair, type RepairInput, type RepairPolicy, type WatchedMaster } from "./decide-repair.ts";
import type { PastRepair } from "./past-repairs.ts";

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
const handedOut = change("haplan_agent.m1", { reasonCode: "newCertificate" });
const longAgo = new Map([deadAgent, dueCertificate].map(({ address }) => [address as string, nowMs - 60_000]));

function decide(changes: readonly ResourceChange[], more: Partial<RepairInput> = {}): ReturnType<typeof decideRepair> {
  const quorum = { canLose: 0, hasLeader: true };
  return decideRepair({
    nowMs,
    policy,
    changes,
    masters: [],
    occupied: new Map(),
    quorum,
    since: longAgo,
    past: [],
    ...more,
  });
}

function repairedAgo(...minutes: readonly number[]): RepairInput["past"] {
  return minutes.map((each) => past({ address: deadAgent.address, atMs: nowMs - each * 60_000 }));
}

function past(more: Partial<PastRepair>): PastRepair {
  return {
    address: "haplan_raft_member.m2",
    atMs: nowMs - 7_200_000,
    kind: null,
    spare: null,
    outcome: null,
    failure: null,
    ...more,
  };
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

  it("what a renewal that was cut short has issued and not handed out", () => {
    const { repair, findings } = decide([handedOut]);
    expect(repair).toMatchObject({ kind: "renew", address: "haplan_agent.m1", targets: ["haplan_agent.m1"] });
    expect(findings).toHaveLength(1);
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

describe("a dead master", () => {
  const afterMs = 600_000;
  const spare = (name: string, zone: string | null = null): { name: string; zone: string | null; address: string } => ({
    name,
    zone,
    address: `10.0.0.${name.slice(1)}`,
  });
  const replace = { afterMs, replacementsPerDay: 1, spares: [spare("s1", "a"), spare("s2", "b")] };
  const replacing = { ...policy, replace };
  const m2: WatchedMaster = { name: "m2", zone: "b", onSpare: null, dead: "it does not answer" };
  const address = "haplan_raft_member.m2";
  const since = (ms: number): RepairInput["since"] => new Map([[address, nowMs - ms]]);
  const base = { policy: replacing, masters: [m2], since: since(afterMs) };
  const replaced = { kind: "replace", spare: "s2", outcome: "repaired" } as const;

  it("is replaced by a spare host of its zone, with everything that it consists of", () => {
    const { repair, findings } = decide([], base);
    expect(repair).toMatchObject({ kind: "replace", address, spare: { name: "s2" }, spareName: "s2" });
    expect(repair?.targets).toEqual([
      "haplan_machine.m2",
      "haplan_agent.m2",
      "haplan_raft_member.m2",
      "haplan_lb_backend.m2",
    ]);
    expect(findings).toEqual([{ address, reason: "it does not answer", kind: "replace", waits: null }]);
  });

  it("is replaced also where there is no plan", () => {
    expect(decide([], { ...base, changes: null }).repair?.spareName).toBe("s2");
  });

  it.each<[string, Partial<RepairInput>, string]>([
    ["for less than it has to be", { since: since(afterMs - 1) }, "settling"],
    ["that has just died again", { since: new Map() }, "settling"],
    ["without a spec that allows it", { policy }, "notAllowed"],
    ["with a lost quorum", { quorum: { canLose: null, hasLeader: false } }, "quorumAtStake"],
    ["without a leader", { quorum: { canLose: 1, hasLeader: false } }, "quorumAtStake"],
    ["after another replacement within a day", { past: [past({ ...replaced, address: "other" })] }, "replacementLimit"],
    ["without a spare host", { policy: { ...replacing, replace: { ...replace, spares: [] } } }, "noSpare"],
    [
      "whose spare hosts are in use",
      {
        occupied: new Map([
          ["10.0.0.1", "m1"],
          ["10.0.0.2", "m3@1"],
        ]),
      },
      "noSpare",
    ],
    [
      "whose spare hosts have failed",
      { past: ["s1", "s2"].map((name) => past({ ...replaced, spare: name, outcome: "failed" })) },
      "noSpare",
    ],
    [
      "for which it was begun too often",
      { past: [1, 2, 3].map((minutes) => past({ atMs: nowMs - minutes * 60_000 })) },
      "flapping",
    ],
  ])("%s is only reported", (_, more, waits) => {
    const { repair, findings } = decide([], { ...base, ...more });
    expect(repair).toBeNull();
    expect(findings).toMatchObject([{ address, waits }]);
  });

  it("counts from when it was last alive", () => {
    const alive = decide([], { ...base, masters: [{ ...m2, dead: null }] });
    expect(decide([], { ...base, since: alive.since }).findings[0]?.waits).toBe("settling");
  });

  it("is restarted before it is replaced, and reported once if it may not be replaced", () => {
    const stopped = change("haplan_agent.m2", { reasonCode: "dead" });
    const both = new Map([...since(afterMs), [stopped.address as string, 0] as const]);
    expect(decide([stopped], { ...base, since: both }).repair).toMatchObject({ kind: "restart" });
    const { findings } = decide([stopped], { ...base, policy, since: both });
    expect(findings.map((each) => each.address)).toEqual(["haplan_agent.m2"]);
  });

  it("that stays dead after its restarts is replaced", () => {
    const stopped = change("haplan_agent.m2", { reasonCode: "dead" });
    const restarts = [5, 15, 25].map((minutes) => past({ address: stopped.address, atMs: nowMs - minutes * 60_000 }));
    expect(decide([stopped], { ...base, past: restarts }).repair?.kind).toBe("replace");
  });

  it("without a spare host names why each of them is not taken", () => {
    const occupied = new Map([["10.0.0.1", "m3@1"]]);
    const failed = past({ kind: "replace", spare: "s2", outcome: "failed", failure: "Cannot connect", atMs: 0 });
    const [other] = base.masters!;
    const masters = [...base.masters!, { ...other!, name: "m9", dead: null, onSpare: "s0" }];
    const { findings } = decide([], { ...base, masters, occupied, past: [failed] });
    expect(findings).toMatchObject([
      {
        waits: "noSpare",
        spares: [
          "s0 is in the place of m9",
          "s1 has m3@1 of this cluster",
          "s2 failed within a day (1970-01-01T00:00:00Z): Cannot connect",
        ],
      },
    ]);
  });

  it("takes the spare host of an attempt that was cut short first, and no other count for it", () => {
    const cut = past({ kind: "replace", spare: "s1" });
    expect(decide([], { ...base, past: [cut] }).repair?.spareName).toBe("s1");
  });

  const onSpare: WatchedMaster = { ...m2, onSpare: "s2" };
  const joining = change(address, { action: "createThenDelete" });
  const machine = change("haplan_machine.m2", { action: "create" });

  it("whose replacement was begun is finished, without another spare host and without another wait", () => {
    const { repair, findings } = decide([machine, joining], { ...base, masters: [onSpare], since: since(30_000) });
    expect(repair).toMatchObject({ kind: "replace", address, spareName: "s2" });
    expect(repair).not.toHaveProperty("spare");
    expect(findings.map((each) => each.address)).toEqual([address]);
  });

  it("is not finished where the spec's author has begun it", () => {
    const { repair, findings } = decide([machine, joining], { ...base, masters: [{ ...m2, dead: null }] });
    expect(repair).toBeNull();
    expect(findings.map(({ waits }) => waits)).toEqual(["notARepair", "notARepair"]);
  });

  it("that has come back is removed from its former host, once it was replaced", () => {
    const left = ["haplan_machine.m2@1", "haplan_agent.m2@1"].map((each) => change(each, { action: "delete" }));
    const seen = new Map(left.map((each) => [each.address as string, 0]));
    const alive = { ...onSpare, dead: null };
    const { repair, findings } = decide(left, { ...base, masters: [alive], since: seen });
    expect(repair).toMatchObject({ kind: "clean", targets: ["haplan_machine.m2@1", "haplan_agent.m2@1"] });
    expect(findings).toHaveLength(1);
    expect(decide(left, { ...base, masters: [{ ...alive, onSpare: null }], since: seen }).repair).toBeNull();
  });

  it.each([
    ["that has failed there once goes on", 1, "s1", new Map<string, string>()],
    ["that has failed there twice goes on to another spare host", 2, "s2", new Map<string, string>()],
    ["that has failed there twice goes on where no other one is free", 2, "s1", new Map([["10.0.0.2", "m9"]])],
  ])("whose replacement was begun and %s", (_, failures, spareName, occupied) => {
    const joining = change(address, { action: "createThenDelete", reason: "its address has changed" });
    const failed = past({ ...replaced, spare: "s1", outcome: "failed", atMs: nowMs - 2 * 3_600_000 });
    const { repair } = decide([joining], {
      ...base,
      masters: [{ ...m2, onSpare: "s1" }],
      policy: { ...replacing, replace: { ...replace, spares: [spare("s2", "b")] } },
      past: Array.from({ length: failures }, () => failed),
      occupied,
    });
    expect(repair).toMatchObject({ kind: "replace", address, spareName });
    expect(repair?.spare?.name).toBe(spareName === "s2" ? "s2" : undefined);
  });

  it("on a spare host keeps the settings that the spec's author has to apply", () => {
    const settings = change("haplan_agent.m2", { reason: "its settings have changed" });
    const { findings } = decide([settings], { ...base, masters: [{ ...onSpare, dead: null }] });
    expect(findings).toMatchObject([{ waits: "notARepair" }]);
  });
});
