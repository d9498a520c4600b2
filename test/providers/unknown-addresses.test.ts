/** Machines whose provider chooses their addresses: known after apply, and read by each step when it needs them. */
import { beforeEach, describe, expect, it } from "vitest";
import { applyPlan } from "../../src/apply/apply-plan.ts";
import { observeCluster } from "../../src/apply/observe-cluster.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { planChanges } from "../../src/plan/planner.ts";
import type { PlannerInput } from "../../src/plan/planner-input.ts";
import type { Attributes, ResourceAddress } from "../../src/plan/resource.ts";
import { localModel } from "../../src/providers/local/local-model.ts";
import { addressReference, unknownAddresses } from "../../src/spec/address-reference.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { FakeCloudLoadBalancer } from "../support/fake-cloud-load-balancer.ts";
import { fakeRemoteModel } from "../support/fake-remote-model.ts";
import { FakeWorld, Killed } from "../support/fake-world.ts";
import { fixtureNowMs, fixtureSpec } from "../support/planned-cluster.ts";

/** The provider chooses the addresses of all machines but the load balancer's. */
function lateSpec(masters: readonly string[]): ClusterSpec {
  const spec = fixtureSpec(masters, { workers: 1 });
  const late = <Host extends { readonly name: string; readonly address: string }>(host: Host): Host => ({
    ...host,
    address: addressReference(`haplan_machine.${host.name}`),
  });
  return {
    ...spec,
    controlPlane: { ...spec.controlPlane, masters: spec.controlPlane.masters.map(late) },
    workers: spec.workers.map(late),
  };
}

const three = lateSpec(["m1", "m2", "m3"]);
const five = lateSpec(["m1", "m2", "m3", "m4", "m5"]);

async function plan(world: FakeWorld, spec: ClusterSpec, more: Partial<PlannerInput> = {}): Promise<Plan> {
  const { state } = world.facts;
  const observed = await observeCluster(world.ports(), { spec, state });
  const bound = { specDigest: "d", mode: "apply", haplanVersion: "0.1.0", nowMs: fixtureNowMs } as const;
  const result = planChanges({ spec, state, observed, provider: world.model, ...bound, ...more });
  expect(result.refusal).toBeUndefined();
  return result.plan!;
}

async function apply(world: FakeWorld, spec: ClusterSpec, more: Partial<PlannerInput> = {}): Promise<Plan> {
  const made = await plan(world, spec, more);
  expect(await applyPlan(made, world.ports())).toMatchObject({ kind: "applied" });
  expect(world.violations).toEqual([]);
  return made;
}

const attributesOf = (world: FakeWorld, address: ResourceAddress): Attributes | undefined =>
  world.facts.state?.resources.find((resource) => resource.address === address)?.attributes;

/** What was written anywhere without its address. */
const unresolved = (world: FakeWorld): readonly string[] =>
  unknownAddresses([
    world.facts.state,
    world.facts.members,
    [...world.facts.machines.values()].map(({ units }) => [...units]),
  ]);

function lateWorld(facts?: FakeWorld["facts"]): FakeWorld {
  const world = new FakeWorld(facts);
  world.model = fakeRemoteModel();
  return world;
}

