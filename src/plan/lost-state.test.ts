/** Plans over a lost state: the steps of the same plan with a state, and besides them only what records and confirms. */
import { describe, expect, it } from "vitest";
import { FakeCloudLoadBalancer } from "../../test/support/fake-cloud-load-balancer.ts";
import { fakeRemoteModel } from "../../test/support/fake-remote-model.ts";
import { planOf } from "../../test/support/plan-of.ts";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import { localModel } from "../providers/local/local-model.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { desiredResources } from "./desired-resources.ts";
import { importResource } from "./import-resource.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import type { Plan } from "./plan.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { ProviderModel } from "./provider-model.ts";
import type { Step } from "./step.ts";

type Shape = {
  readonly provider: ProviderModel;
  readonly of: (spec: ClusterSpec) => ClusterSpec;
  /** Changes what is observed of a settled cluster. */
  readonly seen?: (observed: ObservedCluster, spec: ClusterSpec) => ObservedCluster;
};

const vip = "10.0.0.100";
const alone = (type: "embedded" | "haproxy"): Shape => ({
  provider: localModel,
  of: (spec) => ({ ...spec, loadBalancer: { ...spec.loadBalancer, type } }),
});
const shared = (type: "embedded" | "haproxy", addresses: readonly string[]): Shape => ({
  provider: localModel,
  of: (spec) => {
    const hosts = addresses.map((address, place) => ({ name: `lb${place + 1}`, zone: null, address }));
    const virtual = { interface: null, routerId: 7 };
    return { ...spec, loadBalancer: { ...spec.loadBalancer, type, address: vip, hosts, virtual } };
  },
});
const ofCloud: Shape = {
  provider: FakeCloudLoadBalancer.model(fakeRemoteModel({})),
  of: (spec) => ({ ...spec, loadBalancer: { ...spec.loadBalancer, type: "nlb" } }),
  seen: (observed, { loadBalancer: { address } }) => ({
    ...observed,
    machines: observed.machines.filter(({ name }) => name !== "load-balancer"),
    certificates: observed.certificates.filter(({ name }) => name !== "load-balancer"),
    loadBalancer: { running: true, address, definitionDigest: "digest-load-balancer" },
  }),
};
/** Programs of an earlier version do not tell the address. */
const untold = (shape: Shape): Shape => ({
  ...shape,
  seen: (observed) => ({
    ...observed,
    machines: observed.machines.map((machine) => ({
      ...machine,
      units: machine.units.map(({ virtualAddress: _, ...unit }) => unit),
    })),
  }),
});
const own = ["10.0.0.16", "10.0.0.17"];
const masters = ["127.0.1.1", "127.0.1.2", "127.0.1.3"];

const shapes: readonly (readonly [string, Shape])[] = [
  ["an embedded one with its own machine", alone("embedded")],
  ["HAProxy with its own machine", alone("haproxy")],
  ["embedded ones with a virtual address", shared("embedded", own)],
  ["HAProxy with a virtual address", shared("haproxy", own)],
  ["embedded ones with a virtual address, on masters", shared("embedded", masters)],
  ["HAProxy with a virtual address, on masters", shared("haproxy", masters)],
  ["HAProxy with a virtual address that the hosts do not tell", untold(shared("haproxy", own))],
  ["one of a cloud", ofCloud],
];

const three = fixtureSpec(["m1", "m2", "m3"]);
const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);
const elsewhere: ClusterSpec = {
  ...three,
  controlPlane: {
    ...three.controlPlane,
    masters: three.controlPlane.masters.map((each) => (each.name === "m2" ? { ...each, address: "127.0.1.42" } : each)),
  },
};
const changes: readonly (readonly [string, ClusterSpec, ClusterSpec])[] = [
  ["3→5", three, five],
  ["5→3", five, three],
  ["5→3 with the leader", five, fixtureSpec(["m2", "m3", "m4"])],
  ["3→7", three, fixtureSpec(["m1", "m2", "m3", "m4", "m5", "m6", "m7"])],
  ["a replaced master", three, fixtureSpec(["m1", "m2", "m4"])],
  ["a master at another address", three, elsewhere],
];

function inputs({ provider, of, seen = (observed) => observed }: Shape, before: ClusterSpec, after: ClusterSpec) {
  const spec = of(before);
  const observed = seen(settledObservation(spec), spec);
  const resources = new Map(settledState(spec).resources.map((each) => [each.address, each]));
  const state = {
    ...settledState(spec),
    resources: desiredResources(spec, provider).map((resource) => ({
      ...resource,
      generation: 1,
      status: "ready" as const,
      attributes: { ...resources.get(resource.address)?.attributes, ...resource.attributes },
    })),
  };
  const known = fixtureInput(of(after), { provider, state, observed });
  return { known, lost: { ...known, state: null, observed: { ...observed, backends: [] } } satisfies PlannerInput };
}

