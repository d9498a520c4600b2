import { describe, expect, it } from "vitest";
import { fixtureMember, fixtureSpec } from "../../test/support/planned-cluster.ts";
import { VirtualClock } from "../base/clock.fake.ts";
import { HaplanError } from "../base/haplan-error.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import type { ObservedMembership } from "../plan/observed-cluster.ts";
import type { VirtualAddressState } from "../providers/load-balancer.ts";
import type { UnitFault } from "../providers/provider.ts";
import type { DrillFault } from "./drill.ts";
import { runDrill, whyUnwritten } from "./run-drill.ts";

/** Three masters and some load balancers: faults end as the port says, and keepalived gives the address to the first that can. */
class LiveCluster {
  readonly clock: VirtualClock = new VirtualClock();
  readonly acts: string[] = [];
  readonly stop: AbortController = new AbortController();
  readonly down: Set<string> = new Set();
  leader = "m1";
  /** Called after each act. */
  afterAct: (act: string) => void = () => undefined;
  readonly balancers: readonly string[];
  readonly stopped: Set<string> = new Set();
  readonly faulty: Set<string> = new Set();
  holder: string | null;

  constructor(balancers = 0) {
    this.balancers = Array.from({ length: balancers }, (_, at) => `lb${at + 1}`);
    this.holder = this.balancers[0] ?? null;
  }

  membership(): ObservedMembership {
    const names = ["m1", "m2", "m3"];
    const members = names.map((name) =>
      fixtureMember(fixtureSpec(names), name, { healthy: !this.down.has(name), leader: name === this.leader }),
    );
    const hasLeader = !this.down.has(this.leader);
    return { clusterId: "c", members, votersOutgoing: [], hasLeader };
  }

  stateOf(name: string): VirtualAddressState {
    if (this.stopped.has(name)) return null;
    if (this.faulty.has(name)) return "fault";
    return this.holder === name ? "holder" : "backup";
  }

  /** One that has the address keeps it. */
  elect(): void {
    if (this.holder !== null && this.stateOf(this.holder) === "holder") return;
    this.holder = this.balancers.find((name) => this.stateOf(name) === "backup") ?? null;
  }

  async act(act: string, effect: () => void): Promise<void> {
    this.acts.push(act);
    effect();
    this.elect();
    this.afterAct(act);
  }

  disturb(machine: string, unit: string, fault: UnitFault): Promise<void> {
    const which = unit === "agent" ? this.down : this.stopped;
    return this.act(`${fault.kind} ${unit} ${machine}`, () => {
      if (fault.kind === "pause" || fault.kind === "stop") {
        which.add(machine);
        void this.clock.sleep(fault.forMs).then(() => this.end(which, machine));
      } else which.delete(machine);
    });
  }

  end(which: Set<string>, machine: string): void {
    which.delete(machine);
    this.elect();
  }

  async drill(...faults: readonly DrillFault[]): Promise<readonly (string | null)[]> {
    const controlPlane: Pick<ControlPlane, "observe" | "moveLeader" | "close"> = {
      observe: async () => this.membership(),
      moveLeader: (id) => this.act(`move to ${id}`, () => void (this.leader = id.replace("id-", ""))),
      close: () => undefined,
    };
    const results = await runDrill({
      faults,
      pauseMs: 5_000,
      controlPlane,
      connectTo: () => controlPlane,
      provider: { disturbUnit: (machine, unit, fault) => this.disturb(String(machine), unit, fault) },
      loadBalancer: { virtualAddress: async (name) => this.stateOf(name) },
      balancers: this.balancers,
      probe: null,
      clock: this.clock,
      signal: this.stop.signal,
      tell: () => undefined,
    });
    return results.map(({ problem }) => problem);
  }

  /** What is not as in a new cluster. */
  left(): readonly string[] {
    const first = this.balancers[0] ?? null;
    return [
      ...this.down,
      ...this.stopped,
      ...(this.leader === "m1" ? [] : [`${this.leader} leads`]),
      ...(this.holder === first ? [] : [`${this.holder} has the address`]),
    ];
  }
}

const restart: DrillFault = { kind: "restart", member: "m2" };
const pause: DrillFault = { kind: "pause", member: "m3" };
const lead: DrillFault = { kind: "leader", member: "m2" };
const vip: DrillFault = { kind: "vip", member: "lb1" };

