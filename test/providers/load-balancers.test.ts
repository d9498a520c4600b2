/** The contract of load balancers, kept by one that is a unit and by one that a cloud runs; and what is planned for the latter. */

import { beforeEach, describe, expect, it } from "vitest";
import { applyPlan } from "../../src/apply/apply-plan.ts";
import { observeCluster } from "../../src/apply/observe-cluster.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { planChanges } from "../../src/plan/planner.ts";
import type { PlannerInput } from "../../src/plan/planner-input.ts";
import type { LoadBalancer } from "../../src/providers/load-balancer.ts";
import { localModel } from "../../src/providers/local/local-model.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { loadBalancerConfig } from "../../src/units/load-balancer-unit.ts";
import { createCliFixture } from "../support/command-line.ts";
import { FakeCloudLoadBalancer } from "../support/fake-cloud-load-balancer.ts";
import { FakeWorld } from "../support/fake-world.ts";
import { fixtureNowMs, fixtureSpec } from "../support/planned-cluster.ts";
import { describeLoadBalancer } from "./load-balancer-contract.ts";

const three = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });
const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"], { workers: 1 });

async function unitOnMachine(): Promise<LoadBalancer> {
  const { provider, loadBalancer } = new FakeWorld().ports();
  const machine = { name: "load-balancer", address: "127.0.1.100", zone: null, lineage: "lineage-1", generation: 1 };
  await provider.createMachine(machine);
  return loadBalancer;
}

describeLoadBalancer("that is a unit on a machine", unitOnMachine);
describeLoadBalancer("that a cloud runs", async () => new FakeCloudLoadBalancer());

describe("a control plane behind a load balancer that a cloud runs", () => {
  let world: FakeWorld;
  let cloud: FakeCloudLoadBalancer;
  beforeEach(() => {
    world = new FakeWorld();
    cloud = new FakeCloudLoadBalancer();
    world.cloud = cloud;
    world.model = FakeCloudLoadBalancer.model(localModel);
  });

  async function plan(spec: ClusterSpec, more: Partial<PlannerInput> = {}): Promise<Plan> {
    const { state } = world.facts;
    const observed = await observeCluster(world.ports(), { spec, state });
    const bound = { specDigest: "d", mode: "apply", haplanVersion: "0.1.0", nowMs: fixtureNowMs } as const;
    const result = planChanges({ spec, state, observed, provider: world.model, ...bound, ...more });
    expect(result.refusal).toBeUndefined();
    return result.plan!;
  }

  async function apply(spec: ClusterSpec, more: Partial<PlannerInput> = {}): Promise<Plan> {
    const made = await plan(spec, more);
    expect(await applyPlan(made, world.ports())).toMatchObject({ kind: "applied" });
    expect(world.violations).toEqual([]);
    return made;
  }

  const balancerIn = (made: Plan): Plan["changes"][number] | undefined =>
    made.changes.find(({ address }) => address === "haplan_load_balancer.load-balancer");

  it("makes it without a machine, a certificate or a unit of its own, and has nothing to do afterwards", async () => {
    const made = await apply(three);
    const addresses = made.changes.map(({ address }) => address);
    expect(addresses).not.toContain("haplan_machine.load-balancer");
    expect(addresses).not.toContain("haplan_certificate.load-balancer");
    expect(balancerIn(made)).toMatchObject({
      action: "create",
      after: { scheme: "internal", idleTimeoutSeconds: 350 },
      unknownAfter: ["definitionDigest", "arn"],
    });
    expect(cloud.acts).toEqual(["ensure m1,m2,m3"]);
    expect(world.facts.state?.resources.find(({ type }) => type === "haplan_load_balancer")?.attributes).toMatchObject({
      arn: "arn:fake:1",
      endpoint: "https://127.0.1.100:2379",
    });
    expect((await plan(three)).steps).toEqual([]);
  });

  it("tells it of each change of masters, and never leaves it without one that serves", async () => {
    await apply(three);
    await apply(five);
    expect(cloud.acts.at(-1)).toBe("ensure m1,m2,m3,m4,m5");
    await apply(three);
    expect(cloud.acts.at(-1)).toBe("ensure m1,m2,m3");
    expect(cloud.count).toBe(1);
  });

  it("puts right what was changed outside of haplan", async () => {
    await apply(three);
    cloud.made = { ...cloud.made!, config: loadBalancerConfig(three, { backends: ["m1"] }) };
    expect(balancerIn(await apply(three))).toMatchObject({
      action: "update",
      reason: "it was changed outside of haplan",
    });
    expect(cloud.config?.backends).toHaveLength(3);
    expect((await plan(three)).steps).toEqual([]);
  });

  it("makes it anew when it is gone", async () => {
    await apply(three);
    cloud.made = null;
    expect(balancerIn(await apply(three))).toMatchObject({ action: "create", reason: "it is gone" });
    expect(cloud.count).toBe(2);
  });

  it("changes in place what can be, and replaces it for what cannot", async () => {
    await apply(three);
    const model = (attributes: Record<string, string | number>): PlannerInput["provider"] => ({
      ...world.model,
      describeLoadBalancer: (spec) => ({
        ...FakeCloudLoadBalancer.model(localModel).describeLoadBalancer(spec),
        attributes,
      }),
    });
    world.model = model({ scheme: "internal", idleTimeoutSeconds: 60 });
    expect(balancerIn(await apply(three))).toMatchObject({
      action: "update",
      reason: "its idle_timeout_seconds has changed",
      before: { idleTimeoutSeconds: 350 },
      after: { idleTimeoutSeconds: 60 },
    });
    expect(cloud.made?.attributes).toEqual({ scheme: "internal", idleTimeoutSeconds: 60 });
    world.model = model({ scheme: "internet-facing", idleTimeoutSeconds: 60 });
    const replaced = await plan(three);
    expect(balancerIn(replaced)).toMatchObject({ action: "deleteThenCreate", forcesReplacement: ["scheme"] });
    expect(await applyPlan(replaced, world.ports())).toMatchObject({ kind: "applied" });
    expect(cloud.count).toBe(2);
    expect((await plan(three)).steps).toEqual([]);
  });

  it("leaves it as it is while the cloud cannot be asked, and says so", async () => {
    await apply(three);
    cloud.unreachable = true;
    const made = await plan(five);
    expect(made.warnings).toContainEqual(
      expect.objectContaining({
        code: "plan/unreachable",
        summary: "haplan_load_balancer.load-balancer is unreachable",
        detail: expect.stringContaining("the API does not answer"),
      }),
    );
    expect(made.steps.filter(({ action }) => action.kind.endsWith("LoadBalancer"))).toEqual([]);
    expect(balancerIn(made)).toMatchObject({ action: "noop" });
  });

  it("removes it with the rest", async () => {
    await apply(three);
    world.destroying = true;
    const made = await apply(three, { mode: "destroy" });
    expect(made.steps.map(({ id }) => id)).toContain("stopLoadBalancer");
    expect(cloud.made).toBeNull();
    expect(world.facts.state).toBeNull();
  });

  it("shows in haplan status what it says of its backends", async () => {
    const cli = createCliFixture();
    cli.world.cloud = cloud;
    cli.world.model = world.model;
    await cli.haplan("apply -auto-approve three.yaml");
    const { out } = await cli.haplan("status -json three.yaml");
    expect(JSON.parse(out).load_balancer).toMatchObject({
      running: true,
      pid: null,
      backends: [
        { name: "m1", state: "ready" },
        { name: "m2", state: "ready" },
        { name: "m3", state: "ready" },
      ],
    });
    cli.remove();
  });
});
