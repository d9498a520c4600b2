/** The connections that a cluster needs: who connects to which machine, at which address and port. Pure. */

import { urlHost } from "../base/ip-address.ts";
import type { NetworkPath } from "../providers/provider.ts";
import { unknownAddresses } from "../spec/address-reference.ts";
import type { ClusterSpec, MasterSpec } from "../spec/cluster-spec.ts";
import type { MachineHost } from "../spec/machine-hosts.ts";
import { clientUrl } from "../units/addresses.ts";

/** `balancers`: the machines of the load balancer. */
export function networkPaths(spec: ClusterSpec, balancers: readonly MachineHost[]): readonly NetworkPath[] {
  const { masters } = spec.controlPlane;
  const own = masters.filter(({ adoptedAt }) => adoptedAt === undefined);
  const paths = [
    ...own.flatMap((from) => own.filter((to) => to !== from).map((to) => peerPath(spec, from, to))),
    // API servers and etcdctl on masters use every member, not only their own.
    ...own.flatMap((from) =>
      masters.filter((to) => to !== from).map((to) => clientPath(spec, from.name, to, "warning")),
    ),
    ...balancers.flatMap((from) => masters.map((to) => clientPath(spec, from.name, to, "error"))),
    ...balancers.flatMap((from) => own.flatMap((to) => healthPaths(spec, from, to))),
    ...masters.map((to) => clientPath(spec, null, to, "error")),
    ...spec.workers.flatMap((from) => balancers.flatMap((to) => balancerPaths(spec, from.name, to, "error"))),
    ...balancers.flatMap((to) => balancerPaths(spec, null, to, "warning")),
    ...kubernetesPaths(spec, balancers),
  ];
  return paths.filter(({ address }) => unknownAddresses(address).length === 0);
}

/** Kubelets reach the API servers through the load balancer. */
function kubernetesPaths(
  { kubernetes, controlPlane: { masters }, workers }: ClusterSpec,
  balancers: readonly MachineHost[],
): readonly NetworkPath[] {
  if (kubernetes === undefined) return [];
  const { apiServerPort, endpointPort } = kubernetes;
  const path = (from: string, to: MasterSpec | MachineHost, port: number): NetworkPath => {
    return { from, to: to.name, address: to.address, port, severity: "error" };
  };
  return balancers.flatMap((balancer) => [
    ...masters.map((to) => path(balancer.name, to, apiServerPort)),
    ...[...masters, ...workers].map(({ name }) => path(name, balancer, endpointPort)),
  ]);
}

function peerPath(spec: ClusterSpec, from: MasterSpec, to: MasterSpec): NetworkPath {
  const { peerPort } = spec.controlPlane;
  return { from: from.name, to: to.name, address: to.address, port: peerPort, severity: "error" };
}

/** Where the load balancer checks an etcd that serves HTTP at a port of its own. */
function healthPaths({ controlPlane }: ClusterSpec, from: MachineHost, to: MasterSpec): readonly NetworkPath[] {
  const port = controlPlane.etcd?.httpPort;
  return port === undefined ? [] : [{ from: from.name, to: to.name, address: to.address, port, severity: "error" }];
}

function clientPath(
  spec: ClusterSpec,
  from: string | null,
  to: MasterSpec,
  severity: NetworkPath["severity"],
): NetworkPath {
  if (unknownAddresses(to.address).length > 0) return { from, to: to.name, address: to.address, port: 0, severity };
  const url = clientUrl(spec, to);
  const { port, protocol } = new URL(url);
  const address = urlHost(url);
  return { from, to: to.name, address, port: Number(port) || (protocol === "https:" ? 443 : 80), severity };
}

function balancerPaths(
  { loadBalancer }: ClusterSpec,
  from: string | null,
  { name: to, address }: MachineHost,
  severity: NetworkPath["severity"],
): readonly NetworkPath[] {
  return loadBalancer.ports.map((port) => ({ from, to, address, port, severity }));
}
