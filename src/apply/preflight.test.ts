import { describe, expect, it } from "vitest";
import { FakeWorld } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import type { PreflightRequest, RemovalRequest } from "../providers/provider.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { balancerOf } from "../units/load-balancer-unit.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";
import { addressTakers } from "./address-takers.ts";
import { applyPlan } from "./apply-plan.ts";
import { checkRequest } from "./check-request.ts";
import { observeCluster } from "./observe-cluster.ts";
import { preflightPlan } from "./preflight.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);

async function requestOf(
  spec: ClusterSpec,
  replace: readonly string[] = [],
  before: ClusterSpec = three,
): Promise<PreflightRequest> {
  const world = new FakeWorld();
  await applyPlan(await planInWorld(world, before), world.ports());
  const ports = world.ports();
  let asked: PreflightRequest | null = null;
  const provider = {
    ...ports.provider,
    preflight: async (request: PreflightRequest) => {
      asked = request;
      return [];
    },
  };
  const plan = await planInWorld(world, spec, { replace });
  await preflightPlan(plan, "lineage", { ...ports, provider }, new AbortController().signal);
  if (asked === null) throw new Error("nothing was asked");
  return asked;
}

describe("the space that a plan needs", () => {
  it("counts on what a machine takes up that is removed before another one takes its place", async () => {
    const { space } = await requestOf(three, ["haplan_machine.m2"]);
    expect(space).toEqual([{ machine: "m2", bytes: expect.any(Number), replaces: true }]);
  });

  it("does not count on what a member has that stays until the new one has its vote", async () => {
    const masters = three.controlPlane.masters.map((master) =>
      master.name === "m2" ? { ...master, address: "127.0.1.22" } : master,
    );
    const { space } = await requestOf({ ...three, controlPlane: { ...three.controlPlane, masters } });
    expect(space).toEqual([{ machine: "m2", bytes: expect.any(Number) }]);
  });
});

/** Load balancers with a virtual address, on hosts of their own. */
function shared(places: { readonly [name: string]: string }, masters = three): ClusterSpec {
  const hosts = Object.entries(places).map(([name, address]) => ({ name, zone: null, address }));
  const virtual = { interface: null, routerId: 7 };
  return { ...masters, loadBalancer: { ...masters.loadBalancer, address: "10.0.0.100", hosts, virtual } };
}

describe("load balancers that change their hosts", () => {
  const before = shared({ lb1: "127.0.2.1", lb2: "127.0.2.2" });
  it.each<[string, ClusterSpec, readonly string[]]>([
    ["one of two", shared({ lb1: "127.0.2.1", lb3: "127.0.2.3" }), ["lb1", "lb2", "lb3"]],
    ["both", shared({ lb3: "127.0.2.3", lb4: "127.0.2.4" }), ["lb1", "lb2", "lb3", "lb4"]],
    ["one that keeps its name", shared({ lb1: "127.0.2.1", lb2: "127.0.2.3" }), ["lb1", "lb2"]],
  ])("may have the virtual address until they are replaced: %s", async (_, spec, machines) => {
    const { virtualAddress } = await requestOf(spec, [], before);
    expect(virtualAddress).toMatchObject({ address: "10.0.0.100", machines: expect.any(Array) });
    expect(virtualAddress!.machines.toSorted()).toEqual(machines);
    const world = new FakeWorld();
    await applyPlan(await planInWorld(world, before), world.ports());
    const checked = checkRequest(spec, world.facts.state, world.ports().provider.model);
    expect(checked.virtualAddress!.machines.toSorted()).toEqual(machines);
  });

  it("keep keepalived as it is on the host that one leaves, while its targets change", async () => {
    const world = new FakeWorld();
    await applyPlan(await planInWorld(world, before), world.ports());
    const masters = three.controlPlane.masters.map((master) =>
      master.name === "m2" ? { ...master, address: "127.0.1.22" } : master,
    );
    const moved = { ...three, controlPlane: { ...three.controlPlane, masters } };
    const plan = await planInWorld(world, shared({ lb1: "127.0.2.3", lb2: "127.0.2.2" }, moved));
    const ids = plan.steps.map(({ id }) => id);
    const [update] = ids.filter((id) => id.startsWith("updateLoadBalancer") && id.includes("lb1"));
    expect(update).toBeDefined();
    const destroyed: string[] = [];
    const keepalived = (): UnitDefinition | undefined =>
      world.facts.machines.get("lb1")?.units.get("keepalived")?.definition;
    const kept = keepalived();
    world.beforeAct = (act) => {
      if (!act.startsWith("destroyMachine lb1")) return;
      destroyed.push(act);
      expect(keepalived()).toEqual(kept);
    };
    expect(await applyPlan(plan, world.ports())).toMatchObject({ kind: "applied" });
    expect(destroyed).not.toEqual([]);
    expect(keepalived()).not.toEqual(kept);
  });
});

