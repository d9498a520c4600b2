/** Load balancers whose processes are gone are back before the membership changes. */
import { describe, expect, it } from "vitest";
import { FakeWorld } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { planOf } from "../../test/support/plan-of.ts";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import { applyPlan } from "../apply/apply-plan.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { Plan } from "./plan.ts";

const names = ["m1", "m2", "m3", "m4", "m5"];
const three = fixtureSpec(names.slice(0, 3));
const five = fixtureSpec(names);

/** A cluster that was applied, whose load balancer then ended. */
async function withoutBalancer(spec: ClusterSpec): Promise<FakeWorld> {
  const world = new FakeWorld();
  expect(await applyPlan(await planInWorld(world, spec), world.ports())).toMatchObject({ kind: "applied" });
  for (const unit of world.facts.machines.get("load-balancer")!.units.values()) unit.running = false;
  world.acted.length = 0;
  return world;
}

const kindsOf = ({ steps }: Plan): readonly string[] => steps.map(({ action }) => action.kind);

describe("a load balancer whose process is gone", () => {
  it.each<[string, ClusterSpec, ClusterSpec, readonly string[]]>([
    ["5 masters become 3", five, three, names],
    ["3 masters become 5", three, five, names.slice(0, 3)],
    ["nothing else changes", three, three, names.slice(0, 3)],
    [
      "all masters restart",
      three,
      { ...three, controlPlane: { ...three.controlPlane, electionTimeoutMs: 2_000 } },
      names.slice(0, 3),
    ],
  ])("is started before all else, with the targets that it has: %s", async (_, before, after, backends) => {
    const world = await withoutBalancer(before);
    const plan = await planInWorld(world, after);
    const start = plan.steps.find(({ action }) => action.kind === "startLoadBalancer");
    expect(start).toMatchObject({ action: { backends }, after: [] });
    expect(kindsOf(plan).filter((kind) => kind === "startLoadBalancer")).toHaveLength(1);
    const decided = plan.steps.findIndex(({ action }) =>
      ["changeVoters", "addLearner", "updateAgent"].includes(action.kind),
    );
    if (decided !== -1) expect(plan.steps.indexOf(start!)).toBeLessThan(decided);
    expect(plan.changes.find(({ address }) => address === "haplan_load_balancer.load-balancer")).toMatchObject({
      action: "update",
      reason: "dead: its process is gone",
    });
    expect(await applyPlan(plan, world.ports())).toMatchObject({ kind: "applied" });
    expect(world.acted).toContain("startUnit load-balancer");
    expect(world.violations).toEqual([]);
    expect((await planInWorld(world, after)).steps).toEqual([]);
  });

  it("gets other ports at once, and its targets as they change", async () => {
    const world = await withoutBalancer(five);
    const wanted = { ...three, loadBalancer: { ...three.loadBalancer, ports: [6443] } };
    const plan = await planInWorld(world, wanted);
    expect(plan.steps[0]).toMatchObject({ action: { kind: "startLoadBalancer", backends: names } });
    expect(await applyPlan(plan, world.ports())).toMatchObject({ kind: "applied" });
    expect(world.violations).toEqual([]);
    expect((await planInWorld(world, wanted)).steps).toEqual([]);
  });

  it("is started beside a member that is dead as well", async () => {
    const world = await withoutBalancer(three);
    for (const unit of world.facts.machines.get("m2")!.units.values()) unit.running = false;
    const plan = await planInWorld(world, five);
    const atOnce = plan.steps.filter(({ after }) => after.length === 0).map(({ action }) => action.kind);
    expect(atOnce).toEqual(expect.arrayContaining(["startLoadBalancer", "restartAgent"]));
    expect(await applyPlan(plan, world.ports())).toMatchObject({ kind: "applied" });
    expect((await planInWorld(world, five)).steps).toEqual([]);
  });

  it("runs again by the time that others change it: their order is as without", async () => {
    const world = new FakeWorld();
    expect(await applyPlan(await planInWorld(world, five), world.ports())).toMatchObject({ kind: "applied" });
    const running = kindsOf(await planInWorld(world, three));
    const dead = kindsOf(await planInWorld(await withoutBalancer(five), three));
    expect(dead.filter((kind) => kind !== "startLoadBalancer")).toEqual(running);
  });
});

/** Two with a virtual address: `.1` is the host of lb1. */
function withHosts(...hosts: readonly (readonly [name: string, address: string])[]): ClusterSpec {
  const virtual = { interface: null, routerId: 7 };
  const named = hosts.map(([name, address]) => ({ name, zone: null, address }));
  return { ...three, loadBalancer: { ...three.loadBalancer, address: "10.0.0.100", hosts: named, virtual } };
}

describe("a load balancer of a virtual address whose process is gone", () => {
  const pair = withHosts(["lb1", "10.0.0.1"], ["lb2", "10.0.0.2"]);

  it.each<[string, ClusterSpec]>([
    ["moves", withHosts(["lb1", "10.0.0.1"], ["lb2", "10.0.0.27"])],
    ["leaves", withHosts(["lb1", "10.0.0.1"])],
    ["is replaced", withHosts(["lb1", "10.0.0.1"], ["lb3", "10.0.0.3"])],
  ])("is not started before the other one, which runs and %s, has stopped", (_, wanted) => {
    const observed = settledObservation(pair);
    const machines = observed.machines.map((machine) => {
      const units = machine.units.map((unit) => (machine.name === "lb1" ? { ...unit, running: false } : unit));
      return { ...machine, units };
    });
    const { steps } = planOf(fixtureInput(wanted, { state: settledState(pair), observed: { ...observed, machines } }));
    const titles = steps.map(({ title }) => title.split(":")[0]!);
    const place = (title: string): number => titles.indexOf(title);
    expect(titles).toEqual(expect.arrayContaining(["start load balancer lb1", "stop load balancer lb2"]));
    expect(place("stop load balancer lb2")).toBeLessThan(place("start load balancer lb1"));
  });
});
