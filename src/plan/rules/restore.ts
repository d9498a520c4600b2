/**
 * Restores a backup. Into a new cluster, each member gets its data before its first start. In place of a cluster, all
 * members are rebuilt: the load balancer is closed, the present data is kept, all members stop, each gets the backup's
 * data and another identity, all start as a new cluster, and the load balancer is opened once they have a quorum.
 */
import { canonicalDigest } from "../../base/canonical-json.ts";
import type { InitialCluster } from "../../units/initial-cluster.ts";
import { agentUnitName } from "../../units/unit-definition.ts";
import { isUnreachable, unitOf } from "../cluster-view.ts";
import type { Planning } from "../planning.ts";
import type { PlannedRecovery } from "../recover-request.ts";
import { isDeposed, resourceAddress } from "../resource.ts";
import type { PlannedRestore, RestoreRequest } from "../restore-request.ts";
import { machineAddress, planMachine } from "./machines.ts";
import type { WithCertificates } from "./stages.ts";

/** As etcdutl's `--bump-revision`: more than a cluster writes between a backup and its loss. */
const bumpMin = 1_000_000_000;

/** The members' revision is above every one that a client may have seen. */
export function plannedRestore({ restore, observed, view, nowMs }: Planning): PlannedRestore | null {
  if (restore === undefined) return null;
  const presentRevision = observed.membership?.revision ?? null;
  const ahead = Math.max(0, (presentRevision ?? 0) - restore.revision);
  return {
    ...restore,
    token: canonicalDigest([restore.snapshotSha256, nowMs, restore.recovery ?? null]).slice(0, 12),
    presentRevision,
    bumpRevision: restore.follows === undefined ? ahead + bumpMin : 0,
    inPlace: view.phase !== "none",
  };
}

/** Refuses what a restore cannot do. */
export function checkRestore(planning: Planning, restore: RestoreRequest): void {
  const { spec, view, builder } = planning;
  const { masters } = spec.controlPlane;
  const adopted = masters.filter(({ adoptedAt }) => adoptedAt !== undefined).map(({ name }) => name);
  if (adopted.length > 0) {
    builder.refuse(
      "plan/restore-adopted",
      `${adopted.join(", ")} ${adopted.length === 1 ? "was" : "were"} adopted: haplan does not run ${adopted.length === 1 ? "its process" : "their processes"}, and cannot rebuild ${adopted.length === 1 ? "it" : "them"}`,
      "Restore into a new cluster, with a spec of another name and other addresses, and point the clients at it.",
    );
  }
  const unreachable = masters.filter(({ name }) => isUnreachable(view, name)).map(({ name }) => name);
  if (unreachable.length > 0 && restore.recovery === undefined) {
    builder.refuse(
      "plan/restore-unreachable",
      `${unreachable.join(", ")} cannot be reached, and a restore rebuilds all members`,
      "A member that is left with the old data would still answer clients. Make it reachable, or remove it from the cluster first.",
    );
  }
  checkSameMasters(planning);
  checkStorageVersion(planning, restore);
  if (view.phase === "none" || restore.follows !== undefined) return;
  if (restore.cluster === null || restore.cluster === spec.name) return;
  builder.refuse(
    "plan/restore-other-cluster",
    `${restore.backup} is a backup of cluster "${restore.cluster}", and not of "${spec.name}"`,
    "A restore in place brings a cluster's own data back. To put that data into a cluster of its own, use a spec of a new cluster.",
  );
}

/** haplan's agent takes every version that it knows; a real etcd only its own and earlier ones. */
function checkStorageVersion({ spec, observed, builder }: Planning, { backup, storageVersion }: RestoreRequest): void {
  if (spec.controlPlane.engine !== "etcd" || storageVersion === null) return;
  const told = observed.membership?.members.flatMap(({ version }) => version ?? []) ?? [];
  const versions = spec.controlPlane.etcd === undefined ? told : [spec.controlPlane.etcd.version];
  const older = versions.find((version) => isOlder(version, storageVersion));
  if (older === undefined) return;
  builder.refuse(
    "plan/restore-newer-etcd",
    `${backup} was written by etcd ${storageVersion}, and the members run etcd ${older}`,
    "An earlier etcd cannot start from the data of a later one. Upgrade the members first, or restore into a cluster of haplan's agent.",
  );
}