describe("a virtual address that load balancers do not have in force", () => {
  const hosts = { lb1: "127.0.2.1", lb2: "127.0.2.2" };
  const before = shared(hosts);
  const moved: ClusterSpec = { ...before, loadBalancer: { ...before.loadBalancer, address: "10.0.0.101" } };
  const more = shared({ ...hosts, lb3: "127.0.2.3" });
  const other = {
    ...before,
    controlPlane: { ...before.controlPlane, masters: fixtureSpec(["m1", "m2", "m4"]).controlPlane.masters },
  };
  const keepalived = (request: PreflightRequest): readonly string[] =>
    request.units.flatMap(({ machine, unit }) => (unit.name === "keepalived" ? [machine] : [])).toSorted();

  it.each<[string, ClusterSpec, ClusterSpec, string, readonly string[]]>([
    ["another one", before, moved, "10.0.0.101", ["lb1", "lb2"]],
    ["one of a cluster that had none", three, before, "10.0.0.100", ["lb1", "lb2"]],
    ["that of another load balancer", before, more, "10.0.0.100", ["lb3"]],
  ])("is checked before a plan gives it to them: %s", async (_, from, to, address, takers) => {
    const request = await requestOf(to, [], from);
    expect(request.virtualAddress).toMatchObject({ address });
    expect(request.virtualAddress!.machines).toEqual(expect.arrayContaining(["lb1", "lb2"]));
    expect(keepalived(request)).toEqual(takers);
  });

  it("is checked where only one of them has it, since an apply has failed", async () => {
    const world = new FakeWorld();
    await applyPlan(await planInWorld(world, before), world.ports());
    world.failing = (act) => (act.startsWith("startUnit lb1") ? "the disk is full" : null);
    expect(await applyPlan(await planInWorld(world, moved), world.ports())).toMatchObject({ kind: "failed" });
    world.failing = () => null;
    const plan = await planInWorld(world, moved);
    expect(addressTakers(plan).map(balancerOf)).toEqual(["lb1"]);
  });

  it("is none where only their targets change", async () => {
    const { virtualAddress, units } = await requestOf(other, [], before);
    expect(virtualAddress).toBeUndefined();
    expect(units.filter(({ machine }) => machine.startsWith("lb"))).toEqual([]);
  });

  it("is told by the hosts, with a lost state", async () => {
    const world = new FakeWorld();
    await applyPlan(await planInWorld(world, before), world.ports());
    world.facts.state = null;
    const seen = await observeCluster(world.ports(), { spec: before, state: null });
    const machines = seen.machines.map((machine) => ({
      ...machine,
      units: machine.units.map((unit) =>
        unit.name === "keepalived" ? { ...unit, virtualAddress: before.loadBalancer.address } : unit,
      ),
    }));
    const takers = async (spec: ClusterSpec): Promise<readonly string[]> =>
      addressTakers(await planInWorld(world, spec, { observed: { ...seen, machines } })).map(balancerOf);
    expect(await takers(before)).toEqual([]);
    expect(await takers(moved)).toEqual(["lb2", "lb1"]);
  });
});

describe("the units that a plan checks", () => {
  it("are those of all members that a rolling update restarts, with the directories that they write to", async () => {
    const backup = { ...three.backup, schedule: { everyMinutes: 60, directory: "/var/backups/haplan" } };
    const { units } = await requestOf({ ...three, backup });
    expect(units.map(({ machine, unit }) => [machine, unit.directories]).toSorted()).toEqual(
      ["m1", "m2", "m3"].map((name) => [name, ["/var/backups/haplan"]]),
    );
  });
});

describe("what a plan removes", () => {
  it("is checked before the first step, and by a destroy alone: nothing is stopped for what is protected", async () => {
    const world = new FakeWorld();
    await applyPlan(await planInWorld(world, three), world.ports());
    const before = structuredClone([...world.facts.machines.keys()]);
    const ports = world.ports();
    const asked: RemovalRequest[] = [];
    const provider = {
      ...ports.provider,
      checkRemoval: async (request: RemovalRequest) => {
        asked.push(request);
        return [{ severity: "error" as const, code: "test/protected", summary: "m2 is protected", detail: "" }];
      },
    };
    for (const [options, machines] of [
      [{ replace: ["haplan_machine.m2"] }, ["m2"]],
      [{ mode: "destroy" as const }, ["load-balancer", "m1", "m2", "m3", "w1", "w2"]],
    ] as const) {
      const plan = await planInWorld(world, three, options);
      const outcome = await applyPlan(plan, { ...ports, provider });
      expect(outcome).toMatchObject({ kind: "refused", diagnostics: [{ code: "test/protected" }] });
      expect([...(asked.pop()?.machines ?? [])].toSorted()).toEqual(machines);
    }
    expect([...world.facts.machines.keys()]).toEqual(before);
  });
});
