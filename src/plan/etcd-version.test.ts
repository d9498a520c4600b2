import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { type PlanResult, planChanges } from "./planner.ts";

const base = fixtureSpec(["m1", "m2", "m3"]);

function withEtcd(version?: string): ClusterSpec {
  const etcd = version === undefined ? {} : { etcd: { binary: `/opt/etcd-${version}/etcd`, version } };
  return { ...base, controlPlane: { ...base.controlPlane, engine: "etcd", ...etcd } };
}

/** A cluster that runs these versions, and is to run `to`; it was applied with `from`. */
function upgrade(versions: readonly string[], to: string, from?: string): PlanResult {
  const applied = withEtcd(from);
  const settled = settledObservation(applied);
  const members = settled.membership!.members.map((member, i) => ({ ...member, version: versions[i]! }));
  const observed = { ...settled, membership: { ...settled.membership!, engine: "etcd" as const, members } };
  return planChanges(fixtureInput(withEtcd(to), { state: settledState(applied), observed }));
}

const all = (version: string): readonly string[] => [version, version, version];

describe("another version of etcd", () => {
  it("is rolled out one member at a time, the leader last", () => {
    const { plan } = upgrade(all("3.6.14"), "3.7.1", "3.6.14");
    expect(plan!.steps.map(({ title }) => title)).toEqual([
      "update agent m2",
      "wait until m2 is healthy and stays so for 10 s",
      "update agent m3",
      "wait until m3 is healthy and stays so for 10 s",
      "move leader from m1 to m2",
      "update agent m1",
      "wait until m1 is healthy and stays so for 10 s",
    ]);
  });

  it.each([
    ["the same minor version", all("3.6.1"), "3.6.14"],
    ["an earlier patch of it", all("3.6.14"), "3.6.1"],
    ["the next minor version", all("3.4.23"), "3.5.20"],
    ["an upgrade that is half done", ["3.6.14", "3.7.1", "3.6.14"], "3.7.1"],
    ["the way back from one that is half done", ["3.6.14", "3.7.1", "3.6.14"], "3.6.14"],
  ])("is planned: %s", (_, versions, to) => {
    expect(upgrade(versions, to).refusal).toBeUndefined();
  });

  const refused: readonly (readonly [string, readonly string[], string, string, string])[] = [
    [
      "two minor versions at once",
      all("3.4.23"),
      "3.6.14",
      "etcd cannot be upgraded from 3.4 to 3.6.14 in one step",
      "m1, m2, m3 run 3.4. Upgrade one minor version at a time: write the path and version of a 3.5 first and apply, then the next one.",
    ],
    [
      "the next one while a member still runs the one before",
      ["3.5.1", "3.6.14", "3.6.14"],
      "3.7.1",
      "etcd cannot be upgraded from 3.5 to 3.7.1 in one step",
      "m1 runs 3.5. Upgrade one minor version at a time: write the path and version of a 3.6 first and apply, then the next one.",
    ],
    [
      "an earlier minor version",
      all("3.7.1"),
      "3.6.14",
      "etcd cannot be downgraded from 3.7 to 3.6.14",
      "m1, m2, m3 run 3.7, and an older etcd does not start on its data. Keep a 3.7, or restore a snapshot that was taken before the upgrade into a new cluster.",
    ],
  ];
  it.each(refused)("is refused: %s", (_, versions, to, summary, detail) => {
    expect(upgrade(versions, to).refusal).toMatchObject([{ summary, detail }]);
  });
});
