/** Members that haplan cannot call are not members that are down, whatever keeps the calls from them. */
import { describe, expect, it } from "vitest";
import { FakeWorld } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import { HaplanError } from "../base/haplan-error.ts";
import type { ObservedOrphan } from "../plan/observed-cluster.ts";
import type { PlannerInput } from "../plan/planner-input.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { applyPlan } from "./apply-plan.ts";
import { observeCluster } from "./observe-cluster.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);

/** A cluster that was applied; then haplan cannot call these. */
async function cutOff(...names: readonly string[]): Promise<FakeWorld> {
  const world = new FakeWorld();
  expect(await applyPlan(await planInWorld(world, three), world.ports())).toMatchObject({ kind: "applied" });
  for (const name of names) world.uncalled.add(name);
  return world;
}

function atOtherAddress(...names: readonly string[]): ClusterSpec["controlPlane"]["masters"] {
  return three.controlPlane.masters.map((master, at) =>
    names.includes(master.name) ? { ...master, address: `127.0.9.${at + 1}` } : master,
  );
}

describe("members that haplan cannot call, and that are at work on their own hosts", () => {
  it.each([["m1"], ["m2"], ["m1 m2"], ["m2 m3"]])(
    "are not started again while another one answers: %s",
    async (names) => {
      const { steps, warnings, drift } = await planInWorld(await cutOff(...names.split(" ")), three);
      expect(steps).toEqual([]);
      for (const { reason } of drift) expect(reason).toBe("haplan cannot call it, and its process is at work");
      expect(warnings.map(({ summary }) => summary)).toEqual(
        names.split(" ").map((name) => `haplan cannot call the member on haplan_machine.${name}`),
      );
      expect(warnings[0]!.detail).toMatch(/is at work on its own host.*It is not down/s);
    },
  );

  it("count as voters that are away: no other one is stopped for a change", async () => {
    const world = await cutOff("m2");
    const slower = { ...three, controlPlane: { ...three.controlPlane, electionTimeoutMs: 2_000 } };
    await expect(planInWorld(world, slower)).rejects.toThrow("would lose the quorum while m2 is down");
    world.uncalled.clear();
    expect(await applyPlan(await planInWorld(world, slower), world.ports())).toMatchObject({ kind: "applied" });
    expect(world.violations).toEqual([]);
  });

  it("are all that there are: nothing is planned", async () => {
    const world = await cutOff("m1", "m2", "m3");
    await expect(planInWorld(world, three)).rejects.toThrow(
      "haplan cannot call m1, m2, m3, and no other member answers",
    );
  });

  it.each<[string, Partial<ClusterSpec["controlPlane"]>]>([
    ["another client port", { clientPort: 12379 }],
    ["another peer port", { peerPort: 12380 }],
    ["another address of one", { masters: atOtherAddress("m2") }],
    ["all other addresses", { masters: atOtherAddress("m1", "m2", "m3") }],
    ["two more", { masters: fixtureSpec(["m1", "m2", "m3", "m4", "m5"]).controlPlane.masters }],
  ])("are where they were applied, whatever the spec has by now: %s", async (_, change) => {
    const world = await cutOff("m1", "m2", "m3");
    const wanted = { ...three, controlPlane: { ...three.controlPlane, ...change } };
    await expect(planInWorld(world, wanted)).rejects.toThrow("haplan cannot call m1, m2, m3, and no other member");
  });

  it("do not keep members from being started whose processes have ended", async () => {
    const world = await cutOff("m1");
    for (const name of ["m2", "m3"])
      for (const unit of world.facts.machines.get(name)!.units.values()) unit.running = false;
    const plan = await planInWorld(world, three);
    const started = plan.steps.flatMap(({ action }) => ("member" in action ? [`${action.kind} ${action.member}`] : []));
    expect(started).toEqual(["restartAgent m2", "restartAgent m3"]);
    expect(await applyPlan(plan, world.ports())).toMatchObject({ kind: "applied" });
    expect(world.violations).toEqual([]);
  });

  it("are known by their data where the state is lost", async () => {
    const world = await cutOff("m1", "m2", "m3");
    world.facts.state = null;
    await expect(planInWorld(world, three)).rejects.toThrow(
      "haplan cannot call m1, m2, m3, and no other member answers",
    );
  });

  it("are replaced where that is asked for", async () => {
    const { steps } = await planInWorld(await cutOff("m2"), three, { replace: ["haplan_machine.m2"] });
    expect(steps.map(({ title }) => title)).toContain("destroy machine m2");
  });

  describe("and whose directories are hidden", () => {
    const hidden = async (...names: readonly string[]): Promise<FakeWorld> => {
      const world = await cutOff(...names);
      for (const name of names) world.hidden.add(name);
      return world;
    };

    it.each([["m1"], ["m2"], ["m1 m2"], ["m2 m3"]])("are left alone while another one answers: %s", async (names) => {
      const { steps, warnings } = await planInWorld(await hidden(...names.split(" ")), three);
      expect(steps).toEqual([]);
      expect(warnings.map(({ summary }) => summary)).toEqual(
        names.split(" ").map((name) => `haplan cannot call the member on haplan_machine.${name}`),
      );
      expect(warnings[0]!.detail).toMatch(/is at work on its own host.*directory of its machine is not there/s);
    });

    it("are all that there are: the quorum is not lost", async () => {
      await expect(planInWorld(await hidden("m1", "m2", "m3"), three)).rejects.toThrow(
        "haplan cannot call m1, m2, m3, and no other member answers",
      );
    });

    it("are beside others that are only cut off", async () => {
      const world = await hidden("m1");
      for (const name of ["m2", "m3"]) world.uncalled.add(name);
      await expect(planInWorld(world, three)).rejects.toThrow("haplan cannot call m1, m2, m3, and no other member");
    });

    it("are not made anew while their processes hang", async () => {
      const world = await hidden("m2");
      world.hung.add("m2");
      const { steps, warnings } = await planInWorld(world, three);
      expect(steps).toEqual([]);
      expect(warnings[0]!.detail).toContain("its process runs, and does not answer");
    });

    it("are not made anew where that is asked for", async () => {
      await expect(planInWorld(await hidden("m2"), three, { replace: ["haplan_machine.m2"] })).rejects.toThrow(
        "Master m2 cannot be made anew while its former agent runs",
      );
    });

    it("are replaced once their processes have ended", async () => {
      const world = await hidden("m2");
      for (const unit of world.facts.machines.get("m2")!.units.values()) unit.running = false;
      const { steps } = await planInWorld(world, three);
      expect(steps.map(({ title }) => title)).toContain("create machine m2 (generation 2)");
    });

    it("are destroyed", async () => {
      const world = await hidden("m1", "m2", "m3");
      const { steps } = await planInWorld(world, three, { mode: "destroy" });
      const destroyed = steps.flatMap(({ action }) => (action.kind === "destroyMachine" ? [action.machine] : []));
      expect(destroyed).toEqual(expect.arrayContaining(["m1", "m2", "m3"]));
    });
  });

  it("are destroyed", async () => {
    const world = await cutOff("m1", "m2", "m3");
    const { steps, warnings } = await planInWorld(world, three, { mode: "destroy" });
    const destroyed = steps.flatMap(({ action }) => (action.kind === "destroyMachine" ? [action.machine] : []));
    expect(destroyed).toEqual(expect.arrayContaining(["m1", "m2", "m3"]));
    expect(warnings.map(({ code }) => code)).not.toContain("plan/unreachable");
  });

  it("are left alone if their own hosts cannot tell", async () => {
    const world = await cutOff("m2");
    const ports = world.ports();
    const answersLocally = async (): Promise<boolean> => {
      throw new HaplanError("host/unknown-call", 'haplan-host has no call "answersLocally"');
    };
    const provider = { ...ports.provider, answersLocally };
    const observed = await observeCluster({ ...ports, provider }, { spec: three, state: world.facts.state });
    const { steps, warnings } = await planInWorld(world, three, { observed });
    expect(steps).toEqual([]);
    expect(warnings[0]!.detail).toContain(
      'cannot tell whether it is at work (haplan-host has no call "answersLocally")',
    );
  });

  it("are started again if their own hosts get no answer either", async () => {
    const world = await cutOff("m2");
    const ports = world.ports();
    const provider = { ...ports.provider, answersLocally: async () => false };
    const observed = await observeCluster({ ...ports, provider }, { spec: three, state: world.facts.state });
    const { steps } = await planInWorld(world, three, { observed });
    expect(steps.map(({ title }) => title)).toContain("restart agent m2, unless it answers by then");
  });

  it.each<[string, PlannerInput["replace"], string]>([
    ["left alone", [], "haplan cannot call the member on haplan_machine.m2"],
    ["not made anew beside its agent", ["haplan_machine.m2"], "former agent runs (pid 812)"],
  ])(
    "are %s where the hidden directory is that of a machine that was made beside its former one",
    async (_, replace, text) => {
      const world = await cutOff("m2");
      world.hidden.add("m2");
      const ports = world.ports();
      const observeOrphans = async (): Promise<readonly ObservedOrphan[]> => [
        { machine: "m2@2", unit: "agent", pid: 812 },
      ];
      const provider = { ...ports.provider, observeOrphans };
      const observed = await observeCluster({ ...ports, provider }, { spec: three, state: world.facts.state });
      const planned = planInWorld(world, three, { observed, replace: replace ?? [] });
      if (replace?.length === 0) expect((await planned).warnings.map(({ summary }) => summary)).toEqual([text]);
      else await expect(planned).rejects.toThrow(text);
    },
  );
});
