/** The step that starts the agent of a member that is there. */
import { agentUnitName } from "../../units/unit-definition.ts";
import { unitOf } from "../cluster-view.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import type { StepAction } from "../step.ts";
import { initialClusterOf } from "./join-member.ts";
import { needsVersion, noteVersion } from "./unit-condition.ts";

export type Upgrade = {
  /** Null if unknown. */
  readonly from: string | null;
  readonly to: string;
};

/** The change of its version of haplan's programs; null if it has the right one. */
export function neededUpgrade({ view, builder }: Planning, resource: DesiredResource): Upgrade | null {
  const { address, name, attributes } = resource;
  const recorded = view.resources.get(address)?.attributes;
  const found = unitOf(view.machines.get(name), agentUnitName);
  if (!needsVersion(resource, recorded, found)) return null;
  const known = recorded?.["artifact"];
  noteVersion(address, known, found?.artifact, builder);
  return { from: found?.artifact ?? (typeof known === "string" ? known : null), to: String(attributes["artifact"]) };
}

/** Whatever it is started for: with another version of haplan it is an upgrade, which is watched and can be undone. */
export function agentStart(
  planning: Planning,
  name: string,
  kind: "updateAgent" | "restartAgent" | "reloadAgent",
): StepAction {
  const join = initialClusterOf(planning, name);
  const resource = planning.desired.find(({ address }) => address === resourceAddress("haplan_agent", name));
  const upgrade = resource === undefined ? null : neededUpgrade(planning, resource);
  return upgrade === null ? { kind, member: name, join } : { kind: "upgradeAgent", member: name, join, ...upgrade };
}
