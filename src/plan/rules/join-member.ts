/** One newcomer from machine to caught-up learner. Until its votes count, all of this can be undone. */

import { peerUrl } from "../../units/addresses.ts";
import { peerCertificateName } from "../../units/peer-certificate.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { PlannerInput } from "../planner-input.ts";
import { resourceAddress } from "../resource.ts";
import { isJoinFacts, type JoinFacts, type MemberRef } from "../step.ts";
import { generationOf, type World } from "../world.ts";
import type { IssuedCertificates } from "./issued-certificates.ts";
import { createMachine, machineAddress } from "./machines.ts";
import { agentRuns, type JoiningMaster } from "./masters.ts";

export type Join = {
  readonly ref: MemberRef;
  /** Id of the step after which it has caught up. */
  readonly ready: string;
};

export function joinMember(
  input: PlannerInput,
  desired: readonly DesiredResource[],
  world: World,
  master: JoiningMaster,
  certificates: IssuedCertificates,
  draft: PlanDraft,
): Join {
  const { name } = master;
  const machine = prepareMachine(desired, world, master, draft);
  const member = resourceAddress("haplan_raft_member", name);
  const agent = resourceAddress("haplan_agent", name);
  draft.judge(member, master.replaces === null ? "create" : "createThenDelete", master.reason);
  draft.judge(agent, agentVerdict(world, master), master.reason);
  const resource = desired.find((candidate) => candidate.address === member)!;
  let added: string | null = null;
  if (master.learner === null) {
    const url = String(resource.attributes["peerUrl"]);
    added = draft.chain({ kind: "addLearner", member: name, peerUrl: url }, [member], [machine]);
  }
  // One that an interrupted apply has started is started again all the same: that changes nothing, and records it.
  const stuck = master.learner !== null && agentRuns(world, name) && !master.learner.answers;
  const issued = [name, peerCertificateName(name)].map((each) => certificates.get(each) ?? null);
  const waits = [machine, added, ...issued];
  const kind = stuck ? "restartAgent" : "startAgent";
  const running = draft.add({ kind, member: name, join: null }, [agent], waits);
  const maxLagEntries = input.spec.policy.maxLearnerLagEntries;
  const memberId = master.learner?.id ?? null;
  const ready = draft.add(
    { kind: "awaitCatchUp", member: name, memberId, maxLagEntries },
    [member],
    [running, draft.chainEnd],
  );
  return { ref: { name, memberId }, ready };
}

function agentVerdict(world: World, master: JoiningMaster): "create" | "update" | "deleteThenCreate" {
  if (master.learner !== null && world.resources.has(resourceAddress("haplan_agent", master.name))) return "update";
  return master.replaces !== null && world.machines.has(master.name) ? "deleteThenCreate" : "create";
}

/**
 * A member never starts on what another left behind: a machine that may hold or have held another member's data is
 * made anew, with the next generation. One that an interrupted apply made just now is used.
 */
function prepareMachine(
  desired: readonly DesiredResource[],
  world: World,
  master: JoiningMaster,
  draft: PlanDraft,
): string | null {
  const address = machineAddress(master.name);
  const resource = desired.find((candidate) => candidate.address === address)!;
  const found = world.machines.get(master.name);
  const next = createMachine(resource, generationOf(world, master.name) + 1);
  if (found === undefined) {
    draft.judge(address, "create", world.resources.has(address) ? "it is gone" : null);
    return draft.add(next, [address]);
  }
  const memberGeneration = world.resources.get(resourceAddress("haplan_raft_member", master.name))?.generation ?? 0;
  const untouched = !found.hasData && found.generation > memberGeneration && world.resources.size > 0;
  const rightPlace = found.address === resource.attributes["address"];
  if (rightPlace && (master.learner !== null || untouched)) return null;
  const forces = rightPlace ? undefined : ["address"];
  draft.judge(address, "deleteThenCreate", master.reason ?? "it holds what an earlier member left", forces);
  const destroyed = draft.add({ kind: "destroyMachine", machine: master.name }, [address], [draft.chainEnd]);
  return draft.add(next, [address], [destroyed]);
}

/** What an agent was started with, as the state remembers it, so that its unit stays the same; else the spec's masters. */
export function knownJoin(input: PlannerInput, world: World, name: string): JoinFacts {
  const join = world.resources.get(resourceAddress("haplan_agent", name))?.attributes["join"];
  if (isJoinFacts(join)) return join;
  return {
    clusterState: "existing",
    initialCluster: input.spec.controlPlane.masters.map((master) => ({
      name: master.name,
      peerUrl: peerUrl(input.spec, master),
    })),
  };
}
