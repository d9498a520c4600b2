import { describe, expect, it } from "vitest";
import { fakeRemoteModel } from "../../test/support/fake-remote-model.ts";
import { FakeWorld } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { fixtureNowMs, fixtureSpec } from "../../test/support/planned-cluster.ts";
import { loadBalancerAddress } from "../plan/desired-resources.ts";
import { observationFromState } from "../plan/observation-from-state.ts";
import type { Plan } from "../plan/plan.ts";
import { planChanges } from "../plan/planner.ts";
import type { PlannerInput } from "../plan/planner-input.ts";
import { specFromState } from "../plan/spec-from-state.ts";
import { localModel } from "../providers/local/local-model.ts";
import { specReader } from "../providers/spec-reader.ts";
import type { ClusterSpec, MovedMaster } from "../spec/cluster-spec.ts";
import { type ApplyOptions, type ApplyOutcome, applyPlan } from "./apply-plan.ts";
import { observeCluster } from "./observe-cluster.ts";
import type { StepContext } from "./step-context.ts";
import { awaitPresented } from "./steps/await-presented.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);
const etcd = fixtureSpec(["m1", "m2", "m3"], { engine: "etcd" });
const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);

async function apply(
  world: FakeWorld,
  spec: ClusterSpec,
  more: Partial<PlannerInput> = {},
  options: ApplyOptions = {},
): Promise<ApplyOutcome> {
  world.destroying = more.mode === "destroy";
  return applyPlan(await planInWorld(world, spec, more), world.ports(), options);
}

async function settled(spec: ClusterSpec): Promise<FakeWorld> {
  const world = new FakeWorld();
  expect((await apply(world, spec)).kind).toBe("applied");
  return world;
}

/** Acts from one kill to the next: all of them in the long run. It is odd, so that both ways to go on take turns. */
const killStride = process.env["HAPLAN_TEST_EVERYTHING"] === undefined ? 13 : 1;

const killTimeoutMs = 180_000;

const copyOf = (world: FakeWorld): FakeWorld => new FakeWorld(structuredClone(world.facts));

