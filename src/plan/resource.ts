/**
 * Everything that haplan manages is a resource with an address such as `haplan_agent.m1`. Names are keys, never
 * indexes: removing m1 does not renumber m2.
 */
import type { Json } from "../base/json.ts";

export type ResourceType =
  | "haplan_ca"
  | "haplan_certificate"
  | "haplan_machine"
  | "haplan_agent"
  | "haplan_raft_member"
  | "haplan_load_balancer"
  | "haplan_lb_backend"
  | "haplan_worker"
  | "haplan_kubeadm_config"
  | "haplan_kubernetes_node";

export type ResourceAddress = `${ResourceType}.${string}`;

export type Attributes = { readonly [name: string]: Json };

export function resourceAddress(type: ResourceType, name: string): ResourceAddress {
  return `${type}.${name}`;
}

export function parseAddress(address: ResourceAddress): { readonly type: ResourceType; readonly name: string } {
  const dot = address.indexOf(".");
  return { type: address.slice(0, dot) as ResourceType, name: address.slice(dot + 1) };
}

/** The resources of a master, in the order in which they are created. */
export const masterTypes: readonly ResourceType[] = ["haplan_machine", "haplan_agent", "haplan_raft_member"];

/**
 * A resource of one generation of a machine while another one has its name: `haplan_machine.m1@1`. Terraform calls such
 * an object deposed. No name in a spec contains an `@`.
 */
export function deposedAddress(type: ResourceType, name: string, generation: number): ResourceAddress {
  return resourceAddress(type, `${name}@${generation}`);
}

export function isDeposed(address: ResourceAddress): boolean {
  return address.includes("@");
}

/** The name of a resource, deposed or not, in a spec: `m1` of `m1@1`. */
export function specName(name: string): string {
  return name.split("@")[0]!;
}