/** A step that writes what is there already: the provider changes nothing if the definition is the same. */
function confirms({ action }: Step, all: readonly string[]): boolean {
  if (action.kind === "recordState" || action.kind === "startWorker") return true;
  return (
    action.kind === "updateLoadBalancer" &&
    action.listensAt === undefined &&
    action.formerTargets === undefined &&
    action.backends.join() === all.join()
  );
}

const namesOf = (spec: ClusterSpec): readonly string[] => spec.controlPlane.masters.map(({ name }) => name);
const balancerSteps = ({ steps }: Plan): readonly Step["action"][] =>
  steps.map(({ action }) => action).filter(({ kind }) => kind.endsWith("LoadBalancer"));

describe.each(shapes)("a plan over a lost state with %s", (_, shape) => {
  it("of an unchanged cluster only confirms each load balancer as it is, and says of no move", () => {
    const { lost } = inputs(shape, three, three);
    const plan = planOf(lost);
    expect(plan.steps.filter((step) => !confirms(step, namesOf(three)))).toEqual([]);
    const balancers = balancerSteps(plan).map((action) => ("balancer" in action ? action.balancer : "the only one"));
    expect(balancers).toEqual([...new Set(balancers)]);
    expect(plan.warnings.map(({ code }) => code)).not.toContain("plan/endpoint-moves");
  });

  it("records load balancers as a state would have had them", () => {
    const { known, lost } = inputs(shape, three, three);
    const plan = planOf(lost);
    for (const { address, type, attributes } of known.state!.resources) {
      if (type !== "haplan_load_balancer") continue;
      const change = plan.changes.find((each) => each.address === address);
      expect(change).toMatchObject({ action: "noop", importing: {}, after: shape === ofCloud ? {} : attributes });
      const bare = { ...known.state!, resources: known.state!.resources.filter((each) => each.address !== address) };
      const imported = importResource({ ...lost, state: bare }, { address, id: null }, () => "");
      expect(imported).toMatchObject({ resource: { attributes: change!.after } });
    }
  });

  it.each(changes)("of %s has the steps that it has with a state, before what only confirms", (_, before, after) => {
    const { known, lost } = inputs(shape, before, after);
    const all = namesOf(after);
    const steps = planOf(known).steps.map(({ action }) => action);
    const anew = planOf(lost).steps;
    const wanted = new Set(steps.map((action) => JSON.stringify(action)));
    const more = anew.filter(({ action }) => !wanted.has(JSON.stringify(action)));
    expect(more.filter((step) => !confirms(step, all)).map(({ id }) => id)).toEqual([]);
    const same = anew.map(({ action }) => action).filter((action) => wanted.has(JSON.stringify(action)));
    expect(same).toEqual(steps);
  });
});

describe("a plan over a lost state whose spec has another virtual address", () => {
  it("moves it as with a state, from the address that the hosts tell", () => {
    const { known, lost } = inputs(shared("haproxy", own), three, three);
    const moved = { ...known.spec, loadBalancer: { ...known.spec.loadBalancer, address: "10.0.0.101" } };
    const [withState, without] = [known, lost].map((input) => planOf({ ...input, spec: moved }));
    expect(balancerSteps(without!)).toEqual(balancerSteps(withState!));
    const changed = without!.changes.filter(({ type }) => type === "haplan_load_balancer");
    expect(changed).toMatchObject([{ action: "update", importing: {} }, { action: "update" }]);
    const moves = without!.warnings.find(({ code }) => code === "plan/endpoint-moves");
    expect(moves?.summary).toBe(`The endpoint moves from ${vip} to 10.0.0.101`);
  });

  it("issues certificates, unless both addresses are among the names that they have beside it", () => {
    const made = [[], [vip, "10.0.0.101"]].map((extraNames) => {
      const named = { ...three, controlPlane: { ...three.controlPlane, tls: { enabled: true, extraNames } } };
      const { known } = inputs(shared("haproxy", own), named, named);
      const { loadBalancer } = known.spec;
      const plan = planOf({
        ...known,
        spec: { ...known.spec, loadBalancer: { ...loadBalancer, address: "10.0.0.101" } },
      });
      const warning = plan.warnings.find(({ code }) => code === "plan/endpoint-moves");
      const issued = plan.steps.filter(({ action }) => action.kind === "issueCertificate").length;
      return [issued > 0, warning?.detail?.includes("new connections through")];
    });
    expect(made).toEqual([
      [true, true],
      [false, false],
    ]);
  });
});