describe("applyPlan", () => {
  it("brings up a cluster from nothing, and a second plan has nothing to do", async () => {
    const world = await settled(three);
    expect(world.voters().map((voter) => voter.name)).toEqual(["m1", "m2", "m3"]);
    expect((await planInWorld(world, three)).steps).toEqual([]);
    expect(world.facts.journal).toEqual([]);
    expect(world.violations).toEqual([]);
    expect(world.events.at(-1)).toMatchObject({ kind: "applied", summary: { added: 26, changed: 0, destroyed: 0 } });
  });

  const movedBalancer = { ...three, loadBalancer: { ...three.loadBalancer, address: "127.0.1.101" } };
  const anotherPort = { ...three, loadBalancer: { ...three.loadBalancer, ports: [2479] } };
  const otherType = { ...three, loadBalancer: { ...three.loadBalancer, type: "haproxy" as const } };
  it.each([
    ["replaced", three, { replace: [loadBalancerAddress] }],
    ["moved", movedBalancer, {}],
    ["moved to another port", anotherPort, {}],
    ["of another type", otherType, {}],
  ] as const)("B1: tells how long nothing was written through a load balancer that is %s", async (_, spec, more) => {
    const world = await settled(three);
    world.startupMs = 400;
    expect(await apply(world, spec, more)).toMatchObject({ kind: "applied" });
    const told = world.events.findLast((event) => event.kind === "writeAvailability");
    expect(told?.availability).toMatchObject({ firstFailure: expect.stringContaining("ECONNREFUSED") });
    expect(told?.availability?.unavailableMs).toBeGreaterThan(350);
    expect(told?.availability?.unavailableMs).toBeLessThan(450);
  });

  it("A2: tells what the provider waits for while a step runs", async () => {
    const world = new FakeWorld();
    const { provider, clock, ...ports } = world.ports();
    let waits: string | null = null;
    const waiting: typeof provider = {
      ...provider,
      waitsFor: (name) => (name === "m1" ? waits : null),
      createMachine: async (machine, signal) => {
        if (machine.name === "m1") waits = "waiting for the instance of m1 to run: it is pending";
        await clock.sleep(3_000);
        waits = null;
        return await provider.createMachine(machine, signal);
      },
    };
    const plan = await planInWorld(world, three);
    const outcome = await applyPlan(plan, { ...ports, clock, provider: waiting }, { progressIntervalMs: 1_000 });
    expect(outcome).toMatchObject({ kind: "applied" });
    const told = world.events.flatMap((event) =>
      event.kind === "stepProgress" ? [`${event.step.title}: ${event.detail}`] : [],
    );
    expect(told).toContain("create machine m1: waiting for the instance of m1 to run: it is pending");
    expect(told).toContain("create machine m2: null");
  });

  it("goes on without a machine that is unreachable, and does the rest once it can be reached", async () => {
    const world = await settled(three);
    const slower = { ...three, controlPlane: { ...three.controlPlane, electionTimeoutMs: 2_000 } };
    world.unreachable.add("m2");
    expect(await apply(world, slower)).toMatchObject({ kind: "applied" });
    const updated = (plan: Plan): readonly string[] =>
      plan.steps.flatMap(({ action }) => (action.kind === "updateAgent" ? [action.member] : []));
    const without = await planInWorld(world, slower);
    expect([without.steps, without.warnings.map(({ code }) => code)]).toEqual([[], ["plan/unreachable"]]);
    world.unreachable.clear();
    const rest = await planInWorld(world, slower);
    expect(updated(rest)).toEqual(["m2"]);
    expect(await applyPlan(rest, world.ports())).toMatchObject({ kind: "applied" });
    expect(world.voters().map((voter) => voter.id).length).toBe(3);
    expect(world.violations).toEqual([]);
  });

  const stop = (world: FakeWorld, name: string, running = false): void => {
    for (const unit of world.facts.machines.get(name)!.units.values()) unit.running = running;
  };
  const faster = { ...three, controlPlane: { ...three.controlPlane, heartbeatIntervalMs: 50 } };
  const newSettings: readonly (readonly [string, ClusterSpec, string])[] = [
    ["another setting", faster, "s"],
    ["another client port", { ...three, controlPlane: { ...three.controlPlane, clientPort: 2479 } }, "s"],
    ["larger machines", three, "l"],
    ["another setting on larger machines", faster, "l"],
  ];
  it.each(newSettings)("B3: restores the quorum first, and applies %s once all answer", async (_, wanted, size) => {
    const world = new FakeWorld();
    world.model = fakeRemoteModel({ size: "s" });
    expect((await apply(world, three)).kind).toBe("applied");
    world.model = fakeRemoteModel({ size });
    stop(world, "m3");
    stop(world, "m2");
    world.unreachable.add("m2");
    expect(world.hasQuorum()).toBe(false);

    const repair = await planInWorld(world, wanted);
    expect(repair.warnings.map(({ code }) => code)).toContain("plan/postponed");
    expect(await applyPlan(repair, world.ports())).toMatchObject({ kind: "applied" });
    expect(world.hasQuorum()).toBe(true);
    const sizes = (): readonly unknown[] =>
      ["m1", "m2", "m3"].map((name) => world.facts.machines.get(name)?.attributes["size"]);
    const agents = (): readonly string[] =>
      repair.steps.flatMap(({ action }) => ("member" in action ? [`${action.kind} ${action.member}`] : []));
    expect(agents()).toEqual(["restartAgent m3"]);
    expect(sizes()).toEqual(["s", "s", "s"]);

    // The rest waits, and a plan of nothing else is an error.
    await expect(planInWorld(world, wanted)).rejects.toThrow(/m[13] would lose the quorum while m2 is down/);

    stop(world, "m2", true);
    world.unreachable.clear();
    expect(await apply(world, wanted)).toMatchObject({ kind: "applied" });
    const after = await planInWorld(world, wanted);
    expect([after.steps, after.warnings, after.drift, sizes()]).toEqual([[], [], [], [size, size, size]]);
    expect(world.facts.members.map(({ name }) => name).sort()).toEqual(["m1", "m2", "m3"]);
    expect(world.violations).toEqual([]);
  });

  it("writes nothing to the cluster when there is nothing to do", async () => {
    const world = await settled(three);
    world.events.length = 0;
    expect(await apply(world, three)).toMatchObject({ kind: "applied" });
    expect(world.events.map((event) => event.kind)).not.toContain("writeAvailability");
  });

  it("keeps secrets out of state, journal and events", async () => {
    const world = new FakeWorld();
    const plan = await planInWorld(world, three);
    world.killAt = 60;
    await expect(applyPlan(plan, world.ports())).rejects.toThrow("killed");
    const { state, journal } = world.facts;
    expect(JSON.stringify([plan, state, journal, world.events])).not.toContain("SECRET-KEY");
  });

  it("starts the members side by side and changes the membership one at a time", async () => {
    const world = await settled(three);
    const open = new Set<string>();
    let most = 0;
    const ports = world.ports();
    const watch = {
      ...ports,
      emit: (event: Parameters<typeof ports.emit>[0]): void => {
        if (event.kind === "stepStarted") open.add(event.step.action.kind === "addLearner" ? event.step.id : "");
        if (event.kind === "stepCompleted") open.delete(event.step.id);
        most = Math.max(most, [...open].filter((id) => id !== "").length);
      },
    };
    expect((await applyPlan(await planInWorld(world, five), watch)).kind).toBe("applied");
    expect(most).toBe(1);
    expect(world.voters()).toHaveLength(5);
  });

  it("touches nothing when the preflight finds something", async () => {
    const world = new FakeWorld();
    world.failing = (act) => (act === "preflight" ? "127.0.1.1:2379 is taken" : null);
    const outcome = await apply(world, three);
    expect(outcome).toMatchObject({ kind: "refused", diagnostics: [{ summary: "127.0.1.1:2379 is taken" }] });
    expect(world.acts).toBe(0);
  });

  it("stops at the first failure, names the step, and goes on from there when applied again", async () => {
    const world = new FakeWorld();
    world.failing = (act) => (act === "startUnit m2" ? "no disk left" : null);
    const outcome = await apply(world, three);
    expect(outcome).toMatchObject({
      kind: "failed",
      step: { id: "startAgent:m2" },
      error: { message: "no disk left" },
    });
    world.failing = () => null;
    expect((await apply(world, three)).kind).toBe("applied");
    expect((await planInWorld(world, three)).steps).toEqual([]);
    expect(world.violations).toEqual([]);
  });

  it("removes a learner that does not catch up, and leaves the voters as they were", async () => {
    const world = await settled(three);
    world.lagOf = (id) => (id.startsWith("boot-") ? 0 : 5000);
    const outcome = await apply(world, five);
    expect(outcome).toMatchObject({ kind: "failed", error: { code: "apply/learner-not-ready" } });
    expect(world.voters().map((voter) => voter.name)).toEqual(["m1", "m2", "m3"]);
    world.lagOf = () => 3;
    expect((await apply(world, five)).kind).toBe("applied");
    expect(world.voters()).toHaveLength(5);
    expect(world.facts.members).toHaveLength(5);
    expect(world.violations).toEqual([]);
  });

  it("R7: tells a newcomer the members as they are when it starts, not as they were when the plan was made", async () => {
    const world = await settled(three);
    expect((await apply(world, moved(three, 20))).kind).toBe("applied");
    const told = [...world.facts.machines.values()].flatMap(({ identity, units }) => {
      const flags = units.get("agent")?.definition.arguments ?? [];
      const cluster = flags.find((flag) => flag.startsWith("--initial-cluster="));
      return cluster === undefined
        ? []
        : [
            [
              identity.name,
              cluster
                .match(/127\.0\.1\.\d+/g)!
                .sort()
                .join(" "),
            ],
          ];
    });
    // m1 leads, and so is last; each joins while the one that it replaces votes.
    expect(Object.fromEntries(told)).toEqual({
      m1: "127.0.1.1 127.0.1.21 127.0.1.22 127.0.1.23",
      m2: "127.0.1.1 127.0.1.2 127.0.1.22 127.0.1.3",
      m3: "127.0.1.1 127.0.1.22 127.0.1.23 127.0.1.3",
    });
  });

  it("tells two members of one name apart while the one replaces the other", async () => {
    const world = await settled(three);
    expect((await apply(world, three, { replace: ["haplan_raft_member.m2"] })).kind).toBe("applied");
    const told = world.events.flatMap((event) =>
      event.kind === "membershipChange" ? [`${event.voters} | ${event.votersOutgoing} | ${event.learners}`] : [],
    );
    expect(told).toEqual(["m1,m2,m3 |  | m2 (new)", "m1,m2 (new),m3 |  | m2", "m1,m2,m3 |  | "]);
  });

  it("R7: gives up a wait at once when the process that it waits for has ended, with the end of its log", async () => {
    const world = await settled(three);
    const plan = await planInWorld(world, five);
    world.lagOf = (id) => {
      const newcomer = [...world.facts.machines.values()].find((machine) => machine.data === id);
      for (const unit of newcomer?.units.values() ?? []) unit.running = false;
      return null;
    };
    const before = world.clock.monotonicMs();
    const outcome = await applyPlan(plan, world.ports());
    expect(outcome).toMatchObject({ kind: "failed", error: { code: "apply/learner-not-ready" } });
    expect(outcome).toHaveProperty("error.message", expect.stringMatching(/its process has ended[\s\S]*log of m4/));
    expect(world.clock.monotonicMs() - before).toBeLessThan(10_000);
  });

  it("R7: gives up waiting for a quorum when a member's process has ended", async () => {
    const world = new FakeWorld();
    const plan = await planInWorld(world, three);
    world.beforeAct = (act) => {
      if (!act.startsWith("journal intent awaitQuorum")) return;
      for (const unit of world.facts.machines.get("m2")!.units.values()) unit.running = false;
    };
    const outcome = await applyPlan(plan, world.ports());
    expect(outcome).toMatchObject({ kind: "failed", error: { code: "apply/agent-ended" } });
    expect(outcome).toHaveProperty("error.message", expect.stringMatching(/m2: its process has ended[\s\S]*log of m2/));
    expect(world.clock.monotonicMs()).toBeLessThan(10_000);
  });

  it("R7: gives up waiting for a certificate when the agent that is to show it has ended", async () => {
    const world = await settled(three);
    const plan = await planInWorld(world, three);
    for (const unit of world.facts.machines.get("m2")!.units.values()) unit.running = false;
    const before = world.clock.monotonicMs();
    const context = { plan, ports: world.ports(), detail: () => undefined, signal: new AbortController().signal };
    await expect(awaitPresented(context as unknown as StepContext, "m2")).rejects.toThrow(
      /m2: its process has ended[\s\S]*log of m2/,
    );
    expect(world.clock.monotonicMs() - before).toBeLessThan(2_000);
  });

  it("does not begin a step that would lose the quorum by now", async () => {
    const world = await settled(three);
    const changed = { ...three, controlPlane: { ...three.controlPlane, heartbeatIntervalMs: 50 } };
    const plan = await planInWorld(world, changed);
    for (const unit of world.facts.machines.get("m3")?.units.values() ?? []) unit.running = false;
    const outcome = await applyPlan(plan, world.ports());
    expect(outcome).toMatchObject({ kind: "failed", error: { code: "apply/quorum-gate" }, stepsDone: 0 });
    expect(world.hasQuorum()).toBe(true);
  });

  it("finishes what is under way when interrupted, and says that it was", async () => {
    const world = new FakeWorld();
    const stop = new AbortController();
    world.beforeAct = (act) => {
      if (act === "journal intent startAgent:m1") stop.abort(new Error("SIGINT"));
    };
    const outcome = await apply(world, three, {}, { signal: stop.signal });
    expect(outcome.kind).toBe("interrupted");
    expect(world.facts.state?.resources.some((resource) => resource.address === "haplan_agent.m1")).toBe(true);
    world.beforeAct = () => undefined;
    expect((await apply(world, three)).kind).toBe("applied");
    expect(world.violations).toEqual([]);
  });

  it("measures how writing fares while it changes a cluster", async () => {
    const world = await settled(three);
    await apply(world, five);
    const told = world.events.find((event) => event.kind === "writeAvailability");
    expect(told).toMatchObject({ availability: { failed: 0, unavailableMs: 0 } });
  });

  it("rebuilds its state from the world when the state is lost", async () => {
    const world = await settled(three);
    const before = world.facts.state;
    world.facts.state = null;
    expect((await apply(world, three)).kind).toBe("applied");
    expect((await planInWorld(world, three)).steps).toEqual([]);
    expect(world.facts.state).toMatchObject({ lineage: before?.lineage });
    expect(world.facts).toHaveProperty("state.resources.length", before?.resources.length);
    expect(world.violations).toEqual([]);
  });
});

