import { describe, expect, it } from "vitest";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "./cluster-fixture.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { planChanges } from "./planner.ts";

const now = fixtureSpec(["m1", "m2", "m3"]);

function withMasters(masters: readonly (readonly [name: string, address: string])[], balancer?: string): ClusterSpec {
  const listed = masters.map(([name, address]) => ({ name, zone: null, address }));
  const loadBalancer = balancer === undefined ? now.loadBalancer : { ...now.loadBalancer, address: balancer };
  return { ...now, loadBalancer, controlPlane: { ...now.controlPlane, masters: listed } };
}

function refusals(spec: ClusterSpec, observed: ObservedCluster = settledObservation(now)): readonly string[] {
  const { refusal = [] } = planChanges(fixtureInput(spec, { state: settledState(now), observed }));
  return refusal.map(({ code, summary, detail }) => `${code}: ${summary}. ${detail ?? ""}`);
}

const [a, b, c] = ["127.0.1.1", "127.0.1.2", "127.0.1.3"];

describe("planChanges, of masters that move to where another one runs", () => {
  it("T2: refuses two that change places, and says how it is done", () => {
    const found = refusals(
      withMasters([
        ["m1", b],
        ["m2", a],
        ["m3", c],
      ]),
    );
    expect(found).toHaveLength(2);
    expect(found[0]).toMatch(/^plan\/address-occupied: m1 is to stand at 127.0.1.2, where m2 still runs/);
    expect(found[0]).toMatch(
      /Move m2 to a free address and apply, then m1 to 127.0.1.2 and apply, then m2 to 127.0.1.1/,
    );
  });

  it("T2: refuses another name at the same address", () => {
    expect(
      refusals(
        withMasters([
          ["m1", a],
          ["m2", b],
          ["m8", c],
        ]),
      ),
    ).toEqual([
      expect.stringMatching(/m8 is to stand at 127.0.1.3, where m3 still runs.*Keep the name m3, or give m8 a free/),
    ]);
  });

  it("T2: refuses a master that follows another one to its place, and names the order", () => {
    expect(
      refusals(
        withMasters([
          ["m1", b],
          ["m2", "127.0.1.22"],
          ["m3", c],
        ]),
      ),
    ).toEqual([
      expect.stringMatching(/m1 is to stand at 127.0.1.2, where m2 still runs.*Move m2 first and apply, then move m1/),
    ]);
  });

  it("T2: refuses a master at the address that the load balancer leaves", () => {
    expect(
      refusals(
        withMasters(
          [
            ["m1", "127.0.1.100"],
            ["m2", b],
            ["m3", c],
          ],
          "127.0.1.200",
        ),
      ),
    ).toEqual([expect.stringMatching(/m1 is to stand at 127.0.1.100, where load-balancer still runs/)]);
  });

  it("T2: takes the place of a member that is down and leaves", () => {
    const settled = settledObservation(now);
    const machines = settled.machines.filter((machine) => machine.name !== "m3");
    const members = settled.membership!.members.map((member) =>
      member.id === "id-m3" ? { ...member, healthy: false, raftIndex: null } : member,
    );
    const observed = { ...settled, machines, membership: { ...settled.membership!, members } };
    expect(
      refusals(
        withMasters([
          ["m1", a],
          ["m2", b],
          ["m8", c],
        ]),
        observed,
      ),
    ).toEqual([]);
  });

  it("T2: moves all masters to free addresses, none of them onto another", () => {
    expect(
      refusals(
        withMasters([
          ["m1", "127.0.1.21"],
          ["m2", "127.0.1.22"],
          ["m3", "127.0.1.23"],
        ]),
      ),
    ).toEqual([]);
  });
});
