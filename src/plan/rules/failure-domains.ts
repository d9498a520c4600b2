/** The effect of a partition between zones on the current voters. Members without a zone are ignored. */

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

/** From the spec, or for a leaving member from its machine. */
function zoneOf(spec: ClusterSpec, world: World, name: string): string | null {
  const wanted = spec.controlPlane.masters.find((master) => master.name === name)?.zone;
  const known = world.resources.get(resourceAddress("haplan_machine", name))?.attributes["zone"];
  return wanted ?? (typeof known === "string" ? known : null);
}

/**
 * An even number of voters can be partitioned so that no side has a majority: 6 split 3|3 stop altogether, where 5
 * continue.
 */
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
    `A partition between zones stops all writes of the current ${voters.length} voters`,
    `Partitioned ${cuts.map(({ sides }) => sides.join("|")).join(" or ")}, no side has ${quorumOf(voters.length)} of ${voters.length}, so both wait until the network is healed. With ${voters.length - 1} voters one side would continue.`,
  );
}