/** Every master's address, `by` further up. */
function moved(spec: ClusterSpec, by: number): ClusterSpec {
  const masters = spec.controlPlane.masters.map((master) => {
    const [head, last] = [master.address.replace(/\d+$/, ""), Number(/\d+$/.exec(master.address)![0])];
    return { ...master, address: `${head}${last + by}` };
  });
  return { ...spec, controlPlane: { ...spec.controlPlane, masters } };
}

/** Masters by name, each at 127.0.1.x. */
function placed(places: { readonly [name: string]: number }): ClusterSpec {
  const masters = Object.entries(places).map(([name, last]) => ({ name, zone: null, address: `127.0.1.${last}` }));
  return { ...three, controlPlane: { ...three.controlPlane, masters } };
}

function withPorts(
  spec: ClusterSpec,
  ports: { readonly clientPort?: number; readonly peerPort?: number },
): ClusterSpec {
  return { ...spec, controlPlane: { ...spec.controlPlane, ...ports } };
}

function withBalancerAt(spec: ClusterSpec, address: string): ClusterSpec {
  return { ...spec, loadBalancer: { ...spec.loadBalancer, address } };
}

function withMoved(spec: ClusterSpec, moved: readonly MovedMaster[]): ClusterSpec {
  return { ...spec, controlPlane: { ...spec.controlPlane, moved } };
}

