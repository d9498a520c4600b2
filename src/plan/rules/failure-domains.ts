/**
 * What fails together: says which zone's loss would take the quorum, and what a cut between zones does, to the wanted
 * masters and to the voters of today. Members whose zone nobody has named are left out of what is said of zones.
 */
import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import { faultToleranceOf, partitionsOf, quorumOf } from "../../spec/quorum-table.ts";
import type { PlanDraft } from "../plan-draft.ts";
import { resourceAddress } from "../resource.ts";
import type { World } from "../world.ts";

type Placed = { readonly name: string; readonly zone: string | null };

export function checkFailureDomains(spec: ClusterSpec, world: World, draft: PlanDraft): void {
  const { masters } = spec.controlPlane;
  const zones = zonesOf(masters);
  for (const [zone, names] of zones) {
    const left = masters.length - names.length;
    if (left >= quorumOf(masters.length)) continue;
    draft.warn(
      "plan/zone-takes-quorum",
      `The loss of zone ${zone} takes the quorum`,
      `${names.join(", ")} ${names.length === 1 ? "is" : "are"} there: without it ${left} of ${masters.length} voters are left, and ${quorumOf(masters.length)} are needed. ${advice(zones, masters.length)}`,
    );
  }
  const today = world.members
    .filter((member) => member.voter)
    .map(({ name }) => ({ name, zone: zoneOf(spec, world, name) }));
  sayWhatCutsDo(today, draft);
}

function zonesOf(members: readonly Placed[]): ReadonlyMap<string, readonly string[]> {
  const zones = new Map<string, string[]>();
  for (const { name, zone } of members) if (zone !== null) zones.set(zone, [...(zones.get(zone) ?? []), name]);
  return zones;
}

/** Of the spec, or for one that leaves, of the machine as it was made. */
function zoneOf(spec: ClusterSpec, world: World, name: string): string | null {
  const wanted = spec.controlPlane.masters.find((master) => master.name === name)?.zone;
  const known = world.resources.get(resourceAddress("haplan_machine", name))?.attributes["zone"];
  return wanted ?? (typeof known === "string" ? known : null);
}

function advice(zones: ReadonlyMap<string, readonly string[]>, total: number): string {
  const most = faultToleranceOf(total);
  if (zones.size === 1)
    return `Spread the masters over three zones, at most ${most} in each (controlPlane.zones does it).`;
  if (zones.size > 2) return `Put at most ${most} of the ${total} masters into one zone.`;
  const sides = [...zones.values()].map((names) => names.length).sort((a, b) => b - a);
  return `A cut between the two zones (${sides.join("|")}) leaves the larger side writing. Whatever the numbers, of two zones one always has the majority: only a third, which may be small, lets the loss of either be survived.`;
}

/** An even number of voters can be cut so that no side has a majority: 6 cut 3|3 stop altogether, where 5 go on. */
function sayWhatCutsDo(voters: readonly Placed[], draft: PlanDraft): void {
  const zones = zonesOf(voters);
  const placed = [...zones.values()].reduce((sum, names) => sum + names.length, 0);
  if (zones.size < 2 || placed !== voters.length) return;
  const cuts = partitionsOf([...zones.values()].map((names) => names.length)).filter(
    ({ sides, survivor }) => survivor === null && sides.length === 2,
  );
  if (cuts.length === 0) return;
  draft.warn(
    "plan/cut-stops-writes",
    `A cut between zones stops all writes of today's ${voters.length} voters`,
    `Cut ${cuts.map(({ sides }) => sides.join("|")).join(" or ")}, no side has ${quorumOf(voters.length)} of ${voters.length}, so that both wait until the network is whole again. With ${voters.length - 1} voters one side would go on.`,
  );
}
