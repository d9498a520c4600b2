/**
 * The unit that holds the virtual address of several load balancers: keepalived, which speaks VRRP with its peers and gives
 * the address to one host at a time. It runs beside the load balancer's own unit.
 */
import { isIPv6 } from "node:net";
import { assert } from "../base/assert.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { hostListen } from "./host-listen.ts";
import type { UnitBlueprint } from "./unit-blueprint.ts";
import { interfacePlaceholder, unitDirPlaceholder, virtualAddressUnitName } from "./unit-definition.ts";

/** Where keepalived's state on a host is: a file in the unit's runtime directory. */
export const virtualAddressStateFile = "state";

/** The highest priority that is not reserved for the owner of an address, which a virtual address has not. */
const priorityMax = 254;
const priorityStep = 10;

/**
 * `host:port` at which a load balancer says whether it serves, for the host alone. Its own address is the virtual one, which
 * another host may have.
 */
export function healthListen(spec: ClusterSpec): string {
  return hostListen(spec);
}

/** The priority of each host by its place in the list: the first is the first holder. */
export function priorityAt(place: number): number {
  return priorityMax - priorityStep * place;
}

/** Null if the load balancer of that name has no virtual address. */
export function virtualAddressBlueprint(spec: ClusterSpec, balancer: string): UnitBlueprint | null {
  const { address, hosts = [], virtual } = spec.loadBalancer;
  const place = hosts.findIndex(({ name }) => name === balancer);
  const host = hosts[place];
  if (virtual === undefined || host === undefined) return null;
  const health = healthListen(spec);
  const colon = health.lastIndexOf(":");
  const values = {
    name: `haplan-${spec.name}`,
    address,
    prefixLength: isIPv6(address) ? 128 : 32,
    interface: virtual.interface ?? interfacePlaceholder(host.address),
    routerId: virtual.routerId,
    priority: priorityAt(place),
    source: host.address,
    peers: hosts.filter((each) => each !== host).map((each) => each.address),
  };
  assert(values.priority > 0, "there are fewer load balancers than priorities");
  const program = ["--dont-fork", "--log-console", "--no-syslog", "--vrrp"];
  const config = `--use-file=${unitDirPlaceholder}/keepalived.conf`;
  return {
    definition: {
      name: virtualAddressUnitName,
      program: { kind: "system", command: "keepalived" },
      // Relative to the unit's runtime directory, which it runs in.
      arguments: [...program, config, "--pid=keepalived.pid", "--vrrp_pid=vrrp.pid"],
      environment: {},
      files: [],
      listens: [],
      reload: { signal: "SIGHUP", files: ["keepalived.conf", "serves", "notify"] },
      check: ["--config-test", "--config-id=test", "--vrrp", config],
      routerId: virtual.routerId,
      capabilities: ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SETGID"],
    },
    templates: [
      { path: "keepalived.conf", template: "keepalived/keepalived.conf.hbs", values, mode: 0o600 },
      {
        path: "serves",
        template: "keepalived/serves.hbs",
        values: { host: health.slice(0, colon), port: health.slice(colon + 1) },
        mode: 0o700,
      },
      { path: "notify", template: "keepalived/notify.hbs", values: {}, mode: 0o700 },
    ],
    certificate: null,
  };
}