type Scenario = {
  readonly name: string;
  readonly from: ClusterSpec | null;
  readonly to: ClusterSpec;
  /** It takes two applies after some of the kills. */
  readonly twice?: true;
  readonly more?: Partial<PlannerInput>;
  readonly harm?: (world: FakeWorld) => void;
};

const wipe = (name: string) => (world: FakeWorld) => {
  const machine = world.facts.machines.get(name)!;
  for (const unit of machine.units.values()) unit.running = false;
  machine.data = null;
};

const scenarios: readonly Scenario[] = [
  { name: "a create", from: null, to: three },
  { name: "3 to 5", from: three, to: five },
  { name: "5 to 3 with the leader leaving", from: five, to: fixtureSpec(["m2", "m3", "m4"]) },
  { name: "a wiped member's replacement", from: three, to: three, harm: wipe("m2") },
  { name: "a vanished machine", from: three, to: three, harm: (world) => void world.facts.machines.delete("m3") },
  { name: "a healthy leader's replacement", from: three, to: three, more: { replace: ["haplan_raft_member.m1"] } },
  {
    name: "a rolling update",
    from: three,
    to: { ...three, controlPlane: { ...three.controlPlane, heartbeatIntervalMs: 50 } },
  },
  { name: "R7: a move of all masters to other addresses", from: three, to: moved(three, 20) },
  { name: "T12: a move of the leader to a free address", from: three, to: placed({ m1: 22, m2: 2, m3: 3 }) },
  {
    name: "T12: a move to another address and other ports",
    from: three,
    to: withPorts(placed({ m1: 1, m2: 22, m3: 3 }), { clientPort: 2479, peerPort: 2480 }),
  },
  {
    name: "T12: a move of one that is down",
    from: three,
    to: placed({ m1: 1, m2: 22, m3: 3 }),
    harm: (world) => {
      for (const unit of world.facts.machines.get("m2")?.units.values() ?? []) unit.running = false;
    },
  },
  { name: "T12: a move of a wiped one", from: three, to: placed({ m1: 1, m2: 22, m3: 3 }), harm: wipe("m2") },
  { name: "T3: a move of all masters to another client port", from: three, to: withPorts(three, { clientPort: 2479 }) },
  { name: "T12: a change of the peer port", from: three, to: withPorts(three, { peerPort: 2480 }) },
  {
    name: "T12: a change of both ports with a member down",
    from: three,
    to: withPorts(three, { clientPort: 2479, peerPort: 2480 }),
    harm: (world) => {
      for (const unit of world.facts.machines.get("m2")?.units.values() ?? []) unit.running = false;
    },
  },
  {
    name: "BR3: another client port and another place for the load balancer",
    from: three,
    to: withBalancerAt(withPorts(three, { clientPort: 2479 }), "127.0.1.101"),
  },
  {
    name: "BR3: other places for all masters and the load balancer",
    from: three,
    to: withBalancerAt(moved(three, 20), "127.0.1.101"),
  },
  { name: "T2: a new name for the leader at its address", from: three, to: placed({ m8: 1, m2: 2, m3: 3 }) },
  { name: "T2: new names for all at their addresses", from: three, to: placed({ m7: 1, m8: 2, m9: 3 }) },
  { name: "T2: masters that follow each other", from: three, to: placed({ m1: 22, m2: 3, m3: 1 }) },
  { name: "T2: a move to the place of one that leaves", from: three, to: placed({ m1: 3, m2: 2, m4: 4 }) },
  {
    name: "T2: a new name for the leader, which keeps its data",
    from: three,
    to: withMoved(placed({ m8: 1, m2: 2, m3: 3 }), [{ from: "m1", to: "m8" }]),
  },
  {
    name: "T2: new names for all, which keep their data, and another peer port",
    from: three,
    to: withMoved(withPorts(placed({ m7: 1, m8: 2, m9: 3 }), { peerPort: 2480 }), [
      { from: "m1", to: "m7" },
      { from: "m2", to: "m8" },
      { from: "m3", to: "m9" },
    ]),
  },
  {
    name: "T2: a new name and a new place, with one of the others down",
    from: three,
    to: withMoved(placed({ m8: 22, m2: 2, m3: 3 }), [{ from: "m1", to: "m8" }]),
    harm: (world) => {
      for (const unit of world.facts.machines.get("m3")?.units.values() ?? []) unit.running = false;
    },
  },
  { name: "T3: new masters in place of all", from: three, to: fixtureSpec(["m4", "m5", "m6"]) },
  { name: "a replacement of the authority", from: three, to: three, more: { replaceAuthority: true } },
  {
    name: "a replacement of the authority, of which the previous one is dropped",
    from: three,
    to: three,
    more: { replaceAuthority: true, dropAuthority: true },
  },
  {
    name: "a replacement of the authority, with engine etcd",
    // A master that is down comes back first, and the next apply goes on.
    twice: true,
    from: etcd,
    to: etcd,
    more: { replaceAuthority: true, dropAuthority: true },
  },
  { name: "a destroy", from: three, to: three, more: { mode: "destroy" } },
];

