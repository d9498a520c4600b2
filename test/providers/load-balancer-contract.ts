/** The contract of load balancers as tests over a factory: each implementation runs them. They use the port alone. */
import { beforeEach, describe, expect, it } from "vitest";
import type { LoadBalancer, WantedLoadBalancer } from "../../src/providers/load-balancer.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { loadBalancerBlueprint, loadBalancerConfig, loadBalancerName } from "../../src/units/load-balancer-unit.ts";
import { fixtureSpec } from "../support/planned-cluster.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);
const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);

function wanted(spec: ClusterSpec): WantedLoadBalancer {
  const targets = { backends: spec.controlPlane.masters.map(({ name }) => name) };
  return {
    name: loadBalancerName,
    lineage: "lineage-1",
    attributes: {},
    config: loadBalancerConfig(spec, targets),
    unit: async () => loadBalancerBlueprint(spec, targets).definition,
    relay: null,
    virtualAddress: null,
  };
}

/** `open` gives one that does not exist yet, on machines that do. */
export function describeLoadBalancer(name: string, open: () => Promise<LoadBalancer>): void {
  describe(`a load balancer ${name}`, () => {
    let loadBalancer: LoadBalancer;
    beforeEach(async () => {
      loadBalancer = await open();
    });

    it("is the same however often it is ensured, and another one with other backends", async () => {
      const first = await loadBalancer.ensure(wanted(three));
      expect(first).toMatchObject({ definitionDigest: expect.any(String) });
      expect(await loadBalancer.ensure(wanted(three))).toEqual(first);
      const second = await loadBalancer.ensure(wanted(five));
      expect(second["definitionDigest"]).not.toBe(first["definitionDigest"]);
    });

    it("is found as it was made, or among the units of its machines", async () => {
      const { definitionDigest } = await loadBalancer.ensure(wanted(three));
      const found = await loadBalancer.observe("lineage-1");
      if (found.kind === "onMachines") return;
      expect(found).toMatchObject({ kind: "present", running: true, definitionDigest });
      expect(await loadBalancer.observe("lineage-2")).toMatchObject({ kind: "absent" });
    });

    it("is gone once it is removed, however often that is asked", async () => {
      await loadBalancer.remove(loadBalancerName, false);
      await loadBalancer.ensure(wanted(three));
      for (let twice = 0; twice < 2; twice += 1) await loadBalancer.remove(loadBalancerName, false);
      expect(await loadBalancer.observe("lineage-1")).not.toMatchObject({ kind: "present" });
    });
  });
}
