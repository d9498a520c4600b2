/**
 * Risks of a valid spec, known from the spec alone: `validate` shows them with their position in the file, `plan` in
 * the plan.
 */
import type { ClusterSpec } from "./cluster-spec.ts";
import { findingAt, type SpecFinding } from "./finding.ts";
import { faultToleranceOf, quorumOf } from "./quorum-table.ts";

export function specWarnings(spec: ClusterSpec): readonly SpecFinding[] {
  return [...zoneWarnings(spec), ...tlsWarnings(spec), ...loadBalancerWarnings(spec)];
}

/** Masters without a zone are ignored in warnings about zones. */
function zoneWarnings({ controlPlane }: ClusterSpec): readonly SpecFinding[] {
  const { masters } = controlPlane;
  const zones = membersByZone(masters);
  return [...zones].flatMap(([zone, names]) => {
    const left = masters.length - names.length;
    if (left >= quorumOf(masters.length)) return [];
    const first = masters.findIndex((master) => master.zone === zone);
    return findingAt(`/spec/controlPlane/masters/${first}/zone`, {
      code: "plan/zone-takes-quorum",
      summary: `The loss of zone ${zone} loses the quorum`,
      detail: `${names.join(", ")} ${names.length === 1 ? "is" : "are"} in it: without it ${left} of ${masters.length} voters are left, but ${quorumOf(masters.length)} are needed. ${advice(zones, masters.length)}`,
    });
  });
}

/** The names of the masters in each zone. */
export function membersByZone(
  members: readonly { readonly name: string; readonly zone: string | null }[],
): ReadonlyMap<string, readonly string[]> {
  const zones = new Map<string, string[]>();
  for (const { name, zone } of members) if (zone !== null) zones.set(zone, [...(zones.get(zone) ?? []), name]);
  return zones;
}

function advice(zones: ReadonlyMap<string, readonly string[]>, total: number): string {
  const most = faultToleranceOf(total);
  if (zones.size === 1)
    return `Spread the masters over three zones, at most ${most} in each (controlPlane.zones does it).`;
  if (zones.size > 2) return `Put at most ${most} of the ${total} masters into one zone.`;
  const sides = [...zones.values()].map((names) => names.length).sort((a, b) => b - a);
  return `A partition between the two zones (${sides.join("|")}) leaves only the larger side writable. One of two zones always has the majority: only a third zone, which may be small, makes the loss of any zone tolerable.`;
}

/** A control plane contains every secret of its cluster. Adopted members are configured by their operators. */
function tlsWarnings({ controlPlane }: ClusterSpec): readonly SpecFinding[] {
  const adopting = controlPlane.masters.some((master) => master.adoptedAt !== undefined);
  if (controlPlane.tls.enabled || adopting) return [];
  const { clientPort, peerPort } = controlPlane;
  return [
    findingAt("/spec/controlPlane/tls", {
      code: "plan/no-tls",
      summary: "The control plane has no TLS",
      detail: `Any host that reaches ports ${clientPort} and ${peerPort} can read and change all of its data. Omit "tls: { enabled: false }", unless this is a test: TLS cannot be turned on later while the cluster runs.`,
    }),
  ];
}

function loadBalancerWarnings({ loadBalancer }: ClusterSpec): readonly SpecFinding[] {
  const { hosts = [], virtual, address } = loadBalancer;
  const [only] = hosts;
  if (only === undefined || hosts.length > 1) return [];
  if (virtual === undefined) return [loneLoadBalancer(only.name)];
  return [
    findingAt("/spec/loadBalancer/vip", {
      code: "plan/single-load-balancer",
      summary: `Only ${only.name} can have the virtual address ${address}`,
      detail: "If that host fails, no client reaches the cluster. List a second host under loadBalancer.hosts.",
    }),
  ];
}

function loneLoadBalancer(name: string): SpecFinding {
  return findingAt("/spec/loadBalancer", {
    code: "plan/single-load-balancer",
    summary: `All clients depend on ${name}, the only load balancer`,
    detail:
      "If that host fails, no client reaches the cluster, however many masters it has. List two hosts under loadBalancer.hosts, and write a virtual address for them (loadBalancer.vip).",
  });
}
