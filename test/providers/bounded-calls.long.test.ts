/** Machines that hang: each call ends, by its time limit or because the run is to stop; and no more are served than the provider can. */
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { StopRequests } from "../../cmd/haplan/stop-requests.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { MachineIdentity, Provider } from "../../src/providers/provider.ts";
import { createCliFixture, unstoppable } from "../support/command-line.ts";
import { FakeWorld } from "../support/fake-world.ts";
import { FakeRemote } from "./fake-remote.ts";

const machine = (name: string): MachineIdentity => ({
  name,
  address: `10.0.0.${name.slice(1)}`,
  zone: null,
  lineage: "lineage-1",
  generation: 1,
});

async function elapsedMs(work: Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work;
  return performance.now() - started;
}

describe("calls to machines", () => {
  let remote: FakeRemote;
  let stop: AbortController;
  const open = (callTimeoutMs: number, machinesAtOnce = 4): Provider =>
    remote.session({
      limits: { callTimeoutMs, machinesAtOnce },
      clock: systemClock,
      signal: stop.signal,
      log: () => {},
    });
  beforeEach(() => {
    remote = new FakeRemote(new FakeWorld().ports().provider);
    stop = new AbortController();
  });

  it.each(["hangs", "isDeaf"] as const)(
    "end at their time limit on a machine that %s, and say which it was",
    async (fault) => {
      const provider = open(100);
      remote.faults = [fault];
      const created = provider.createMachine(machine("m1"));
      const message = expect.stringMatching(/^No answer within 0\.1 s \(createMachine m1\)$/);
      await expect(created).rejects.toMatchObject({ code: "provider/timed-out", message });
      await provider.createMachine(machine("m1"));
      expect((await provider.observe("lineage-1", [])).machines).toMatchObject([{ name: "m1" }]);
    },
  );

  it.each(["hangs", "isDeaf"] as const)(
    "end within a second of the request to stop on a machine that %s",
    async (fault) => {
      const provider = open(60_000);
      remote.faults = [fault];
      const created = provider.createMachine(machine("m1"));
      const refused = expect(created).rejects.toMatchObject({ code: "provider/aborted" });
      stop.abort();
      expect(await elapsedMs(refused)).toBeLessThan(1_500);
    },
  );

  it("finish what answers although the run is to stop", async () => {
    const provider = open(60_000);
    remote.latencyMs = 50;
    const created = provider.createMachine(machine("m1"));
    stop.abort();
    await created;
    remote.latencyMs = 0;
    expect((await provider.observe("lineage-1", [])).machines).toMatchObject([{ name: "m1" }]);
  });

  it("end with the signal of the call alone, and leave the others to go on", async () => {
    const provider = open(60_000);
    remote.hung.add("m1");
    const own = new AbortController();
    const hung = provider.createMachine(machine("m1"), own.signal);
    const refused = expect(hung).rejects.toMatchObject({ code: "provider/aborted" });
    own.abort();
    await refused;
    await provider.createMachine(machine("m2"));
  });

  it("find a machine that hangs unreachable, and the others", async () => {
    const provider = open(100);
    await Promise.all(["m1", "m2", "m3"].map((name) => provider.createMachine(machine(name))));
    remote.hung.add("m2");
    expect(await provider.observe("lineage-1", [])).toMatchObject({
      machines: [{ name: "m1" }, { name: "m3" }],
      unreachable: [{ name: "m2", reason: "No answer within 0.1 s (observe m2)" }],
    });
  });

  it("are never more at once than the provider serves, observations among them", async () => {
    const provider = open(60_000, 3);
    remote.latencyMs = 2;
    const names = Array.from({ length: 20 }, (_, index) => `m${index + 1}`);
    await Promise.all(names.map((name) => provider.createMachine(machine(name))));
    expect(remote.mostAtOnce).toBe(3);
    const all = provider.observe("lineage-1", []);
    await Promise.all([all, ...names.map((name) => provider.unitLog(name, "agent", 1))]);
    expect((await all).machines).toHaveLength(20);
    expect(remote.mostAtOnce).toBe(3);
  });
});

describe("haplan over a connection", () => {
  const cli = createCliFixture();
  afterAll(() => cli.remove());

  it("serves as many machines at once as the provider can, ends within a second of Ctrl-C on a machine that hangs, and goes on from there", async () => {
    const remote = new FakeRemote(cli.world.ports().provider);
    const limits = { machinesAtOnce: 2, callTimeoutMs: 60_000 };
    cli.openProvider = (options) => remote.session({ ...options, limits, clock: systemClock });
    cli.stop = new StopRequests({ leave: () => expect.unreachable(), say: () => {}, monotonicMs: () => 0 });
    remote.latencyMs = 1;
    const hangs = new Promise<void>((resolve) => {
      cli.world.beforeAct = (act) => {
        if (act !== "createMachine m2") return;
        remote.hung.add("m2");
        setTimeout(resolve, 50);
      };
    });
    const hanging = cli.haplan("apply -auto-approve three.yaml");
    await hangs;
    cli.stop.receive("SIGINT");
    const started = performance.now();
    const stopped = await hanging;
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(stopped.code).toBe(1);
    expect(stopped.err).toMatch(/Interrupted by the user.*steps are complete/s);

    cli.stop = unstoppable();
    remote.hung.clear();
    cli.world.beforeAct = () => {};
    expect(await cli.haplan("apply -auto-approve three.yaml")).toMatchObject({ code: 0 });
    expect(remote.mostAtOnce).toBe(2);
    expect(remote.open).toBe(0);
  });

  it("plans and applies what does not need a machine that hangs, and does not replace it", async () => {
    const remote = new FakeRemote(cli.world.ports().provider);
    const limits = { machinesAtOnce: 10, callTimeoutMs: 100 };
    cli.openProvider = (options) => remote.session({ ...options, limits, clock: systemClock });
    expect(await cli.haplan("apply -auto-approve three.yaml")).toMatchObject({ code: 0 });
    remote.hung.add("m2");
    for (const unit of cli.world.facts.machines.get("w1")!.units.values()) unit.running = false;
    const planned = await cli.haplan("plan three.yaml");
    expect(planned.err + planned.out).toMatch(/haplan_machine\.m2 is unreachable/);
    expect(planned.err + planned.out).toMatch(/No answer within 0\.1 s \(observe m2\)/);
    const applied = await cli.haplan("apply -auto-approve three.yaml");
    expect(applied).toMatchObject({ code: 0 });
    expect(cli.world.facts.machines.get("w1")?.units.get("worker")?.running).toBe(true);
    expect(cli.world.facts.machines.get("m2")?.identity.generation).toBe(1);
  });

  it("says that nothing was changed when it is stopped while it looks at a machine that hangs", async () => {
    const remote = new FakeRemote(cli.world.ports().provider);
    remote.hung.add("m2");
    const limits = { machinesAtOnce: 10, callTimeoutMs: 60_000 };
    cli.openProvider = (options) => remote.session({ ...options, limits, clock: systemClock });
    cli.stop = new StopRequests({ leave: () => expect.unreachable(), say: () => {}, monotonicMs: () => 0 });
    const hanging = cli.haplan("destroy -auto-approve three.yaml");
    await systemClock.sleep(100);
    cli.stop.receive("SIGINT");
    const stopped = await hanging;
    expect(stopped.code).toBe(1);
    expect(stopped.err).toMatch(/Interrupted by the user.*Nothing was changed/s);
    expect(remote.open).toBe(0);
  });
});