describe("An apply that is killed", () => {
  it.each(scenarios)(
    "during $name ends at the target when applied again, whatever act it died before",
    async (scenario) => {
      const start = scenario.from === null ? new FakeWorld() : await settled(scenario.from);
      scenario.harm?.(start);
      let boundaries = 0;
      for (let killAt = 1; ; killAt += killStride) {
        const world = copyOf(start);
        world.destroying = scenario.more?.mode === "destroy";
        world.killAt = killAt;
        const plan = await planInWorld(world, scenario.to, scenario.more);
        const first = await applyPlan(plan, world.ports()).catch(() => null);
        world.killAt = Number.POSITIVE_INFINITY;
        if (first?.kind === "applied" && world.acts < killAt) break;
        boundaries += 1;
        // Half of the time the very same plan is taken up again, as a saved one would be.
        const sameAgain = killAt % 2 === 0 && world.facts.journal.some((record) => record.planId === plan.id);
        const again = sameAgain
          ? await applyPlan(plan, world.ports())
          : await apply(world, scenario.to, world.destroying ? { mode: "destroy" } : {});
        if (again.kind === "failed")
          throw new Error(`killed before act ${killAt}: ${again.step.id}: ${again.error.message}`);
        expect(again, `killed before act ${killAt}`).toMatchObject({ kind: "applied" });
        if (scenario.twice) expect((await apply(world, scenario.to)).kind).toBe("applied");
        expect(world.violations, `killed before act ${killAt}`).toEqual([]);
        await expectTarget(world, scenario);
      }
      expect(boundaries * killStride).toBeGreaterThan(10);
    },
    killTimeoutMs,
  );
});

