/**
 * Everything haplan manages is a resource with an address such as `haplan_agent.m1`. Names are keys, never indexes:
 * removing m1 does not renumber m2.
 */
export type ResourceType =
  | "haplan_ca"
  | "haplan_certificate"
  | "haplan_machine"
  | "haplan_agent"
  | "haplan_raft_member"
  | "haplan_load_balancer"
  | "haplan_lb_backend"
  | "haplan_worker";

export type ResourceAddress = `${ResourceType}.${string}`;

/** A JSON value; attributes of a resource are made of these. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type Attributes = { readonly [name: string]: Json };

export function resourceAddress(type: ResourceType, name: string): ResourceAddress {
  return `${type}.${name}`;
}
