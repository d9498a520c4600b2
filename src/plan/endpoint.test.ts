/** The load balancer's targets along a plan: each follows its member, and clients always reach one that serves. */
import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { formerTargetOf } from "../units/load-balancer-targets.ts";
import { loadBalancerBlueprint } from "../units/load-balancer-unit.ts";
import type { Plan } from "./plan.ts";
import { planChanges } from "./planner.ts";
import type { Step } from "./step.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);
const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);

function elsewhere(spec: ClusterSpec, by: number, names?: readonly string[]): ClusterSpec {
  const masters = spec.controlPlane.masters.map((master) =>
    names === undefined || names.includes(master.name)
      ? { ...master, address: master.address.replace(/\d+$/, (last) => String(Number(last) + by)) }
      : master,
  );
  return { ...spec, controlPlane: { ...spec.controlPlane, masters } };
}

function onClientPort(spec: ClusterSpec, clientPort: number): ClusterSpec {
  return { ...spec, controlPlane: { ...spec.controlPlane, clientPort } };
}

function planFrom(before: ClusterSpec, after: ClusterSpec): Plan {
  const input = fixtureInput(after, { state: settledState(before), observed: settledObservation(before) });
  return planOf(input);
}

/** Targets after each step that changes them, members to come back elsewhere with where they are. */
function targets({ steps }: Plan): readonly string[] {
  return steps.flatMap(({ action }) => {
    if (action.kind !== "updateLoadBalancer") return [];
    const former = (name: string): string | undefined => formerTargetOf(action, name);
    return [
      action.backends.map((name) => (former(name) === undefined ? name : `${name} at ${former(name)}`)).join(", "),
    ];
  });
}

const changes: readonly (readonly [string, ClusterSpec, ClusterSpec, readonly string[]])[] = [
  [
    "all addresses of three",
    three,
    elsewhere(three, 20),
    ["m1 at 127.0.1.1:2379, m3 at 127.0.1.3:2379", "m1 at 127.0.1.1:2379, m2", "m2, m3", "m1, m2, m3"],
  ],
  [
    "the client port of three",
    three,
    onClientPort(three, 2479),
    ["m1 at 127.0.1.1:2379, m3 at 127.0.1.3:2379", "m1 at 127.0.1.1:2379, m2", "m2, m3", "m1, m2, m3"],
  ],
  ["one address", three, elsewhere(three, 20, ["m2"]), ["m1, m3", "m1, m2, m3"]],
  [
    "the client port while a master joins and another one leaves",
    three,
    onClientPort(fixtureSpec(["m1", "m2", "m4"]), 2479),
    [
      "m1 at 127.0.1.1:2379, m2 at 127.0.1.2:2379",
      "m1 at 127.0.1.1:2379, m2 at 127.0.1.2:2379, m4",
      "m1 at 127.0.1.1:2379, m4",
      "m2, m4",
      "m1, m2, m4",
    ],
  ],
  ["all masters by others", three, fixtureSpec(["m4", "m5", "m6"]), ["m1 at 127.0.1.1:2379", "m4, m5", "m4, m5, m6"]],
  ["two of three by others", three, fixtureSpec(["m1", "m5", "m6"]), ["m1", "m1, m5, m6"]],
];

