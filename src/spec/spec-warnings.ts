/** What a valid spec risks, told by the spec alone: `validate` says it with its place in the file, `plan` in the plan. */
import type { ClusterSpec } from "./cluster-spec.ts";
import { findingAt, type SpecFinding } from "./finding.ts";
import { faultToleranceOf, quorumOf } from "./quorum-table.ts";

export function specWarnings(spec: ClusterSpec): readonly SpecFinding[] {
  return [...zoneWarnings(spec), ...tlsWarnings(spec)];
}

/** Masters whose zone is not named are left out of what is said of zones. */
function zoneWarnings({ controlPlane }: ClusterSpec): readonly SpecFinding[] {
  const { masters } = controlPlane;
  const zones = membersByZone(masters);
  return [...zones].flatMap(([zone, names]) => {
    const left = masters.length - names.length;
    if (left >= quorumOf(masters.length)) return [];
    const first = masters.findIndex((master) => master.zone === zone);
    return findingAt(`/spec/controlPlane/masters/${first}/zone`, {
      code: "plan/zone-takes-quorum",
      summary: `The loss of zone ${zone} takes the quorum`,
      detail: `${names.join(", ")} ${names.length === 1 ? "is" : "are"} there: without it ${left} of ${masters.length} voters are left, and ${quorumOf(masters.length)} are needed. ${advice(zones, masters.length)}`,
    });
  });
}

/** The names of those that are in each zone. */
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
  return `A cut between the two zones (${sides.join("|")}) leaves the larger side writing. Whatever the numbers, of two zones one always has the majority: only a third, which may be small, lets the loss of either be survived.`;
}

/** A control plane holds every secret of its cluster. Members that were adopted are as those who run them want them. */
function tlsWarnings({ controlPlane }: ClusterSpec): readonly SpecFinding[] {
  const adopting = controlPlane.masters.some((master) => master.adoptedAt !== undefined);
  if (controlPlane.tls.enabled || adopting) return [];
  const { clientPort, peerPort } = controlPlane;
  return [
    findingAt("/spec/controlPlane/tls", {
      code: "plan/no-tls",
      summary: "The control plane has no TLS",
      detail: `Everything that reaches ports ${clientPort} and ${peerPort} can read and change all of its data. Leave "tls: { enabled: false }" out, unless this is a test: TLS cannot be turned on later while the cluster runs.`,
    }),
  ];
}
