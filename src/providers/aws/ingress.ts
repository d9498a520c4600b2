/** What the security groups let in, as text that plans show: `tcp/2380 from masters`. Pure. */
import type { ClusterSpec, ProviderSettings } from "../../spec/cluster-spec.ts";
import { machineHosts } from "../../spec/machine-hosts.ts";
import { healthPort } from "../../units/health-port.ts";
import type { GroupRole } from "./aws-names.ts";

/** `from`: a security group of the cluster, or a range of addresses. */
export type IngressRule = { readonly port: number; readonly from: string };

const sshPort = 22;

/** Sorted as text. */
export function ingressOf(spec: ClusterSpec, role: GroupRole): readonly string[] {
  return rulesOf(spec, role).map(formatRule).sort();
}

function rulesOf(spec: ClusterSpec, role: GroupRole): readonly IngressRule[] {
  const { controlPlane, loadBalancer, provider } = spec;
  const { clientPort, peerPort } = controlPlane;
  const operators = provider["allowFrom"] as readonly string[];
  const clients = provider["clientsFrom"] as readonly string[];
  // The SSM agent of an instance connects to sshd from within.
  const ssh =
    provider["sessionManager"] === true ? [] : sshPorts(spec, role).flatMap((port) => openTo(port, operators));
  switch (role) {
    case "workers":
      return ssh;
    case "load-balancer":
      return loadBalancer.ports.flatMap((port) => openTo(port, ["masters", "workers", ...operators, ...clients]));
    case "masters":
      return [
        ...ssh,
        ...openTo(clientPort, ["load-balancer", "masters", "workers", ...adoptedRanges(spec), ...operators]),
        ...openTo(peerPort, ["masters", ...adoptedRanges(spec)]),
        ...openTo(healthPort({ loadBalancer }) ?? controlPlane.etcd?.httpPort ?? clientPort, ["load-balancer"]),
      ];
  }
}

/** The instances of adopted members are in no group of the cluster's. */
function adoptedRanges({ controlPlane }: ClusterSpec): readonly string[] {
  return controlPlane.masters.flatMap(({ address, adoptedAt }) => (adoptedAt === undefined ? [] : [`${address}/32`]));
}

/** Those of the machines of the role, each once. */
function sshPorts(spec: ClusterSpec, role: GroupRole): readonly number[] {
  const hosts = machineHosts(spec, []).filter((host) => (host.role === "master") === (role === "masters"));
  const ports = hosts.map(({ settings }) => {
    const { port } = (settings?.["ssh"] ?? {}) as ProviderSettings;
    return Number(port ?? spec.provider["port"] ?? sshPort);
  });
  return [...new Set(ports)];
}

/** Each source once: two lists may have the same range. */
function openTo(port: number, sources: readonly string[]): readonly IngressRule[] {
  return [...new Set(sources)].map((from) => ({ port, from }));
}

export function formatRule({ port, from }: IngressRule): string {
  return `tcp/${port} from ${from}`;
}

/** A rule that haplan did not write may have another form. */
export function parseRule(text: string): IngressRule | null {
  const [, port, from] = /^tcp\/(\d+) from (\S+)$/.exec(text) ?? [];
  return port === undefined || from === undefined ? null : { port: Number(port), from };
}
