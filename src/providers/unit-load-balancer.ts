/** Load balancers that are units on machines: haplan's own or HAProxy, with keepalived beside one that has a virtual address. */
import type { Clock } from "../base/clock.ts";
import { haproxyQuestion, haproxySocket, parseHaproxyStatus } from "../load-balancer/haproxy-status.ts";
import { parseStatus, statusFileName } from "../load-balancer/load-balancer-status.ts";
import { loadBalancerUnitName, relayUnitName, virtualAddressUnitName } from "../units/unit-definition.ts";
import { virtualAddressStateFile } from "../units/virtual-address.ts";
import type { LoadBalancer, VirtualAddressState } from "./load-balancer.ts";
import type { Provider } from "./provider.ts";
import { unitDigest } from "./unit-digest.ts";

const stopGraceMs = 2_000;

/** What keepalived calls its states. */
const states: ReadonlyMap<string, VirtualAddressState> = new Map([
  ["MASTER", "holder"],
  ["BACKUP", "backup"],
  ["FAULT", "fault"],
]);

export function unitLoadBalancer(provider: Provider, clock: Pick<Clock, "now">): LoadBalancer {
  return {
    observe: async () => ({ kind: "onMachines" }),
    ensure: async ({ name, unit, relay, virtualAddress }, signal) => {
      if (relay !== null) await provider.startUnit(name, await relay(), signal);
      const definition = await unit();
      const { pid } = await provider.startUnit(name, definition, signal);
      const facts = { pid, definitionDigest: unitDigest(definition) };
      if (virtualAddress === null) return facts;
      // Last: it takes the address for a load balancer that serves.
      const holder = await virtualAddress();
      await provider.startUnit(name, holder, signal);
      return { ...facts, virtualAddressDigest: unitDigest(holder) };
    },
    removeVirtualAddress: (name, signal) => provider.removeUnit(name, virtualAddressUnitName, signal),
    remove: async (name, hasVirtualAddress, signal) => {
      // First: the address moves to another one while this one still serves.
      if (hasVirtualAddress) await provider.stopUnit(name, virtualAddressUnitName, stopGraceMs, signal);
      await provider.stopUnit(name, loadBalancerUnitName, stopGraceMs, signal);
    },
    virtualAddress: async (name, signal) => {
      const text = await provider.readUnitFile(name, virtualAddressUnitName, virtualAddressStateFile, signal);
      return states.get(text?.trim() ?? "") ?? null;
    },
    status: async (name, signal) => {
      const own = await provider.readUnitFile(name, loadBalancerUnitName, statusFileName, signal);
      if (own !== null) return parseStatus(own, clock.now());
      const statistics = await provider.askUnit(name, loadBalancerUnitName, haproxySocket, haproxyQuestion, signal);
      if (statistics === null) return null;
      const backends = parseHaproxyStatus(statistics);
      if (backends.length > 0) return { backends };
      const ofRelay = await provider.readUnitFile(name, relayUnitName, statusFileName, signal);
      return ofRelay === null ? { backends } : parseStatus(ofRelay, clock.now());
    },
  };
}