describe("An apply that is killed before its machines are there", () => {
  /** Another spec: three masters on other hosts. */
  const elsewhere = placed({ m1: 22, m2: 23, m3: 24 });
  it.each([
    ["a destroy", three, "destroy"],
    ["a destroy of another spec", elsewhere, "destroy"],
    ["an apply of another spec", elsewhere, "apply"],
  ] as const)("M2: leaves nothing on their hosts after %s", async (_, next, mode) => {
    let interrupted = 0;
    for (let killAt = 1; ; killAt += 1) {
      const world = new FakeWorld();
      world.killAt = killAt;
      const plan = await planInWorld(world, three);
      await applyPlan(plan, world.ports()).catch(() => null);
      world.killAt = Number.POSITIVE_INFINITY;
      if (world.facts.machines.size > 1) break;
      interrupted += world.hostsWithoutMachine().length > 0 ? 1 : 0;
      if (mode === "destroy") {
        world.destroying = true;
        const destroyed = await applyPlan(await planInWorld(world, next, { mode }), world.ports());
        expect(destroyed).toMatchObject({ kind: "applied", leftovers: [] });
        expect([...world.facts.hosts]).toEqual([]);
      } else {
        expect(await apply(world, next)).toMatchObject({ kind: "applied", leftovers: [] });
      }
      expect(world.hostsWithoutMachine(), `killed before act ${killAt}`).toEqual([]);
    }
    expect(interrupted).toBeGreaterThan(0);
  });

  it("M2: names the hosts where nothing can be removed", async () => {
    const world = await settled(three);
    world.unreachableHosts = [{ host: "192.0.2.1", reason: "no route to host" }];
    const leftovers = world.unreachableHosts;
    expect(await apply(world, three, { mode: "destroy" })).toMatchObject({ kind: "applied", leftovers });
  });
});

describe("An apply of new names", () => {
  it("T2: keeps members and data, and tells the load balancer of them", async () => {
    const world = await settled(three);
    const moved = [
      { from: "m1", to: "m7" },
      { from: "m3", to: "m9" },
    ];
    const spec = withMoved(placed({ m7: 1, m2: 2, m9: 3 }), moved);
    expect((await apply(world, spec)).kind).toBe("applied");
    expect(world.facts.members.map(({ id, name }) => [id, name])).toEqual([
      ["boot-m1", "m7"],
      ["boot-m2", "m2"],
      ["boot-m3", "m9"],
    ]);
    expect(world.servingTargets()).toBe(3);
    expect(world.violations).toEqual([]);
    const without = { ...spec, controlPlane: { ...spec.controlPlane, moved: [] } };
    expect((await planInWorld(world, without)).steps).toEqual([]);
  });
});

