/** The step that starts the agent of a member that is there. */
import { agentUnitName } from "../../units/unit-definition.ts";
import { unitOf } from "../cluster-view.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { Planning } from "../planning.ts";
import { type Attributes, resourceAddress } from "../resource.ts";
import type { StepAction } from "../step.ts";
import { initialClusterOf } from "./known-initial-cluster.ts";
import { needsVersion } from "./unit-condition.ts";

type Upgrade = {
  /** Null if unknown. */
  readonly from: string | null;
  readonly to: string;
};

/** The change of its version of haplan's programs; null if it has the right one. */
function neededUpgrade({ view }: Planning, resource: DesiredResource): Upgrade | null {
  const { address, name, attributes } = resource;
  const recorded = view.resources.get(address)?.attributes;
  const found = unitOf(view.machines.get(name), agentUnitName);
  if (!needsVersion(resource, recorded, found)) return null;
  const to = String(attributes["artifact"]);
  const known = typeof recorded?.["artifact"] === "string" ? recorded["artifact"] : null;
  if (found?.artifact !== to) return { from: found?.artifact ?? known, to };
  // It runs that version already: an upgrade that was cut short is watched to its end, and goes back to what the state has.
  return known === null ? null : { from: known, to };
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

/**
 * The step that waits for agents after their start. haplan cannot give an etcd its former version back, whose data it may not read
 * any more: a version that does not last is to stop at the first member.
 */
export function awaitStarted(planning: Planning, names: readonly string[]): StepAction {
  const changes = names.some((name) => changesEtcd(planning, name));
  const steady = changes ? { steadyMs: planning.spec.policy.upgradeWatchMs } : {};
  return { kind: "awaitQuorum", members: names, ...steady };
}

/**
 * The step that waits for a new member to catch up. With another program than a member of now has, it is watched before it gets its
 * vote: a version that does not last is to cost none.
 */
export function awaitCaughtUp(planning: Planning, name: string, memberId: string | null): StepAction {
  const { maxLearnerLagEntries: maxLagEntries, upgradeWatchMs: steadyMs } = planning.spec.policy;
  const steady = bringsProgram(planning, name) ? { steadyMs } : {};
  return { kind: "awaitCatchUp", member: name, memberId, maxLagEntries, ...steady };
}

function bringsProgram(planning: Planning, name: string): boolean {
  const agents = [...planning.view.resources.values()].filter(({ type }) => type === "haplan_agent");
  return agents.some(({ attributes }) => isOtherProgram(planning, name, attributes));
}

function changesEtcd(planning: Planning, name: string): boolean {
  const recorded = planning.view.resources.get(resourceAddress("haplan_agent", name))?.attributes;
  return (
    planning.spec.controlPlane.engine === "etcd" && recorded !== undefined && isOtherProgram(planning, name, recorded)
  );
}

/** Whether an agent that was recorded so runs another program than the spec has for this master. */
function isOtherProgram({ spec, desired }: Planning, name: string, recorded: Attributes): boolean {
  const wanted = desired.find(({ address }) => address === resourceAddress("haplan_agent", name))?.attributes ?? {};
  const keys = spec.controlPlane.engine === "etcd" ? ["engine", "etcdBinary", "etcdVersion"] : ["artifact"];
  return keys.some((key) => wanted[key] !== undefined && (recorded[key] ?? null) !== wanted[key]);
}
