/** Preconditions of any plan. All violations are reported at once, each with the way out. */

import { majorityOf } from "../../base/majority.ts";
import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import { specWarnings } from "../../spec/spec-warnings.ts";
import { unreachableReplaced } from "../change-reason.ts";
import {
  type ClusterView,
  hasName,
  isRecoverable,
  lineagesFound,
  type MemberView,
  memberCondition,
} from "../cluster-view.ts";
import { isAbandoned, type ObservedCluster } from "../observed-cluster.ts";
import type { Planning } from "../planning.ts";
import { checkAddressFamilies } from "./address-families.ts";
import { checkAdoption } from "./adoption/adoption-checks.ts";
import { checkAuthority } from "./authority-checks.ts";
import { checkHttpPort } from "./etcd-http-port.ts";
import { checkEtcdVersion } from "./etcd-version.ts";
import { warnAboutZoneLoss } from "./failure-domains.ts";
import { reconfiguredFounders } from "./first-start.ts";
import { warnAboutFullDisks } from "./full-disks.ts";
import { checkOccupiedAddresses } from "./occupied-addresses.ts";
import { checkOrphans } from "./orphans.ts";
import { checkReplacement } from "./replacement-checks.ts";
import { checkUnreachable } from "./unreachable.ts";

export function checkPreconditions(planning: Planning): void {
  const { builder } = planning;
  checkIdentity(planning);
  checkUnreachable(planning);
  checkOrphans(planning);
  checkAdoption(planning);
  if (planning.mode === "destroy") return;
  checkUnchangeable(planning, planning.spec);
  checkFirstStart(planning, planning.spec);
  if (!builder.refusals.some(({ code }) => code === "plan/tls-changed")) checkAuthority(planning);
  checkReplacement(planning);
  checkRecoverable(planning);
  checkRoles(planning);
  checkEtcdVersion(planning);
  checkHttpPort(planning);
  checkOccupiedAddresses(planning);
  checkAddressFamilies(planning);
  checkUnmanaged(planning);
  for (const { code, summary, detail } of specWarnings(planning.spec)) builder.warn(code, summary, detail);
  warnAboutZoneLoss(planning, planning.spec);
  warnAboutFullDisks(planning);
  for (const problem of planning.observed.problems) {
    builder.warn("plan/not-observed", `${problem.subject} could not be observed`, problem.message);
  }
  builder.warnings.push(...(planning.observed.warnings ?? []));
}

/** Machines of other clusters, or without a cluster, are never changed. */
export function checkIdentity({ spec, state, observed, view, mode, builder }: Planning): void {
  if (state !== null && state.clusterName !== spec.name) {
    builder.refuse(
      "plan/other-cluster",
      `The state belongs to cluster "${state.clusterName}", but the spec describes "${spec.name}"`,
      "A cluster cannot be renamed. Write the old name into metadata.name, or work in another directory.",
    );
  }
  const lineages = lineagesFound(observed);
  if (state === null && lineages.length > 1) {
    builder.refuse(
      "plan/several-lineages",
      `There is no state, and the machines belong to ${lineages.length} different clusters`,
      `Found the lineages ${lineages.join(", ")}. Restore the state file, or destroy the machines that are not needed.`,
    );
    return;
  }
  for (const foreignMachine of view.foreignMachines) {
    builder.refuse(
      "plan/foreign-machine",
      `Machine ${foreignMachine.name} belongs to another cluster`,
      `Its lineage is ${foreignMachine.lineage}; this cluster's is ${view.lineage}. Choose another name, or destroy it with the state it was created with.`,
      `haplan_machine.${foreignMachine.name}`,
    );
  }
  checkForeign({ spec, state, observed, builder, mode });
  if (state === null && view.lineage !== null && (view.phase === "formed" || mode === "destroy")) {
    builder.warn(
      "plan/state-rebuilt",
      "There is no state, but machines of this cluster exist",
      `Their lineage is ${view.lineage}. ${mode === "destroy" ? "They are destroyed." : "They are adopted and not created again."}`,
    );
  }
}