describe("a drill", () => {
  it("does each fault, ends it, and leaves the cluster as it was", async () => {
    const cluster = new LiveCluster(2);
    expect(await cluster.drill(restart, pause, lead, vip)).toEqual([null, null, null, null]);
    expect(cluster.acts).toEqual([
      "restart agent m2",
      "pause agent m3",
      "resume agent m3",
      "move to id-m2",
      "move to id-m1",
      "stop keepalived lb1",
      "resume keepalived lb1",
      "stop keepalived lb2",
      "resume keepalived lb2",
    ]);
    expect(cluster.left()).toEqual([]);
  });

  it("gives the address back to a holder that is not the first one, past those that keepalived prefers", async () => {
    const cluster = new LiveCluster(3);
    cluster.holder = "lb3";
    expect(await cluster.drill({ ...vip, member: "lb3" })).toEqual([null]);
    expect([cluster.holder, [...cluster.stopped]]).toEqual(["lb3", []]);
  });

  it("leaves the cluster as it was when it is stopped after any act, and begins no other fault", async () => {
    const whole = new LiveCluster(2);
    await whole.drill(restart, pause, lead, vip);
    for (const [at, act] of whole.acts.entries()) {
      const cluster = new LiveCluster(2);
      cluster.afterAct = () => {
        if (cluster.acts.length === at + 1) cluster.stop.abort();
      };
      const problems = await cluster.drill(restart, pause, lead, vip);
      expect([act, problems.every((problem) => problem === null), cluster.left()]).toEqual([act, true, []]);
      const kind = act.split(" ")[0];
      if (kind === "pause") expect(cluster.clock.now()).toBeLessThan(5_000);
    }
  });

  it("leaves the cluster as it was when any act has failed after its effect, and says so", async () => {
    const whole = new LiveCluster(2);
    await whole.drill(restart, pause, lead, vip);
    for (const at of whole.acts.keys()) {
      const cluster = new LiveCluster(2);
      cluster.afterAct = () => {
        if (cluster.acts.length === at + 1) throw new HaplanError("provider/connection-lost", "connection lost");
      };
      const problems = await cluster.drill(restart, pause, lead, vip);
      // A move that has failed on the way back is made again.
      const isRepeated = whole.acts[at] === "move to id-m1";
      expect([whole.acts[at], problems.at(-1)]).toEqual([
        whole.acts[at],
        isRepeated ? null : expect.stringContaining("connection lost"),
      ]);
      await cluster.clock.sleep(60_000);
      expect([whole.acts[at], cluster.left()]).toEqual([whole.acts[at], []]);
    }
  });

  it("resumes a paused member at once when another one fails, and begins no other fault", async () => {
    const cluster = new LiveCluster();
    cluster.afterAct = (act) => {
      if (act === "pause agent m3") void cluster.clock.sleep(1_000).then(() => cluster.down.add("m2"));
      if (act === "resume agent m3") expect(cluster.clock.now()).toBeLessThan(2_000);
    };
    const problems = await cluster.drill(pause, lead);
    expect(problems).toEqual(["there is no quorum: m3 was resumed early; not healthy after 30 s: m2"]);
    expect(cluster.acts).toEqual(["pause agent m3", "resume agent m3"]);
  });

  it.each<[string, (cluster: LiveCluster) => void, DrillFault, string]>([
    ["with a member down", ({ down }) => down.add("m3"), restart, "m3 is not healthy, and no further voter may fail"],
    ["of the leader", (cluster) => void (cluster.leader = "m2"), restart, "m2 is no healthy follower now"],
    ["of an address that is elsewhere", (cluster) => void (cluster.holder = "lb2"), vip, "lb1 does not have the"],
    ["of an address that no other one can take", ({ faulty }) => faulty.add("lb2"), vip, "lb2 cannot take the"],
  ])("begins no fault %s", async (_, prepare, fault, why) => {
    const cluster = new LiveCluster(2);
    prepare(cluster);
    expect(await cluster.drill(fault)).toEqual([expect.stringContaining(`not begun: ${why}`)]);
    expect(cluster.acts).toEqual([]);
  });

  it("starts keepalived again where no other one takes the address", async () => {
    const cluster = new LiveCluster(2);
    cluster.afterAct = (act) => {
      if (act === "stop keepalived lb1") {
        cluster.faulty.add("lb2");
        cluster.elect();
      }
    };
    const [problem] = await cluster.drill(vip);
    expect(problem).toContain("lb2 cannot take the virtual address");
    expect(cluster.acts).toEqual(["stop keepalived lb1", "resume keepalived lb1"]);
    expect(cluster.left()).toEqual([]);
  });
});

it.each([
  ["no write ended", null, "no client could write: no write came to an end"],
  ["all writes failed", { attempts: 3, failed: 3, firstFailure: "refused" }, "no client could write: refused"],
  ["a write succeeded", { attempts: 3, failed: 2, firstFailure: "refused" }, null],
] as const)("measures no gap where %s", (_, found, reason) => {
  const rest = { longestGapMs: 0, unavailableMs: 0, measuredMs: 900, steps: [] };
  expect(whyUnwritten(found === null ? null : { ...found, ...rest })).toBe(reason);
});
