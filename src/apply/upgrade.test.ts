/** Rolling upgrades of a cluster in memory, with versions that work and versions that do not. */
import { describe, expect, it } from "vitest";
import { FakeWorld } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import type { Plan } from "../plan/plan.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { type ApplyOutcome, applyPlan } from "./apply-plan.ts";

const older = "0.3.0 (build 1a2b3c4d5e6f)";
const newer = "0.4.0 (build a1b2c3d4e5f6)";
const fixture = fixtureSpec(["m1", "m2", "m3"]);
const three = watching(1_000);

/** The write probe writes all the while: long watches make slow tests. */
function watching(upgradeWatchMs: number): ClusterSpec {
  return { ...fixture, policy: { ...fixture.policy, upgradeWatchMs, joinTimeoutMs: 20_000 } };
}

const planFor = (world: FakeWorld, spec: ClusterSpec = three): Promise<Plan> =>
  planInWorld(world, spec, { artifact: world.artifact });

const apply = async (world: FakeWorld, spec: ClusterSpec = three): Promise<ApplyOutcome> =>
  applyPlan(await planFor(world, spec), world.ports());

async function settled(spec: ClusterSpec = three): Promise<FakeWorld> {
  const world = new FakeWorld();
  world.artifact = older;
  expect(await apply(world, spec)).toMatchObject({ kind: "applied" });
  world.events.length = 0;
  return world;
}

/** The versions that units run, by machine, where they run. */
const running = ({ facts }: FakeWorld): Readonly<Record<string, string | null>> =>
  Object.fromEntries(
    [...facts.machines].flatMap(([name, { units }]) =>
      [...units.values()].filter((unit) => unit.running).map(({ artifact }) => [name, artifact]),
    ),
  );

/** The versions that the state has. */
const recorded = ({ facts }: FakeWorld): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    facts.state!.resources.flatMap(({ name, attributes }) =>
      attributes["artifact"] === undefined ? [] : [[name, attributes["artifact"]]],
    ),
  );

const all = (version: string): Readonly<Record<string, string>> =>
  Object.fromEntries(["m1", "m2", "m3", "load-balancer", "w1", "w2"].map((name) => [name, version]));

