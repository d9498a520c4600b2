import { describe, expect, it } from "vitest";
import {
  emptyObservation,
  fixtureInput,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { planChanges } from "./planner.ts";

const base = fixtureSpec(["m1", "m2", "m3"]);

function withEtcd(httpPort?: number, version = "3.6.14"): ClusterSpec {
  const etcd = { binary: "/opt/etcd", version, ...(httpPort === undefined ? {} : { httpPort }) };
  return { ...base, controlPlane: { ...base.controlPlane, engine: "etcd", etcd } };
}

function warningsOf(spec: ClusterSpec): readonly string[] {
  return planChanges(fixtureInput(spec, { state: null, observed: emptyObservation })).plan!.warnings.map(
    ({ code }) => code,
  );
}

describe("the port where etcd serves HTTP", () => {
  it.each([
    ["advised for a new cluster", withEtcd(), true],
    ["not advised for an etcd that does not know it", withEtcd(undefined, "3.4.23"), false],
    ["not advised where it is set", withEtcd(2383), false],
    [
      "not advised for an etcd of unknown version",
      { ...base, controlPlane: { ...base.controlPlane, engine: "etcd" } },
      false,
    ],
  ] as const)("is %s", (_, spec, advised) => {
    expect(warningsOf(spec).includes("plan/etcd-cuts-calls")).toBe(advised);
  });

  it.each([
    [withEtcd(), withEtcd(2383), "it is not set", "Remove httpPort. "],
    [withEtcd(2383), withEtcd(), "it is 2383", "Write httpPort: 2383. "],
    [withEtcd(2383), withEtcd(2384), "it is 2383", "Write httpPort: 2383. "],
  ])("cannot change while the cluster runs", (applied, wanted, found, advice) => {
    const observed = settledObservation(applied);
    const { refusal } = planChanges(fixtureInput(wanted, { state: settledState(applied), observed }));
    const summary = `etcd's httpPort cannot change while the cluster runs: ${found}`;
    expect(refusal).toMatchObject([
      { code: "plan/http-port-changed", summary, detail: expect.stringContaining(advice) },
    ]);
  });

  it("stays without a change", () => {
    const spec = withEtcd(2383);
    const settled = { state: settledState(spec), observed: settledObservation(spec) };
    expect(planChanges(fixtureInput(spec, settled)).plan!.steps).toEqual([]);
  });
});
