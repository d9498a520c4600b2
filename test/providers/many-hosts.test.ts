/** A plan of a hundred hosts behind a connection with a latency: how long it takes, and how many are asked at once. */
import { expect, it } from "vitest";
import { applyPlan } from "../../src/apply/apply-plan.ts";
import { observeCluster } from "../../src/apply/observe-cluster.ts";
import { systemClock } from "../../src/base/clock.ts";
import { specReader } from "../../src/providers/spec-reader.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { FakeWorld } from "../support/fake-world.ts";
import { planInWorld } from "../support/plan-in-world.ts";
import { FakeRemote } from "./fake-remote.ts";

const machinesAtOnce = 10;
const latencyMs = 20;

function specOf(masters: number, workers: number): ClusterSpec {
  const hosts = (letter: string, network: number, count: number): string =>
    Array.from(
      { length: count },
      (_, at) => `\n    - { name: ${letter}${at}, address: 127.${network}.0.${at + 1} }`,
    ).join("");
  const text = `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: many }
spec:
  provider: { type: local }
  controlPlane:
    members: ${masters}
    masters:${hosts("m", 90, masters)}
  workers:${hosts("w", 91, workers)}
  loadBalancer: { type: embedded, address: 127.92.0.1 }
`;
  const { spec, diagnostics } = specReader.parse("cluster.yaml", text);
  if (spec === null) throw new Error(JSON.stringify(diagnostics));
  return spec;
}

it("plans 100 hosts that are 20 ms away within 5 s, and asks no more at once than the provider's limit", async () => {
  const spec = specOf(7, 92);
  const world = new FakeWorld();
  await applyPlan(await planInWorld(world, spec, { nowMs: Date.now() }), world.ports());
  expect(world.facts.machines.size).toBe(100);

  const remote = new FakeRemote(world.ports().provider);
  remote.latencyMs = latencyMs;
  const signal = new AbortController().signal;
  const limits = { machinesAtOnce, callTimeoutMs: 10_000 };
  const provider = remote.session({ limits, clock: systemClock, signal, log: () => undefined });
  const fromMs = performance.now();
  const observed = await observeCluster({ ...world.ports(), provider }, { spec, state: world.facts.state });
  const plan = await planInWorld(world, spec, { observed, nowMs: Date.now() });
  const tookMs = performance.now() - fromMs;
  expect(plan.steps).toEqual([]);
  expect(remote.mostAtOnce).toBe(machinesAtOnce);
  expect(tookMs).toBeGreaterThan((100 / machinesAtOnce) * latencyMs * 0.9);
  expect(tookMs).toBeLessThan(5_000);
});
