/**
 * The document with each IP address of a machine in one spelling. Rules, plans and certificates compare addresses as texts,
 * and a new spelling of the same address is no change. Pure.
 */
import { canonicalAddress } from "../base/ip-address.ts";
import type { Json } from "../base/json.ts";

type Mapping = { readonly [key: string]: Json };

/** Anything that is not where an address belongs is left as it is: other checks report it. */
export function withCanonicalAddresses(document: Json): Json {
  return within(document, "spec", (spec) =>
    [
      (part: Json) => within(part, "controlPlane", (plane) => within(plane, "masters", ofHosts)),
      (part: Json) => within(part, "workers", ofHosts),
      (part: Json) => within(part, "loadBalancer", ofBalancer),
      (part: Json) => within(part, "repair", (repair) => within(repair, "replace", ofReplace)),
    ].reduce((part, change) => change(part), spec),
  );
}

function ofBalancer(balancer: Json): Json {
  return within(within(within(balancer, "address", spelled), "vip", spelled), "hosts", ofHosts);
}

const ofReplace = (replace: Json): Json => within(replace, "spares", ofHosts);

const ofHosts = (hosts: Json): Json =>
  Array.isArray(hosts) ? hosts.map((host: Json) => within(host, "address", spelled)) : hosts;

const spelled = (address: Json): Json => (typeof address === "string" ? canonicalAddress(address) : address);

function within(value: Json, key: string, change: (value: Json) => Json): Json {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  const mapping = value as Mapping;
  const found = mapping[key];
  return found === undefined ? value : { ...mapping, [key]: change(found) };
}