describe("An apply that is stopped while learners catch up", () => {
  it("F17: goes on with the processes that it has started", async () => {
    const world = await settled(three);
    world.beforeAct = (act) => {
      if (act.startsWith("journal intent awaitCatchUp")) throw new Error("killed");
    };
    await applyPlan(await planInWorld(world, five), world.ports()).catch(() => null);
    const pids = (of: FakeWorld): readonly unknown[] =>
      ["m4", "m5"].map((name) => of.facts.machines.get(name)?.units.get("agent")?.pid);
    const started = pids(world);
    expect(started.every((pid) => typeof pid === "number")).toBe(true);
    const next = copyOf(world);
    expect((await apply(next, five)).kind).toBe("applied");
    expect(pids(next)).toEqual(started);
    expect(next.voters()).toHaveLength(5);
    expect(next.violations).toEqual([]);
    expect((await planInWorld(next, five)).steps).toEqual([]);
  });
});

describe("An apply to a state in which a member has a name of its own", () => {
  it("B6: gives the member its machine's name back, and ends no process", async () => {
    const world = await settled(three);
    const { state } = world.facts;
    const resources = state!.resources.map((resource) =>
      resource.address === "haplan_raft_member.m1"
        ? { ...resource, address: "haplan_raft_member.m8" as const, name: "m8" }
        : resource,
    );
    world.facts.state = { ...state!, resources };
    const plan = await planInWorld(world, three);
    expect(plan.steps.map(({ action }) => action.kind)).toEqual(["recordState"]);
    expect((await applyPlan(plan, world.ports())).kind).toBe("applied");
    expect(world.facts.members.map(({ id, name }) => [id, name])).toContainEqual(["boot-m1", "m1"]);
    expect((await planInWorld(world, three)).steps).toEqual([]);
    expect(world.violations).toEqual([]);
  });
});

describe("An apply that is killed while two members have one name", () => {
  const elsewhere = placed({ m1: 22, m2: 2, m3: 3 });

  async function inTheMiddle(): Promise<FakeWorld> {
    const world = await settled(three);
    world.beforeAct = (act) => {
      if (act.startsWith("journal intent awaitCatchUp")) throw new Error("killed");
    };
    await applyPlan(await planInWorld(world, elsewhere), world.ports()).catch(() => null);
    return copyOf(world);
  }

  it("T12: leaves a state that tells both, from which a plan goes on without looking", async () => {
    const { facts } = await inTheMiddle();
    const members = facts.state!.resources.filter(({ type }) => type === "haplan_raft_member");
    expect(members.map(({ address, generation, attributes }) => [address, generation, attributes["role"]])).toEqual([
      ["haplan_raft_member.m2", 1, "voter"],
      ["haplan_raft_member.m3", 1, "voter"],
      ["haplan_raft_member.m1@1", 1, "voter"],
      ["haplan_raft_member.m1", 2, "learner"],
    ]);
    const observed = observationFromState(elsewhere, facts.state);
    const input = { spec: elsewhere, specDigest: "d", state: facts.state, observed, mode: "apply" } as const;
    const { plan } = planChanges({ ...input, provider: localModel, haplanVersion: "0.1.0", nowMs: fixtureNowMs });
    expect(plan?.steps.map(({ action }) => action.kind)).toEqual(
      expect.arrayContaining(["awaitCatchUp", "changeVoters", "removeMember", "destroyMachine"]),
    );
    expect(plan?.changes.find(({ address }) => address === "haplan_raft_member.m1")).toMatchObject({
      action: "createThenDelete",
      reason: "its address has changed",
    });
  });

  it("T12: leaves a state that destroy understands without the spec, and destroys both machines", async () => {
    const world = await inTheMiddle();
    const spec = specFromState(world.facts.state!, specReader)!;
    expect(spec.controlPlane.masters.map(({ name }) => name).sort()).toEqual(["m1", "m2", "m3"]);
    expect((await apply(world, spec, { mode: "destroy" })).kind).toBe("applied");
    expect([world.facts.machines.size, world.facts.state]).toEqual([0, null]);
  });

  it("T12: goes back when the spec does, and keeps what it knew of the one that stays", async () => {
    const world = await inTheMiddle();
    const before = (await settled(three)).facts.state!.resources.find(({ address }) => address === "haplan_agent.m1");
    const back = await planInWorld(world, three);
    expect(back.steps.map(({ id }) => id)).toEqual(
      expect.arrayContaining(["stopAgent:m1#2", "destroyMachine:m1#2", expect.stringMatching(/^removeMember:m1/)]),
    );
    expect((await applyPlan(back, world.ports())).kind).toBe("applied");
    const after = world.facts.state!.resources.find(({ address }) => address === "haplan_agent.m1");
    expect([after?.generation, after?.attributes["join"]]).toEqual([1, before?.attributes["join"]]);
    expect(world.facts.machines.size).toBe(6);
    expect(world.violations).toEqual([]);
    expect((await planInWorld(world, three)).steps).toEqual([]);
  });
});

