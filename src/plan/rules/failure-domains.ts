/**
 * What a cut between zones does to the voters of today. Members whose zone is not named are left out of what is said of
 * zones.
 */

import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import { partitionsOf, quorumOf } from "../../spec/quorum-table.ts";
import { membersByZone } from "../../spec/spec-warnings.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import type { World } from "../world.ts";

type Placed = { readonly name: string; readonly zone: string | null };

export function warnOfCuts({ world, draft }: Planning, spec: ClusterSpec): void {
  const today = world.members
    .filter((member) => member.voter)
    .map(({ name }) => ({ name, zone: zoneOf(spec, world, name) }));
  sayWhatCutsDo(today, draft);
}

/** Of the spec, or for one that leaves, of the machine as it was made. */
function zoneOf(spec: ClusterSpec, world: World, name: string): string | null {
  const wanted = spec.controlPlane.masters.find((master) => master.name === name)?.zone;
  const known = world.resources.get(resourceAddress("haplan_machine", name))?.attributes["zone"];
  return wanted ?? (typeof known === "string" ? known : null);
}

/** An even number of voters can be cut so that no side has a majority: 6 cut 3|3 stop altogether, where 5 go on. */
function sayWhatCutsDo(voters: readonly Placed[], draft: PlanDraft): void {
  const zones = membersByZone(voters);
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