/** Names of a cloud are those of other clusters as well: what another one has is not touched, and is in the way of this one. */
function checkForeign({
  spec,
  state,
  observed,
  mode,
  builder,
}: Pick<Planning, "spec" | "state" | "observed" | "mode" | "builder">): void {
  const foreign = observed.foreign ?? [];
  if (foreign.length === 0) return;
  const lineages = [...new Set(foreign.map(({ lineage }) => lineage))].sort();
  const shown = foreign.slice(0, 3).map(({ what }) => what);
  const more = foreign.length > shown.length ? ` and ${foreign.length - shown.length} more` : "";
  const belong = foreign.length === 1 ? "belongs" : "belong";
  const summary = `Another cluster has the name "${spec.name}"`;
  const detail = `${upperFirst(shown.join(", "))}${more} ${belong} to another cluster of that name, lineage ${lineages.join(", ")}. haplan changes nothing of it.`;
  if (state === null) {
    const wayOut = `If that is this cluster, only its state is missing here: run haplan where the state is, or bring the state to where the spec says (docs/cli.md). Otherwise write another metadata.name.`;
    builder.refuse("plan/another-cluster", summary, `${detail} ${wayOut}`);
  } else if (mode === "destroy") builder.warn("plan/another-cluster", summary, detail);
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Changes after which half of the members could not communicate with the other half. */
function checkUnchangeable({ view, builder }: Planning, spec: ClusterSpec): void {
  if (view.phase === "none") return;
  const agents = [...view.resources.values()].filter((resource) => resource.type === "haplan_agent");
  const otherEngine = agents.find((agent) => agent.attributes["engine"] !== spec.controlPlane.engine);
  if (otherEngine !== undefined) {
    const engine = String(otherEngine.attributes["engine"]);
    builder.refuse(
      "plan/engine-changed",
      `A running cluster cannot change its engine from ${engine} to ${spec.controlPlane.engine}`,
      `Members of different engines cannot communicate. Write "engine: ${engine}", or create a new cluster beside this one.`,
    );
  }
  const scheme = spec.controlPlane.tls.enabled ? "https:" : "http:";
  const otherScheme = view.members.find(
    (member) => member.peerUrl !== "" && !member.adopted && !member.peerUrl.startsWith(scheme),
  );
  if (otherScheme !== undefined) {
    const enabled = !spec.controlPlane.tls.enabled;
    builder.refuse(
      "plan/tls-changed",
      `TLS cannot be turned ${enabled ? "off" : "on"} while the cluster runs`,
      `Members with and without it cannot communicate, so the change would lose the quorum half-way. Write "tls: { enabled: ${enabled} }" for this cluster. To move its data, apply a spec with another name, other addresses and "tls: { enabled: ${!enabled} }" beside it, copy the keys with "etcdctl make-mirror", point clients at the new one, and destroy this one (docs/certificates.md).`,
    );
  }
}

/** A machine keeps its role: its content for one role is in the way of the other. */
function checkRoles({ desired, view, builder }: Planning): void {
  for (const wanted of desired) {
    if (wanted.type !== "haplan_machine") continue;
    const role = view.resources.get(wanted.address)?.attributes["role"];
    if (role === undefined || role === wanted.attributes["role"]) continue;
    builder.refuse(
      "plan/role-changed",
      `${wanted.name} was a ${role} and is now a ${wanted.attributes["role"]}`,
      "A machine cannot change its role. Give the new one another name; the same plan removes the old one.",
      wanted.address,
    );
  }
}

/** Members of a formed cluster that answer from machines without this cluster's label. */
function checkUnmanaged({ spec, view, builder }: Planning): void {
  if (view.phase !== "formed") return;
  for (const member of view.members) {
    if (!member.voter || memberCondition(view, member) !== "unmanaged" || !hasName(member)) continue;
    const isWanted = spec.controlPlane.masters.some(({ name }) => name === member.name);
    const wayOut = isWanted
      ? " To have haplan run this master, stop that process, and apply: a new member takes its vote."
      : "";
    builder.warn(
      "plan/unmanaged-member",
      `Voter ${member.name} runs on no machine of haplan's`,
      `It answers at ${member.peerUrl}. haplan counts its vote and leaves its process alone.${wayOut}`,
    );
  }
}

/** An interrupted first start continues with the members it was started with, and once it has a quorum with its settings. */
function checkFirstStart(planning: Planning, spec: ClusterSpec): void {
  const { view, builder } = planning;
  if (view.phase !== "forming") return;
  const changed = view.hasLeader ? reconfiguredFounders(planning) : [];
  if (changed.length > 0) {
    builder.refuse(
      "plan/first-start-changed",
      "The cluster's first start is incomplete, with other settings",
      `The members have a quorum already, and the spec has other settings for ${changed.join(", ")}. Apply the earlier spec first and change it then, or start over, after:`,
      null,
      [["destroy"]],
    );
    return;
  }
  const wanted = spec.controlPlane.masters.map((master) => master.name).sort();
  for (const resource of view.resources.values()) {
    const begun = resource.type === "haplan_agent" ? resource.attributes["initialMembers"] : undefined;
    if (!Array.isArray(begun) || begun.join() === wanted.join()) continue;
    builder.refuse(
      "plan/first-start-changed",
      "The cluster's first start is incomplete, with other masters",
      `It was started with ${begun.join(", ")}; the spec now lists ${wanted.join(", ")}. Apply the earlier spec first and change it then, or start over, after:`,
      null,
      [["destroy"]],
    );
    return;
  }
}

/** Members that can only be replaced need a quorum of the others. */
function checkRecoverable(planning: Planning): void {
  const { view, restore } = planning;
  if (view.phase !== "formed" || restore !== undefined) return;
  const outgoing = view.members.filter((member) => view.votersOutgoing.includes(member.id));
  for (const half of [view.members.filter((member) => member.voter), outgoing]) checkHalf(planning, half);
}

function checkHalf({ observed, view, builder }: Planning, voters: readonly MemberView[]): void {
  if (voters.length === 0) return;
  const lost = voters.filter((member) => !isRecoverable(memberCondition(view, member)));
  const left = voters.length - lost.length;
  if (left >= majorityOf(voters.length)) return;
  const names = lost.map((member) => `${member.name} (${lossText(observed, view, member)})`);
  const starts = lost.flatMap(({ started, name, peerUrl }) =>
    started ? [] : ` Or start ${name} at ${peerUrl} with an empty data directory, as a member of this cluster.`,
  );
  builder.refuse(
    "plan/quorum-lost",
    `Quorum is lost: ${left} of ${voters.length} voters can come back, but ${majorityOf(voters.length)} are needed`,
    `Permanently lost: ${names.join(", ")}. No membership change can be committed without a majority. Restore a lost data directory or machine and apply again.${starts.join("")} Without one, rebuild the cluster from the member that has the most, or from a backup:`,
    null,
    [["recover"], ["restore", "BACKUP"]],
  );
}

function lossText(observed: ObservedCluster, view: ClusterView, member: MemberView): string {
  if (!member.started) return "it was added and has never started";
  if (memberCondition(view, member) === "dataLost") return "its data directory has no log";
  return isAbandoned(observed, member.name) ? unreachableReplaced.text : "its machine is gone";
}