describe("An apply of another spec that is killed", () => {
  it.each<Scenario>([
    { name: "5 masters", from: three, to: five },
    { name: "T12: free addresses for all", from: three, to: moved(three, 20) },
    { name: "T12: free addresses for all, and two more", from: three, to: moved(five, 20) },
    {
      name: "another peer port, with a member to replace",
      from: three,
      to: withPorts(five, { peerPort: 2480 }),
      harm: wipe("m3"),
    },
  ])("BR1, BR2: ends at the former spec when that is applied again: $name", async ({ from, to, harm }) => {
    const start = await settled(from!);
    harm?.(start);
    for (let killAt = 1; ; killAt += killStride) {
      const world = copyOf(start);
      world.killAt = killAt;
      const plan = await planInWorld(world, to);
      const first = await applyPlan(plan, world.ports()).catch(() => null);
      world.killAt = Number.POSITIVE_INFINITY;
      // Once votes have moved to other masters, members have to leave: that is a change of its own.
      const voters = world.voters().map(({ name }) => name);
      if (
        first !== null ||
        voters.join() !==
          start
            .voters()
            .map(({ name }) => name)
            .join()
      ) {
        expect(killAt).toBeGreaterThan(20);
        break;
      }
      const again = await apply(world, from!);
      expect(again, `killed before act ${killAt}`).toMatchObject({ kind: "applied" });
      expect(world.violations, `killed before act ${killAt}`).toEqual([]);
      await expectTarget(world, { name: "", from, to: from! });
    }
  });
});

describe("An apply of a new name that is killed", () => {
  it("BR4: ends at the former name when that is applied again, if need be after it is finished, as the refusal says", async () => {
    const renamed = placed({ m8: 1, m2: 2, m3: 3 });
    const start = await settled(three);
    const refused = new Set<string>();
    // Only a few acts lie between the vote of the one and the end of the other.
    for (let killAt = 1; ; killAt += Math.min(killStride, 5)) {
      const world = copyOf(start);
      world.killAt = killAt;
      const first = await applyPlan(await planInWorld(world, renamed), world.ports()).catch(() => null);
      world.killAt = Number.POSITIVE_INFINITY;
      if (first !== null) break;
      const state = world.facts.state!;
      const observed = await observeCluster(world.ports(), { spec: three, state });
      const input = { spec: three, specDigest: "d", state, observed, mode: "apply", haplanVersion: "0.1.0" } as const;
      for (const { code, detail } of planChanges({ ...input, provider: localModel, nowMs: fixtureNowMs }).refusal ??
        []) {
        refused.add(`${code}: ${detail}`);
        expect((await apply(world, renamed)).kind, `killed before act ${killAt}`).toBe("applied");
      }
      expect((await apply(world, three)).kind, `killed before act ${killAt}`).toBe("applied");
      expect(world.violations, `killed before act ${killAt}`).toEqual([]);
      await expectTarget(world, { name: "", from: renamed, to: three });
    }
    expect([...refused]).toEqual([expect.stringMatching(/^plan\/address-occupied: .*Keep the name m8/)]);
  });
});

async function expectTarget(world: FakeWorld, scenario: Scenario): Promise<void> {
  const { facts } = world;
  if (scenario.more?.mode === "destroy") {
    expect([facts.machines.size, facts.certificates.size, facts.authority, facts.state]).toEqual([0, 0, null, null]);
    return;
  }
  const names = scenario.to.controlPlane.masters.map((master) => master.name).sort();
  expect(
    world
      .voters()
      .map((voter) => voter.name)
      .sort(),
  ).toEqual(names);
  expect(facts.members).toHaveLength(names.length);
  const machines = [...names, "load-balancer", ...scenario.to.workers.map((worker) => worker.name)].sort();
  expect([...facts.machines.values()].map(({ identity }) => identity.name).sort()).toEqual(machines);
  expect(facts.state?.resources.filter(({ address }) => address.includes("@"))).toEqual([]);
  expect((await planInWorld(world, scenario.to)).steps).toEqual([]);
}