describe("addresses that the provider chooses", () => {
  let world: FakeWorld;
  beforeEach(() => {
    world = lateWorld();
  });

  it("are known after apply in the plan, with all that holds them", async () => {
    const { changes, steps } = await plan(world, three);
    const unknown = (address: string): readonly string[] =>
      changes.find((change) => change.address === address)!.unknownAfter;
    expect(unknown("haplan_machine.m1")).toContain("address");
    expect(unknown("haplan_agent.m1")).toEqual(expect.arrayContaining(["clientUrl", "peerUrl", "configDigest"]));
    expect(unknown("haplan_certificate.m1")).toContain("subjectAltNames");
    expect(unknown("haplan_lb_backend.m1")).toContain("target");
    expect(unknown("haplan_load_balancer.load-balancer")).toContain("configDigest");
    expect(JSON.stringify(changes)).not.toContain("${");
    const certificate = steps.find(({ id }) => id === "issueCertificate:m1");
    expect(certificate?.after).toContain("createMachine:m1#1");
    const started = steps.find(({ id }) => id === "startAgent:m1");
    for (const name of ["m1", "m2", "m3"]) expect(started?.after).toContain(`createMachine:${name}#1`);
  });

  it("reach certificates, members, the load balancer and the state, and the next plan has nothing to do", async () => {
    await apply(world, three);
    expect(unresolved(world)).toEqual([]);
    const address = world.facts.machines.get("m2")!.identity.address;
    expect(address).toMatch(/^10\.1\.0\.\d+$/);
    expect(attributesOf(world, "haplan_raft_member.m2")).toMatchObject({ peerUrl: `https://${address}:2380` });
    expect(attributesOf(world, "haplan_lb_backend.m2")).toEqual({ target: `${address}:2379` });
    expect(world.facts.members.map(({ peerUrl }) => peerUrl)).toContain(`https://${address}:2380`);
    expect(world.facts.certificates.get("m2")?.subjectAltNames).toContain(address);
    expect(world.servingTargets()).toBe(3);
    expect((await plan(world, three)).steps).toEqual([]);
  });

  it("reach those that join, and those that are told of them", async () => {
    await apply(world, three);
    await apply(world, five);
    expect(unresolved(world)).toEqual([]);
    expect(world.servingTargets()).toBe(5);
    expect((await plan(world, five)).steps).toEqual([]);
  });

  it("are new ones for a machine that is recreated", async () => {
    await apply(world, three);
    const before = world.facts.machines.get("m2")!.identity.address;
    world.facts.machines.delete("m2");
    const made = await apply(world, three);
    expect(made.changes.find(({ address }) => address === "haplan_machine.m2")?.unknownAfter).toContain("address");
    const after = world.facts.machines.get("m2")!.identity.address;
    expect(after).not.toBe(before);
    expect(attributesOf(world, "haplan_raft_member.m2")).toMatchObject({ peerUrl: `https://${after}:2380` });
    expect(world.servingTargets()).toBe(3);
    expect(unresolved(world)).toEqual([]);
    expect((await plan(world, three)).steps).toEqual([]);
  });

  it("are new ones for each master that is replaced, one after the other", async () => {
    await apply(world, three);
    world.model = fakeRemoteModel({ type: "large", image: "debian-13", diskGb: 20 });
    await apply(world, three);
    expect(world.servingTargets()).toBe(3);
    expect(unresolved(world)).toEqual([]);
    expect((await plan(world, three)).steps).toEqual([]);
  });

  it("R7: are read again by an apply that goes on after one that was killed", async () => {
    let runs = 0;
    for (let killAt = 1; ; killAt += 3) {
      const first = lateWorld();
      first.killAt = killAt;
      const died = await apply(first, three).then(
        () => false,
        (error: unknown) => {
          if (error instanceof Killed || first.acts >= killAt) return true;
          throw error;
        },
      );
      if (!died) break;
      runs += 1;
      const second = lateWorld(first.facts);
      await apply(second, three);
      expect(unresolved(second), `killed before act ${killAt}`).toEqual([]);
      expect(second.servingTargets()).toBe(3);
      expect((await plan(second, three)).steps).toEqual([]);
    }
    expect(runs).toBeGreaterThan(10);
  });
});

describe("a load balancer whose address its cloud chooses", () => {
  const fixed = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });
  const spec: ClusterSpec = {
    ...fixed,
    loadBalancer: { ...fixed.loadBalancer, address: addressReference("haplan_load_balancer.load-balancer") },
  };
  let world: FakeWorld;
  let cloud: FakeCloudLoadBalancer;
  beforeEach(() => {
    world = new FakeWorld();
    cloud = new FakeCloudLoadBalancer();
    cloud.hasUnknownAddress = true;
    world.cloud = cloud;
    world.model = FakeCloudLoadBalancer.model(localModel);
  });

  it("is made before the certificates that name it, and serves once the members do", async () => {
    const { changes, steps } = await apply(world, spec);
    expect(steps[0]?.id).toBe("startLoadBalancer:");
    const balancer = changes.find(({ type }) => type === "haplan_load_balancer");
    expect(balancer?.unknownAfter).toEqual(expect.arrayContaining(["address", "endpoint", "configDigest"]));
    expect(changes.find(({ address }) => address === "haplan_worker.w1")?.unknownAfter).toContain("endpoint");
    expect(cloud.acts).toEqual(["ensure ", "ensure m1,m2,m3"]);
    expect(attributesOf(world, "haplan_load_balancer.load-balancer")).toMatchObject({
      address: "lb-1.cloud.example",
      endpoint: "https://lb-1.cloud.example:2379",
    });
    expect(attributesOf(world, "haplan_worker.w1")).toMatchObject({ endpoint: "https://lb-1.cloud.example:2379" });
    expect(world.facts.certificates.get("m1")?.subjectAltNames).toContain("lb-1.cloud.example");
    expect(unresolved(world)).toEqual([]);
    expect((await plan(world, spec)).steps).toEqual([]);
  });

  it("is named by the certificates under its new address when it is gone and recreated", async () => {
    await apply(world, spec);
    cloud.made = null;
    await apply(world, spec);
    expect(world.facts.certificates.get("m1")?.subjectAltNames).toContain("lb-2.cloud.example");
    expect(unresolved(world)).toEqual([]);
    expect((await plan(world, spec)).steps).toEqual([]);
  });

  it("is not replaced in one plan: the new one would be unknown", async () => {
    await apply(world, spec);
    const { state } = world.facts;
    const observed = await observeCluster(world.ports(), { spec, state });
    const bound = { specDigest: "d", mode: "apply", haplanVersion: "0.1.0", nowMs: fixtureNowMs } as const;
    const replace = ["haplan_load_balancer.load-balancer"];
    const { refusal } = planChanges({ spec, state, observed, provider: world.model, ...bound, replace });
    expect(refusal?.map(({ code }) => code)).toContain("plan/endpoint-replaced");
  });
});
