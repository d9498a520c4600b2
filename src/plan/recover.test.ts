/** Which survivor a cluster is rebuilt from, what may be lost, and what is refused: tables. */
import { describe, expect, it } from "vitest";
import {
  emptyObservation,
  fixtureInput,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import type { MemberData } from "../units/member-data.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { type PlanResult, planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { FoundData, PlannedRecovery, RecoverRequest } from "./recover-request.ts";

const three = fixtureSpec(["m1", "m2", "m3"], { workers: 0, tls: false });
const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"], { workers: 0, tls: false });

/** What a master has: a log that ends at `lastIndex@lastTerm`, or why there is none. */
type Disk = string | { readonly damage: string } | "gone" | "empty" | "unreachable" | "unreadable";

function dataOf(disk: string, names: readonly string[], name: string): MemberData {
  const [, lastIndex, lastTerm, commitIndex] = /^(\d+)@(\d+)(?: committed (\d+))?/.exec(disk) ?? [];
  return {
    ...{ memberId: `id-${name}`, clusterId: "cluster-1", running: true, term: 9, revision: 50, storeBytes: 4096 },
    ...{ lastIndex: Number(lastIndex), lastTerm: Number(lastTerm), commitIndex: Number(commitIndex ?? lastIndex) },
    ...{ appliedIndex: 0, voters: names.map((each) => `id-${each}`), votersOutgoing: [], learners: [], torn: [] },
    damage: null,
  };
}

/** A cluster without a quorum, whose masters have these disks. */
function recover(
  disks: Readonly<Record<string, Disk>>,
  lost: readonly string[] = [],
  more: (data: MemberData, name: string) => Partial<MemberData> = () => ({}),
): PlanResult {
  const names = Object.keys(disks);
  const spec = names.length === 3 ? three : five;
  const settled = settledObservation(spec);
  const reached = names.filter((name) => disks[name] !== "unreachable");
  const observed: ObservedCluster = {
    ...settled,
    membership: null,
    machines: settled.machines.filter(({ name }) => disks[name] !== "gone" && disks[name] !== "unreachable"),
    unreachable: names
      .filter((name) => disks[name] === "unreachable")
      .map((name) => ({ name, reason: "no route to host" })),
  };
  const found = reached.map((master): FoundData => {
    const disk = disks[master]!;
    if (disk === "gone" || disk === "empty") return { kind: "none", master };
    if (disk === "unreadable") return { kind: "unreadable", master, reason: "Input/output error" };
    const data = typeof disk === "string" ? dataOf(disk, names, master) : { ...dataOf("9@9", names, master), ...disk };
    return { kind: "data", master, data: { ...data, ...more(data, master) } };
  });
  const request: RecoverRequest = { found, lost, snapshot: "/x/restore/survivor.db" };
  return planChanges(
    fixtureInput(spec, { state: settledState(spec), observed, recover: request } as Partial<PlannerInput>),
  );
}

function recovery(result: PlanResult): PlannedRecovery {
  if (result.plan === undefined) throw new Error(result.refusal.map(({ summary }) => summary).join("\n"));
  return result.plan.restore!.recovery!;
}

describe("a recovery", () => {
  it.each<[string, Readonly<Record<string, Disk>>, readonly string[], Partial<PlannedRecovery>]>([
    [
      "of one of three continues with its data, and rebuilds all",
      { m1: "20@3 committed 18", m2: "gone", m3: "empty" },
      [],
      { from: "m1", rebuilt: ["m1", "m2", "m3"], later: [], uncommitted: 2, mayHaveLost: true },
    ],
    [
      "of two of five takes the later term before the longer log",
      { m1: "90@3", m2: "20@4", m3: "gone", m4: "gone", m5: "gone" },
      [],
      { from: "m2", rebuilt: ["m1", "m2", "m3", "m4", "m5"], mayHaveLost: true },
    ],
    [
      "of two of five takes the longer log of one term",
      { m1: "19@4", m2: "gone", m3: "20@4", m4: "gone", m5: "gone" },
      [],
      {
        from: "m3",
        survivors: expect.arrayContaining([expect.objectContaining({ master: "m1", lastIndex: 19 })]) as never,
      },
    ],
    [
      "ranks damaged data below all other, whatever it seems to reach",
      { m1: { damage: "a damaged batch 4" }, m2: "5@2", m3: "unreadable" },
      [],
      {
        from: "m2",
        lost: [
          { master: "m1", reason: "its data is damaged: a damaged batch 4" },
          { master: "m3", reason: "its data cannot be read: Input/output error" },
        ],
      },
    ],
    [
      "leaves out a machine that is declared lost, and never rebuilds an even number",
      { m1: "20@3", m2: "unreachable", m3: "empty" },
      ["m2"],
      { from: "m1", rebuilt: ["m1"], later: ["m3", "m2"].sort(), mayHaveLost: true },
    ],
    [
      "of two of five with three declared lost rebuilds one, which the other joins",
      { m1: "19@3", m2: "20@3", m3: "unreachable", m4: "unreachable", m5: "unreachable" },
      ["m3", "m4", "m5"],
      { from: "m2", rebuilt: ["m2"], later: ["m1", "m3", "m4", "m5"] },
    ],
    [
      "does not use data that is declared lost",
      { m1: "20@3", m2: "30@3", m3: "gone" },
      ["m2"],
      {
        from: "m1",
        lost: expect.arrayContaining([{ master: "m2", reason: "its data is not to be used (-lost=m2)" }]) as never,
      },
    ],
  ])("%s", (_, disks, lost, wanted) => {
    const found = recovery(recover(disks, lost));
    expect({ ...found, later: found.later.toSorted() }).toMatchObject(wanted);
    expect(found.rebuilt.length % 2).toBe(1);
  });

  it("saves the best survivor once all have stopped, and replaces no data before", () => {
    const { plan } = recover({ m1: "20@3", m2: "gone", m3: "gone" });
    const titles = new Map(plan?.steps.map(({ id, title }) => [id, title]));
    expect(
      plan?.steps.map(({ title, after }) => `${title} <- ${after.map((id) => titles.get(id)).join("; ") || "-"}`),
    ).toMatchInlineSnapshot(`
      [
        "close load balancer: no targets <- -",
        "stop agent m1 <- close load balancer: no targets",
        "save the data of m1 <- close load balancer: no targets; stop agent m1",
        "restore the data of m1 <- close load balancer: no targets; stop agent m1; save the data of m1",
        "create machine m2 (generation 2) <- -",
        "restore the data of m2 <- close load balancer: no targets; stop agent m1; save the data of m1; create machine m2 (generation 2)",
        "create machine m3 (generation 2) <- -",
        "restore the data of m3 <- close load balancer: no targets; stop agent m1; save the data of m1; create machine m3 (generation 2)",
        "start agent m1 <- restore the data of m1; restore the data of m2; restore the data of m3",
        "start agent m2 <- restore the data of m1; restore the data of m2; restore the data of m3",
        "start agent m3 <- restore the data of m1; restore the data of m2; restore the data of m3",
        "wait until m1, m2, m3 are healthy <- close load balancer: no targets; start agent m1; start agent m2; start agent m3",
        "update load balancer: m1, m2, m3 <- wait until m1, m2, m3 are healthy",
      ]
    `);
    expect(plan?.restore).toMatchObject({ bumpRevision: 1_000_000_000, inPlace: true });
  });

  it("stops every member that it reaches, also one that joins later", () => {
    const { plan } = recover({ m1: "19@3", m2: "20@3", m3: "unreachable", m4: "unreachable", m5: "unreachable" }, [
      "m3",
      "m4",
      "m5",
    ]);
    const titles = plan?.steps.map(({ title }) => title) ?? [];
    expect(titles.filter((title) => /^(stop|start|restore)/.test(title))).toEqual([
      "stop agent m1",
      "stop agent m2",
      "restore the data of m2",
      "start agent m2",
    ]);
  });

  it("cannot have lost anything where the lost voters were no majority", () => {
    const even = (data: MemberData): Partial<MemberData> => ({ voters: data.voters.slice(0, 4) });
    const disks = { m1: "20@3", m2: "20@3", m3: "gone", m4: "gone", m5: "gone" };
    expect(recovery(recover(disks, [], even)).mayHaveLost).toBe(false);
    expect(recovery(recover(disks)).mayHaveLost).toBe(true);
  });
});

describe("a recovery is refused", () => {
  const quorum: Readonly<Record<string, Disk>> = { m1: "20@3", m2: "empty", m3: "19@3" };
  it.each<[string, () => PlanResult, string, RegExp]>([
    [
      "while members with whole data are a majority",
      () => recover(quorum),
      "plan/recover-quorum-left",
      /^m1, m3 are a quorum/,
    ],
    [
      "while a machine is unreachable and not declared lost",
      () => recover({ m1: "20@3", m2: "unreachable", m3: "gone" }),
      "plan/recover-unreachable",
      /^m2 cannot be reached, which does not mean that it is lost/,
    ],
    [
      "without any data",
      () => recover({ m1: "gone", m2: "empty", m3: { damage: "x" } }),
      "plan/recover-no-survivor",
      /^No member has/,
    ],
    [
      "for a name that no master has",
      () => recover({ m1: "20@3", m2: "gone", m3: "gone" }, ["m9"]),
      "plan/recover-unknown",
      /^m9:/,
    ],
    [
      "between data of different clusters",
      () =>
        recover({ m1: "20@3", m2: "9@9", m3: "gone" }, [], (_, name) => (name === "m2" ? { clusterId: "other" } : {})),
      "plan/recover-several-clusters",
      /^The members are of different clusters/,
    ],
    [
      "while there is a leader",
      () => {
        const request: RecoverRequest = { found: [], lost: [], snapshot: "/x" };
        return planChanges(
          fixtureInput(three, { state: settledState(three), observed: settledObservation(three), recover: request }),
        );
      },
      "plan/recover-quorum",
      /^The cluster has a quorum/,
    ],
    [
      "where there is no cluster",
      () =>
        planChanges(
          fixtureInput(three, {
            state: null,
            observed: emptyObservation,
            recover: { found: [], lost: [], snapshot: "/x" },
          }),
        ),
      "plan/recover-nothing",
      /^There is no cluster/,
    ],
  ])("%s", (_, make, code, summary) => {
    const { refusal = [] } = make();
    expect(refusal).toMatchObject([{ code, summary: expect.stringMatching(summary) }]);
  });

  it("in a joint change only if one of its halves has no majority", () => {
    const joint = (data: MemberData): Partial<MemberData> => ({
      voters: data.voters.slice(0, 3),
      votersOutgoing: data.voters.slice(2),
    });
    // m1 and m2 are a majority of the incoming half, and none of the outgoing one.
    const disks = { m1: "20@3", m2: "20@3", m3: "gone", m4: "gone", m5: "gone" };
    expect(recovery(recover(disks, [], joint)).from).toBe("m1");
    const both = recover({ ...disks, m3: "20@3" }, [], (data) => ({
      voters: data.voters.slice(0, 3),
      votersOutgoing: data.voters.slice(1, 4),
    }));
    expect(both.refusal).toMatchObject([{ code: "plan/recover-quorum-left" }]);
  });

  it.each([
    ["one", { m1: "20@3", m2: "unreachable", m3: "gone" }, [], ["-lost=m2"], "m2 cannot"],
    ["two", { m1: "20@3", m2: "unreachable", m3: "unreachable" }, [], ["-lost=m2", "-lost=m3"], "m2, m3 cannot"],
    [
      "one beside one that is declared lost",
      { m1: "20@3", m2: "unreachable", m3: "unreachable" },
      ["m3"],
      ["-lost=m3", "-lost=m2"],
      "m2 cannot",
    ],
  ] as const)(
    "unreachable machines (%s), with the one command that declares them lost",
    (_, disks, lost, flags, summary) => {
      const { refusal = [] } = recover(disks, lost);
      expect(refusal).toMatchObject([{ commands: [["recover", ...flags]], summary: expect.stringContaining(summary) }]);
    },
  );
});
