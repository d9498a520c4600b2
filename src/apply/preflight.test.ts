import { describe, expect, it } from "vitest";
import { FakeWorld } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import type { PreflightRequest } from "../providers/provider.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { applyPlan } from "./apply-plan.ts";
import { preflightPlan } from "./preflight.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);

async function requestOf(spec: ClusterSpec, replace: readonly string[] = []): Promise<PreflightRequest> {
  const world = new FakeWorld();
  await applyPlan(await planInWorld(world, three), world.ports());
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

describe("the units that a plan checks", () => {
  it("are those of all members that a rolling update restarts, with the directories that they write to", async () => {
    const backup = { ...three.backup, schedule: { everyMinutes: 60, directory: "/var/backups/haplan" } };
    const { units } = await requestOf({ ...three, backup });
    expect(units.map(({ machine, unit }) => [machine, unit.directories]).toSorted()).toEqual(
      ["m1", "m2", "m3"].map((name) => [name, ["/var/backups/haplan"]]),
    );
  });
});