describe("a rolling upgrade", () => {
  it("gives each unit the new version, one member at a time, and a second plan has nothing to do", async () => {
    const world = await settled();
    world.artifact = newer;
    const startedMs = world.clock.monotonicMs();
    expect(await apply(world)).toMatchObject({ kind: "applied", summary: { added: 0, changed: 6, destroyed: 0 } });
    expect([running(world), recorded(world)]).toEqual([all(newer), all(newer)]);
    expect(world.violations).toEqual([]);
    // Three members and the load balancer, one after the other, and the workers together.
    expect(world.clock.monotonicMs() - startedMs).toBeGreaterThanOrEqual(5 * three.policy.upgradeWatchMs);
    expect((await planFor(world)).steps).toEqual([]);
  });

  it("begins no step if one host cannot get the programs, and says so of each", async () => {
    const world = await settled();
    world.artifact = newer;
    const before = structuredClone(world.facts);
    world.failing = (act) => (/^prepare (m3|w1)$/.test(act) ? "2 MiB are free" : null);
    const outcome = await apply(world);
    expect(outcome).toMatchObject({ kind: "refused" });
    const { diagnostics } = outcome as Extract<ApplyOutcome, { readonly kind: "refused" }>;
    expect(diagnostics.map(({ summary }) => summary)).toEqual(
      ["m3", "w1"].map((name) => `${name} cannot get haplan's programs`),
    );
    expect(diagnostics[0]!.detail).toMatch(/^2 MiB are free\nNo step was begun/);
    expect(world.facts).toEqual(before);
    world.failing = () => null;
    expect(await apply(world)).toMatchObject({ kind: "applied" });
  });

  it("brings the programs before the first step, and none where a machine is made anyway", async () => {
    const world = await settled();
    world.artifact = newer;
    const acts: string[] = [];
    world.beforeAct = (act) => acts.push(act);
    const masters = ["m1", "m2", "m3", "m4", "m5"];
    const five = { ...fixtureSpec(masters), policy: three.policy };
    expect(await apply(world, five)).toMatchObject({ kind: "applied" });
    expect(acts.indexOf("prepare load-balancer m1 m2 m3 w1 w2")).toBe(0);
    expect(world.events[0]).toEqual({ kind: "preparing", machines: ["load-balancer", "m1", "m2", "m3", "w1", "w2"] });
  });

  it("goes back in the same way", async () => {
    const world = await settled();
    world.artifact = newer;
    await apply(world);
    world.artifact = older;
    expect(await apply(world)).toMatchObject({ kind: "applied" });
    expect([running(world), recorded(world)]).toEqual([all(older), all(older)]);
  });

  it.each([
    ["does not start", "doesNotStart", /ended with exit code 1/],
    ["crashes after 5 s", "crashesAfter5s", /its process has ended/],
    ["is never ready", "isNeverReady", /Not healthy after 20 s/],
  ] as const)("stops at the first member and is undone when the version %s", async (_, defect, why) => {
    const world = await settled();
    world.artifact = newer;
    world.broken.set(newer, defect);
    const outcome = await apply(world, watching(6_000));
    expect(outcome).toMatchObject({
      kind: "failed",
      step: { id: "upgradeAgent:m2" },
      error: { code: "apply/upgrade-undone" },
    });
    const message = outcome.kind === "failed" ? outcome.error.message : "";
    expect(message).toMatch(why);
    expect(message).toContain(`agent m2 does not work with haplan ${newer}. It runs haplan ${older} again`);
    expect([running(world), recorded(world)]).toEqual([all(older), all(older)]);
    expect(world.facts.members.filter(({ id }) => world.isUp(id))).toHaveLength(3);
    expect(world.violations).toEqual([]);
    // What is left is a change again, for the next version.
    world.artifact = "0.4.1 (build 0123456789ab)";
    expect(await apply(world)).toMatchObject({ kind: "applied" });
    expect(running(world)).toEqual(all(world.artifact));
  });

  it.each([
    ["crashes after 5 s", "crashesAfter5s"],
    ["does not start", "doesNotStart"],
    ["is never ready", "isNeverReady"],
  ] as const)(
    "that goes to a stopped member first stops there when the version %s, and no other one gets it",
    async (_, defect) => {
      const world = await settled();
      world.facts.machines.get("m2")!.units.get("agent")!.running = false;
      world.artifact = newer;
      world.broken.set(newer, defect);
      expect(await apply(world, watching(6_000))).toMatchObject({
        kind: "failed",
        step: { id: "upgradeAgent:m2" },
        error: { code: "apply/upgrade-undone" },
      });
      // It is back with its former version, which was only stopped.
      expect([running(world), recorded(world)]).toEqual([all(older), all(older)]);
      expect(world.violations).toEqual([]);
    },
  );

  it.each<[string, Partial<ClusterSpec["controlPlane"]>]>([
    [
      "moves",
      {
        masters: fixture.controlPlane.masters.map((each) =>
          each.name === "m2" ? { ...each, address: "127.0.1.42" } : each,
        ),
      },
    ],
    [
      "is added, with another one",
      { members: 5, masters: fixtureSpec(["m1", "m2", "m3", "m4", "m5"]).controlPlane.masters },
    ],
  ])("that a new member gets first, which %s, costs no vote when the version crashes after 5 s", async (_, changed) => {
    const world = await settled();
    world.artifact = newer;
    world.broken.set(newer, "crashesAfter5s");
    const before = world.voters().map(({ id }) => id);
    const spec = watching(6_000);
    const outcome = await apply(world, { ...spec, controlPlane: { ...spec.controlPlane, ...changed } });
    expect(outcome.kind).toBe("failed");
    expect(world.voters().map(({ id }) => id)).toEqual(before);
    expect(before.every((id) => world.isUp(id))).toBe(true);
    expect(running(world)).toMatchObject({ m1: older, m3: older });
    expect(world.violations).toEqual([]);
  });

  it("brings a member up that its former version did not", async () => {
    const world = await settled();
    world.artifact = newer;
    world.broken.set(newer, "crashesAfter5s");
    // As when haplan was killed meanwhile.
    world.facts.machines.get("m2")!.units.get("agent")!.artifact = newer;
    world.facts.machines.get("m2")!.units.get("agent")!.running = false;
    world.artifact = "0.4.1 (build 0123456789ab)";
    expect(await apply(world)).toMatchObject({ kind: "applied" });
    expect(running(world)).toEqual(all(world.artifact));
  });

  it("undoes a changed configuration with the version that came with it", async () => {
    const world = await settled();
    const before = world.facts.machines.get("m2")!.units.get("agent")!.definition;
    world.artifact = newer;
    world.broken.set(newer, "doesNotStart");
    const slower = { ...three, controlPlane: { ...three.controlPlane, electionTimeoutMs: 2_000 } };
    expect(await apply(world, slower)).toMatchObject({ kind: "failed" });
    expect(world.facts.machines.get("m2")!.units.get("agent")).toMatchObject({ definition: before, artifact: older });
    expect((await planFor(world, slower)).steps.map(({ id }) => id)).toContain("upgradeAgent:m2");
  });

  it("stops where a later member fails, and the next plan has the rest", async () => {
    const world = await settled();
    world.artifact = newer;
    // Such as a write that fails: the process has not been touched, and nothing is undone.
    world.failing = (act) => (act === "startUnit m3: stop" ? "no space" : null);
    const outcome = await apply(world);
    expect(outcome).toMatchObject({
      kind: "failed",
      step: { id: "upgradeAgent:m3" },
      error: { code: "apply/not-upgraded" },
    });
    expect(outcome.kind === "failed" ? outcome.error.message : "").toMatch(
      `agent m3 could not be upgraded to haplan ${newer}: no space\nIts process goes on with the version that it has.`,
    );
    expect(running(world)).toEqual({ ...all(older), m2: newer });
    expect(recorded(world)).toEqual({ ...all(older), m2: newer });
    world.failing = () => null;
    const rest = await planFor(world);
    expect(rest.steps.map(({ id }) => id).filter((id) => id.startsWith("upgradeAgent"))).toEqual([
      "upgradeAgent:m3",
      "upgradeAgent:m1",
    ]);
    expect(await applyPlan(rest, world.ports())).toMatchObject({ kind: "applied" });
    expect(running(world)).toEqual(all(newer));
  });

  it.each([
    ["before its turn", "startUnit m2: stop"],
    ["while it is started", "startUnit m2"],
  ])("says that a host does not answer that is lost %s, and undoes nothing", async (_, at) => {
    const world = await settled();
    world.artifact = newer;
    world.failing = (act) => {
      if (act !== at) return null;
      world.unreachable.add("m2");
      return "connection timed out";
    };
    const outcome = await apply(world);
    expect(outcome).toMatchObject({ kind: "failed", error: { code: "apply/not-upgraded" } });
    const message = outcome.kind === "failed" ? outcome.error.message : "";
    expect(message).toMatch(/^agent m2 could not be upgraded to haplan .*: its host does not answer: no route to host/);
    expect(message).not.toContain("does not work");
    expect(recorded(world)).toEqual(all(older));
  });

  it("is undone when a new version that an interrupted run has started is not ready", async () => {
    const world = await settled();
    world.artifact = newer;
    world.broken.set(newer, "isNeverReady");
    let begun = false;
    world.beforeAct = (act) => void (begun ||= act === "startUnit m2");
    const abort = new AbortController();
    const plan = await planFor(world);
    const run = applyPlan(plan, world.ports(), { signal: abort.signal });
    await expect.poll(() => begun, { timeout: 10_000 }).toBe(true);
    abort.abort();
    expect(await run).toMatchObject({ kind: "interrupted" });
    expect(running(world)).toMatchObject({ m2: newer });
    expect(await applyPlan(plan, world.ports())).toMatchObject({ error: { code: "apply/upgrade-undone" } });
    expect(running(world)).toEqual(all(older));
  });

  it("calls a former process that does not end no fault of the version", async () => {
    const world = await settled();
    world.artifact = newer;
    world.failing = (act) => (act === "startUnit m2" ? "it does not end on SIGKILL" : null);
    const outcome = await apply(world);
    const message = outcome.kind === "failed" ? outcome.error.message : "";
    expect(message).toMatch(/^agent m2 could not be upgraded to haplan .*it does not end on SIGKILL/s);
    expect(message).not.toContain("does not work");
  });

  it("says so when the former version cannot come back", async () => {
    const world = await settled();
    world.artifact = newer;
    world.broken.set(newer, "doesNotStart");
    world.failing = (act) => (act === "revertUnit m2" ? "the host does not answer" : null);
    expect(await apply(world)).toMatchObject({
      kind: "failed",
      error: {
        code: "apply/upgrade-not-undone",
        message: expect.stringMatching(/the host does not answer.*exit code 1/s),
      },
    });
  });

  it.each(["load-balancer", "w1"])("undoes the upgrade of %s, too, and the members keep theirs", async (name) => {
    const world = await settled();
    world.artifact = newer;
    const machine = world.facts.machines.get(name)!;
    // It dies while it is watched.
    world.beforeAct = (act) => {
      if (act !== `startUnit ${name}`) return;
      void world.clock.sleep(500).then(() => {
        for (const unit of machine.units.values()) if (unit.artifact === newer) unit.running = false;
      });
    };
    expect(await apply(world)).toMatchObject({ kind: "failed", error: { code: "apply/upgrade-undone" } });
    expect(running(world)).toMatchObject({ m1: newer, m2: newer, m3: newer, [name]: older });
    expect(recorded(world)).toMatchObject({ m1: newer, [name]: older });
  });

  it("is resumed after a kill before any of its acts", async () => {
    const stride = process.env["HAPLAN_TEST_EVERYTHING"] === undefined ? 11 : 1;
    const base = await settled();
    for (let killAt = 1; ; killAt += stride) {
      const world = new FakeWorld(structuredClone(base.facts));
      world.artifact = newer;
      world.killAt = killAt;
      const killed = await apply(world, watching(0)).then(
        () => false,
        () => true,
      );
      if (!killed) break;
      world.killAt = Number.POSITIVE_INFINITY;
      expect(await apply(world, watching(0))).toMatchObject({ kind: "applied" });
      expect(running(world)).toEqual(all(newer));
      expect(world.violations).toEqual([]);
    }
  });
});

