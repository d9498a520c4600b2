/** A load balancer that is a unit on one machine: haplan's own or HAProxy. */
import type { Clock } from "../base/clock.ts";
import { parseStatus, statusFileName } from "../load-balancer/load-balancer-status.ts";
import { loadBalancerName } from "../units/load-balancer-unit.ts";
import { loadBalancerUnitName } from "../units/unit-definition.ts";
import type { LoadBalancer } from "./load-balancer.ts";
import type { Provider } from "./provider.ts";
import { unitDigest } from "./unit-digest.ts";

const stopGraceMs = 2_000;

export function unitLoadBalancer(provider: Provider, clock: Pick<Clock, "now">): LoadBalancer {
  return {
    observe: async () => ({ kind: "onMachines" }),
    ensure: async ({ unit }, signal) => {
      const definition = await unit();
      const { pid } = await provider.startUnit(loadBalancerName, definition, signal);
      return { pid, definitionDigest: unitDigest(definition) };
    },
    remove: (signal) => provider.stopUnit(loadBalancerName, loadBalancerUnitName, stopGraceMs, signal),
    status: async (signal) => {
      const text = await provider.readUnitFile(loadBalancerName, loadBalancerUnitName, statusFileName, signal);
      return text === null ? null : parseStatus(text, clock.now());
    },
  };
}