describe("the load balancer's targets", () => {
  it("BR10: serves masters that are named as what every object inherits", () => {
    const masters = three.controlPlane.masters.map((master, index) =>
      index === 0 ? { ...master, name: "constructor" } : master,
    );
    const named = { ...three, controlPlane: { ...three.controlPlane, masters } };
    const { plan } = planChanges(
      fixtureInput(named, { state: settledState(three), observed: settledObservation(three) }),
    );
    expect(targets(plan!).at(-1)).toBe("constructor, m2, m3");
    expect(plan!.timeline.at(-1)?.endpoint).toMatchObject({ serving: 3 });
  });

  it.each(changes)("T3: follow a change of %s, each as soon as its member serves", (_, before, after, expected) => {
    expect(targets(planFrom(before, after))).toEqual(expected);
  });

  it.each([...changes, ["all addresses of five", five, elsewhere(five, 20), []] as const])(
    "T3: serve at every step of a change of %s, and say so in the timeline",
    (_, before, after) => {
      const { timeline } = planFrom(before, after);
      for (const { title, endpoint } of timeline) expect(endpoint?.serving, title).toBeGreaterThan(0);
      const size = after.controlPlane.masters.length;
      expect(timeline.at(-1)?.endpoint).toEqual({ targets: size, serving: size });
    },
  );

  it.each(changes)("T3: hold no member that stops to come back elsewhere, in a change of %s", (_, before, after) => {
    let served = before.controlPlane.masters.map(({ name }) => name);
    for (const { action } of planFrom(before, after).steps) {
      if (action.kind === "updateLoadBalancer") served = [...action.backends];
      const stops = action.kind === "stopAgent" || action.kind === "updateAgent";
      if (stops) expect(served, action.kind).not.toContain(action.member);
    }
  });

  it("T3: move five masters with one step more than there are masters", () => {
    const plan = planFrom(five, elsewhere(five, 20));
    expect(targets(plan)).toHaveLength(6);
    // The leader is last, and hands over to one that has moved by then.
    const kinds = plan.steps.map(({ action }: Step) => action.kind);
    expect(kinds.filter((kind) => kind === "moveLeader")).toHaveLength(1);
    expect(kinds.indexOf("moveLeader")).toBeGreaterThan(kinds.indexOf("stopAgent"));
  });

  it("BR3: are told to a load balancer that moves itself, where it is until then", () => {
    const loadBalancer = { ...three.loadBalancer, address: "127.0.1.101", ports: [2479] };
    const plan = planFrom(three, { ...onClientPort(three, 2479), loadBalancer });
    const told = plan.steps.flatMap(({ action }) =>
      action.kind === "updateLoadBalancer" || action.kind === "startLoadBalancer" ? [action] : [],
    );
    expect(told.length).toBeGreaterThan(3);
    const place = { address: "127.0.1.100", ports: [2379] };
    for (const action of told.slice(0, -1))
      expect(action).toMatchObject({ kind: "updateLoadBalancer", listensAt: place });
    expect(told.at(-1)).toEqual({ kind: "startLoadBalancer", backends: ["m1", "m2", "m3"] });
    const during = plan.timeline.filter(({ endpoint }) => endpoint !== undefined);
    expect(during.every(({ endpoint }) => endpoint!.serving > 0)).toBe(true);
    const [first] = loadBalancerBlueprint(plan.spec, told[0]!).definition.listens;
    expect(first).toBe("127.0.1.100:2379");
  });

  it("T3: stay as they are while members only restart", () => {
    const faster = { ...three, controlPlane: { ...three.controlPlane, heartbeatIntervalMs: 50 } };
    expect(targets(planFrom(three, faster))).toEqual([]);
  });

  it("T3: are put right at once where a member serves and an earlier apply did not get to say so", () => {
    const before = onClientPort(three, 2479);
    const state = settledState(before);
    const resources = state.resources.map((resource) =>
      resource.address === "haplan_lb_backend.m2"
        ? { ...resource, attributes: { ...resource.attributes, target: "127.0.1.2:2379" } }
        : resource,
    );
    const observed = {
      ...settledObservation(before),
      backends: resources.filter(({ type }) => type === "haplan_lb_backend"),
    };
    const { plan } = planChanges(fixtureInput(before, { state: { ...state, resources }, observed }));
    expect(plan?.steps.map(({ title }) => title)).toEqual(["update load balancer: m1, m2, m3"]);
    expect(plan?.timeline.map(({ endpoint }) => endpoint)).toEqual([
      { targets: 3, serving: 2 },
      { targets: 3, serving: 3 },
    ]);
  });
});
