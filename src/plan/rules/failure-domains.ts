/** The effect of a partition between zones on the current voters. Members without a zone are ignored. */

import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import { partitionsOf, quorumOf } from "../../spec/quorum-table.ts";
import { membersByZone } from "../../spec/spec-warnings.ts";
import type { ClusterView } from "../cluster-view.ts";
import type { PlanBuilder } from "../plan-builder.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";

type Placed = { readonly name: string; readonly zone: string | null };

export function warnAboutZoneLoss({ view, builder }: Planning, spec: ClusterSpec): void {
  const today = view.members
    .filter((member) => member.voter)
    .map(({ name }) => ({ name, zone: zoneOf(spec, view, name) }));
  sayWhatCutsDo(today, builder);
}

/** From the spec, or for a leaving member from its machine. */
function zoneOf(spec: ClusterSpec, view: ClusterView, name: string): string | null {
  const wanted = spec.controlPlane.masters.find((master) => master.name === name)?.zone;
  const known = view.resources.get(resourceAddress("haplan_machine", name))?.attributes["zone"];
  return wanted ?? (typeof known === "string" ? known : null);
}

/**
 * An even number of voters can be partitioned so that no side has a majority: 6 split 3|3 stop altogether, where 5
 * continue.
 */
function sayWhatCutsDo(voters: readonly Placed[], builder: PlanBuilder): void {
  const zones = membersByZone(voters);
  const placed = [...zones.values()].reduce((sum, names) => sum + names.length, 0);
  if (zones.size < 2 || placed !== voters.length) return;
  const cuts = partitionsOf([...zones.values()].map((names) => names.length)).filter(
    ({ sides, survivor }) => survivor === null && sides.length === 2,
  );
  if (cuts.length === 0) return;
  builder.warn(
    "plan/cut-stops-writes",
    `A partition between zones stops all writes of the current ${voters.length} voters`,
    `Partitioned ${cuts.map(({ sides }) => sides.join("|")).join(" or ")}, no side has ${quorumOf(voters.length)} of ${voters.length}, so both wait until the network is healed. With ${voters.length - 1} voters one side would continue.`,
  );
}
