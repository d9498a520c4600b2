/**
 * Checks whether members can be adopted. Everything that would fail half-way is refused before anything is changed:
 * with two voters both have to agree to every change, so if one of them is dead nothing can be changed.
 */

import { majorityOf } from "../../../base/majority.ts";
import { clientUrl } from "../../../units/addresses.ts";
import type { MemberView } from "../../cluster-view.ts";
import type { ObservedMembership } from "../../observed-cluster.ts";
import type { Planning } from "../../planning.ts";
import { resourceAddress } from "../../resource.ts";

export function checkAdoption(planning: Planning): void {
  const { view, builder, spec, observed } = planning;
  const adopted = spec.controlPlane.masters.filter((master) => master.adoptedAt !== undefined);
  if (adopted.length === 0) return;
  const { membership } = observed;
  if (membership === null) {
    builder.refuse(
      "plan/adopt-no-answer",
      `No member answers at ${adopted.map((master) => master.adoptedAt).join(", ")}`,
      planning.mode === "destroy"
        ? "The members that haplan added cannot be removed from a cluster that does not answer. Start its members first; or remove `adopt` from the spec: then destroy removes everything that haplan has created and forgets the rest."
        : "These members are to be adopted while they run, and are not changed until they do. Start them, or fix the endpoints.",
    );
    return;
  }
  if (planning.mode === "destroy") return;
  checkIdentity(planning, membership);
  const missing = adopted.filter((master) => !view.members.some((member) => isAdopted(member, master.name)));
  for (const master of missing) {
    builder.refuse(
      "plan/adopt-unknown",
      `No member of the cluster answers at ${master.adoptedAt}`,
      `Its members are ${view.members.map((member) => `${member.name} (${member.peerUrl})`).join(", ")}. Write the client URL at which the member answers, or that it advertises.`,
    );
  }
  checkPeerScheme(planning);
  if (missing.length === 0) checkMembers(planning);
}

/** Members that haplan starts use TLS with clients and peers, or with neither. */
function checkPeerScheme({ spec, view, builder }: Planning): void {
  const { enabled } = spec.controlPlane.tls;
  for (const { adopted, name, peerUrl } of view.members) {
    if (!adopted || peerUrl.startsWith(enabled ? "https:" : "http:")) continue;
    builder.refuse(
      "plan/adopt-mixed-tls",
      `${name} uses TLS ${enabled ? "with its clients only" : "with its peers only"}`,
      `Its peer URL is ${peerUrl}. A cluster can be adopted if it uses TLS with both or with neither; etcd changes a member's peer URL while it runs (etcdctl member update).`,
    );
  }
}

function isAdopted(member: MemberView, name: string): boolean {
  return member.adopted && member.voter && member.name === name;
}

function checkIdentity({ spec, replace, builder }: Planning, membership: ObservedMembership): void {
  for (const { endpoint, clusterId } of membership.foreignEndpoints ?? []) {
    builder.refuse(
      "plan/adopt-other-cluster",
      `${endpoint} answers for another cluster`,
      `Its cluster id is ${clusterId}, that of the others ${membership.clusterId}. Two clusters cannot become one: write endpoints of one of them.`,
    );
  }
  const { engine } = spec.controlPlane;
  if (membership.engine !== undefined && membership.engine !== engine) {
    builder.refuse(
      "plan/adopt-engine",
      `The members to be adopted run ${membership.engine}, but the spec says engine ${engine}`,
      `Members of different engines cannot communicate. Write "engine: ${membership.engine}".`,
    );
  }
  for (const master of spec.controlPlane.masters) {
    const addresses = [resourceAddress("haplan_raft_member", master.name), `haplan_machine.${master.name}`];
    if (master.adoptedAt === undefined || !addresses.some((address) => replace?.includes(address))) continue;
    builder.refuse(
      "plan/replace-adopted",
      `${master.name} was adopted: haplan cannot replace it`,
      "Remove its endpoint from adopt.endpoints and stop it: then haplan replaces it with a member of its own.",
    );
  }
}