describe("another version of etcd", () => {
  const withEtcd = (version: string): ClusterSpec => ({
    ...watching(6_000),
    loadBalancer: { ...fixture.loadBalancer, type: "haproxy" },
    controlPlane: { ...fixture.controlPlane, engine: "etcd", etcd: { binary: `/opt/etcd-${version}/etcd`, version } },
  });

  it.each([
    ["as they run", true],
    ["with one that is down", false],
  ])("that crashes after 5 s stops at the first member: %s", async (_, isUp) => {
    const world = new FakeWorld();
    expect(await apply(world, withEtcd("3.6.1"))).toMatchObject({ kind: "applied" });
    world.facts.machines.get("m2")!.units.get("agent")!.running = isUp;
    world.broken.set("3.7.0", "crashesAfter5s");
    const plan = await planFor(world, withEtcd("3.7.0"));
    expect(plan.steps.map(({ title }) => title).slice(0, 2)).toEqual([
      isUp ? "update agent m2" : "restart agent m2",
      "wait until m2 is healthy and stays so for 6 s",
    ]);
    const outcome = await applyPlan(plan, world.ports());
    expect(outcome).toMatchObject({ kind: "failed", step: { id: "awaitQuorum:m2" } });
    expect(world.facts.members.filter(({ id }) => world.isUp(id))).toHaveLength(2);
    expect(world.violations).toEqual([]);
  });

  it("goes from one member to the next once each has lasted", async () => {
    const world = new FakeWorld();
    await apply(world, withEtcd("3.6.1"));
    const startedMs = world.clock.monotonicMs();
    expect(await apply(world, withEtcd("3.7.0"))).toMatchObject({ kind: "applied" });
    expect(world.clock.monotonicMs() - startedMs).toBeGreaterThanOrEqual(3 * 6_000);
    expect((await planFor(world, withEtcd("3.7.0"))).steps).toEqual([]);
  });
});