/** Compares major and minor versions. */
function isOlder(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [thanMajor = 0, thanMinor = 0] = than.split(".").map(Number);
  return major < thanMajor || (major === thanMajor && minor < thanMinor);
}

/** A restore does not change the members at the same time. */
function checkSameMasters({ spec, view, builder }: Planning): void {
  const present = [...view.resources.values()]
    .filter(({ type, address }) => type === "haplan_raft_member" && !isDeposed(address))
    .map(({ name }) => name)
    .sort();
  const wanted = spec.controlPlane.masters.map(({ name }) => name).sort();
  if (present.length === 0 || present.join() === wanted.join()) return;
  builder.refuse(
    "plan/restore-other-members",
    `The cluster has the members ${present.join(", ")}, and the spec lists ${wanted.join(", ")}`,
    "A restore keeps the members. Restore with the spec as it was applied, and change the members afterwards.",
  );
}

export function planRestore(planning: WithCertificates, restore: PlannedRestore): void {
  const { desired, view, certificates, builder, endpoint } = planning;
  const all = desired.filter((resource) => resource.type === "haplan_raft_member");
  const { recovery } = restore;
  const members = all.filter(({ name }) => recovery?.rebuilt.includes(name) ?? true);
  const join: InitialCluster = {
    clusterState: "new",
    initialCluster: members.map((member) => ({ name: member.name, peerUrl: String(member.attributes["peerUrl"]) })),
  };
  // Clients of a cluster that is followed are elsewhere, and what this one has is a copy.
  if (restore.follows === undefined) endpoint.close();
  // With the load balancer closed: it has all writes that clients know of.
  const isLost = restore.inPlace && restore.follows === undefined && restore.recovery === undefined;
  if (isLost && view.hasLeader) builder.chain({ kind: "takeSnapshot", required: false }, []);
  const stopped = all
    .filter(({ name }) => unitOf(view.machines.get(name), agentUnitName) !== undefined)
    .map(({ name }) => builder.add({ kind: "stopAgent", member: name }, [], [builder.lastSerialStep]));
  const replacesCluster = recovery?.clusterId ?? planning.observed.membership?.clusterId ?? null;
  const saved = recovery === undefined ? null : saveSurvivor(planning, restore, recovery, stopped);
  const filled = members.map(({ name, address }) => {
    const resource = desired.find((each) => each.address === machineAddress(name))!;
    const machine = planMachine({ ...planning, replace: [] }, resource, () => null);
    const { snapshot, snapshotBytes, bumpRevision, token } = restore;
    const source = { snapshot, sizeBytes: snapshotBytes };
    const why = recovery === undefined ? `restored from ${restore.backup}` : `rebuilt from ${restore.backup}`;
    builder.setAction(address, view.resources.has(address) ? "deleteThenCreate" : "create", why);
    return builder.add(
      { kind: "restoreMember", member: name, source, bumpRevision, replacesCluster, token, join },
      [address],
      [builder.lastSerialStep, ...stopped, saved, machine],
    );
  });
  // No member starts before all have their data: a start may not find one that is still of the old cluster.
  const started = members.map(({ name }) => {
    const address = resourceAddress("haplan_agent", name);
    builder.setAction(
      address,
      view.resources.has(address) ? "update" : "create",
      recovery === undefined ? "its member is restored" : "its member is rebuilt",
    );
    return builder.add(
      { kind: "startAgent", member: name, join },
      [address],
      [...filled, certificates.get(name) ?? null],
    );
  });
  builder.chain(
    { kind: "awaitQuorum", members: members.map(({ name }) => name) },
    members.map((member) => member.address),
    [...started, certificates.get("admin") ?? null],
  );
  if (restore.follows !== undefined) return;
  for (const { name } of members) endpoint.offer(name);
  endpoint.flush();
}

/** The one source of all members. */
function saveSurvivor(
  { builder }: WithCertificates,
  { snapshot, snapshotBytes }: PlannedRestore,
  { from, survivors }: PlannedRecovery,
  stopped: readonly (string | null)[],
): string | null {
  return builder.add(
    { kind: "saveSurvivor", member: from, survivors, snapshot, sizeBytes: snapshotBytes },
    [],
    [builder.lastSerialStep, ...stopped],
  );
}