/** While the membership is still to grow, adopted members have to be healthy. */
function checkMembers(planning: Planning): void {
  const { view, builder } = planning;
  const masters = new Map(planning.spec.controlPlane.masters.map((master) => [master.name, master]));
  const voters = view.members.filter((member) => member.voter);
  const unlisted = voters.filter((member) => !masters.has(member.name));
  const first = !view.members.some((member) => view.resources.has(`haplan_raft_member.${member.name}`));
  for (const member of first ? unlisted : []) {
    builder.refuse(
      "plan/adopt-unlisted-voter",
      `Voter ${member.name} is not among the masters`,
      `It votes at ${member.peerUrl}. A cluster is adopted as a whole: list it under masters, and its client URL under adopt.endpoints.`,
    );
  }
  if (planning.spec.controlPlane.masters.every((master) => voters.some((voter) => voter.name === master.name))) return;
  for (const learner of view.members.filter((member) => !member.voter)) {
    if (masters.get(learner.name)?.adoptedAt === undefined && masters.has(learner.name)) continue;
    builder.refuse(
      "plan/adopt-learner",
      `${learner.name} is a learner that is not one of the masters`,
      `Another membership change is running, or was interrupted. Wait for it, or remove the learner (etcdctl member remove ${learner.id}).`,
    );
  }
  checkHealth(planning, voters);
  checkUser(planning);
}

/** Only root may add members and take snapshots; detected half-way, a machine would have been created for nothing. */
function checkUser({ observed, spec, builder }: Planning): void {
  const user = observed.membership?.user;
  if (user === undefined) return;
  if (!user.root) {
    builder.refuse(
      "plan/adopt-user",
      `User "${user.name}" may not add members`,
      "That requires the role root. Grant it (etcdctl user grant-role), or set HAPLAN_ETCD_USER to a user that has it.",
    );
  }
  if (spec.workers.length === 0) return;
  builder.warn(
    "plan/workers-without-user",
    "The workers of the spec cannot log in",
    "This cluster has users, but haplan gives its workers no password. They run but cannot report.",
  );
}

function checkHealth(planning: Planning, voters: readonly MemberView[]): void {
  const { builder } = planning;
  const unhealthy = voters.filter((voter) => voter.adopted && !voter.healthy);
  // A member that answers but is unhealthy only lacks the others: those have to be fixed.
  const silent = unhealthy.filter((voter) => !voter.answers);
  const sick = silent.length > 0 ? silent : unhealthy;
  const answering = voters.filter((voter) => voter.answers).length;
  for (const { name, answers, peerUrl } of sick) {
    const url = clientUrl(planning.spec, planning.spec.controlPlane.masters.find((master) => master.name === name)!);
    const lost = answering < majorityOf(voters.length);
    builder.refuse(
      "plan/adopt-unhealthy",
      `${name} ${answers ? "has no quorum" : "does not answer"} (${url})`,
      lost
        ? `${voters.length} voters need ${majorityOf(voters.length)} to agree, but only ${answering} ${answering === 1 ? "answers" : "answer"}: no member can be added or removed, with any tool. Start it again where it ran (peer URL ${peerUrl}), then plan again. If its data is lost, save a snapshot of the remaining member and start a new cluster from it. Nothing was changed.`
        : "Members are adopted only while all of them are healthy. Start it again, then plan again. Nothing was changed.",
    );
  }
  const facts = new Map((planning.observed.membership?.members ?? []).map((member) => [member.id, member]));
  for (const voter of voters) {
    const alarms = facts.get(voter.id)?.alarms ?? [];
    if (alarms.length === 0) continue;
    builder.refuse(
      "plan/adopt-alarm",
      `${voter.name} has an alarm: ${alarms.join("; ")}`,
      "An unhealthy cluster is not changed. For NOSPACE: compact, defragment, then etcdctl alarm disarm.",
    );
  }
}
