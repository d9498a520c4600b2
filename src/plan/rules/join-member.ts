/** One new member from machine to caught-up learner. Until its vote counts, all of this can be undone. */

import { peerCertificateName } from "../../units/peer-certificate.ts";
import { agentUnitName } from "../../units/unit-definition.ts";
import { type ClusterView, type MemberView, machineOf, unitOf } from "../cluster-view.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import type { MemberRef } from "../step.ts";
import { isHandedCertificate } from "./agent-certificates.ts";
import { awaitCaughtUp } from "./agent-start.ts";
import type { JoiningMaster } from "./masters.ts";
import { formerMachine, type NewMember, prepareMachine } from "./new-member-machine.ts";
import type { WithCertificates } from "./stages.ts";
import { whyUnitDiffers } from "./unit-condition.ts";

export type Join = {
  readonly ref: MemberRef;
  /** Id of the step after which it has caught up. */
  readonly ready: string | null;
};

export function joinMember(planning: WithCertificates, master: JoiningMaster): Join {
  const { desired, view, certificates, builder } = planning;
  const { name } = master;
  const machine = prepareMachine(planning, master, []);
  const member = resourceAddress("haplan_raft_member", name);
  const agent = resourceAddress("haplan_agent", name);
  // A real etcd accepts no new member while one is down, so the former one is removed first.
  const replacement = planning.spec.controlPlane.engine === "etcd" ? "deleteThenCreate" : "createThenDelete";
  builder.setAction(member, master.replaces === null ? "create" : replacement, master.reason);
  const runs = runsAsStarted(planning, master);
  if (!runs) builder.setAction(agent, agentAction(planning, master), master.reason);
  const resource = desired.find((candidate) => candidate.address === member)!;
  let added: string | null = null;
  if (master.learner === null) {
    const url = String(resource.attributes["peerUrl"]);
    added = builder.chain({ kind: "addLearner", member: name, peerUrl: url }, [member], [machine]);
  }
  const stuck = isStuck(view, master.learner);
  const issued = [name, peerCertificateName(name)].map((each) => certificates.get(each) ?? null);
  const waits = [machine, added, ...issued];
  const kind = stuck ? "restartAgent" : "startAgent";
  const running = runs ? null : builder.add({ kind, member: name, join: null }, [agent], waits);
  const memberId = master.learner?.id ?? null;
  const ready = builder.add(awaitCaughtUp(planning, name, memberId), [member], [running, builder.lastSerialStep]);
  return { ref: { name, memberId }, ready };
}

/**
 * An interrupted apply has started it, and the state records how: it is only waited for. Starting it again would pass
 * the current members, which it does not need, and restart it.
 */
export function runsAsStarted(
  planning: WithCertificates,
  { name, learner }: Pick<NewMember, "name" | "learner">,
): boolean {
  const { desired, view, certificates } = planning;
  if (learner?.answers !== true || isHandedCertificate(name, certificates)) return false;
  const address = resourceAddress("haplan_agent", name);
  // Of two machines with its name, the state's entry without a generation is the new member's.
  const recorded = planning.state?.resources.find((resource) => resource.address === address)?.attributes;
  const resource = desired.find((candidate) => candidate.address === address);
  const unit = unitOf(machineOf(view, learner), agentUnitName);
  if (recorded === undefined || resource === undefined || unit?.running !== true) return false;
  return unit.definitionDigest === recorded["definitionDigest"] && whyUnitDiffers(resource, recorded, unit) === null;
}

/** Its process runs but does not answer. */
export function isStuck(view: ClusterView, learner: MemberView | null): boolean {
  if (learner === null || learner.answers) return false;
  return unitOf(machineOf(view, learner), agentUnitName)?.running === true;
}

function agentAction(
  planning: Planning,
  master: JoiningMaster,
): "create" | "update" | "createThenDelete" | "deleteThenCreate" {
  const { view } = planning;
  if (formerMachine(planning, master) !== null) return "createThenDelete";
  if (master.learner !== null && view.resources.has(resourceAddress("haplan_agent", master.name))) return "update";
  return master.replaces !== null && view.machines.has(master.name) ? "deleteThenCreate" : "create";
}
