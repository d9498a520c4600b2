/** The command that makes a member's data directory from a snapshot, as a pure value. */
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { peerUrl } from "./addresses.ts";
import type { InitialCluster } from "./initial-cluster.ts";
import { dataDirPlaceholder, type UnitDefinition } from "./unit-definition.ts";

/** Placeholder in `arguments` for the path of the snapshot on the machine. */
export const snapshotPlaceholder = "@SNAPSHOT@";

export type RestoreCommand = {
  /** The first of these that exists on the machine runs. */
  readonly programs: readonly Exclude<UnitDefinition["program"], { readonly kind: "none" }>[];
  /** With `dataDirPlaceholder` for a directory that does not exist yet, and `snapshotPlaceholder`. */
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
};

export type RestoredMember = {
  readonly member: string;
  readonly join: InitialCluster;
  /** Of the new cluster. */
  readonly token: string;
  readonly bumpRevision: number;
  /** The id of the cluster that it takes the place of; null if there is none, or it is unknown. */
  readonly replacesCluster: string | null;
};

/**
 * A snapshot for a real etcd has its revision raised before: etcdctl 3.4 cannot do that, and the tools of later versions
 * do it in the same way.
 */
export function restoreCommand(
  spec: ClusterSpec,
  { member, join, token, bumpRevision, replacesCluster }: RestoredMember,
): RestoreCommand {
  const own = join.initialCluster.find(({ name }) => name === member);
  const master = spec.controlPlane.masters.find(({ name }) => name === member);
  const ownUrl = own?.peerUrl ?? (master === undefined ? "" : peerUrl(spec, master));
  const shared = [
    "snapshot",
    "restore",
    snapshotPlaceholder,
    `--data-dir=${dataDirPlaceholder}`,
    `--name=${member}`,
    `--initial-cluster=${join.initialCluster.map(({ name, peerUrl: url }) => `${name}=${url}`).join(",")}`,
    `--initial-cluster-token=${token}`,
    `--initial-advertise-peer-urls=${ownUrl}`,
  ];
  if (spec.controlPlane.engine === "agent") {
    const bump = [`--bump-revision=${bumpRevision}`, ...(bumpRevision === 0 ? [] : ["--mark-compacted"])];
    const programs = [{ kind: "haplan", command: "haplan-agent" }] as const;
    const replaced = replacesCluster === null ? [] : [`--replaces-cluster=${replacesCluster}`];
    return { programs, arguments: [...shared, ...bump, ...replaced], environment: {} };
  }
  const programs = restoreTools(spec).map((command) => ({ kind: "system", command }) as const);
  return { programs, arguments: shared, environment: { ETCDCTL_API: "3" } };
}

/**
 * The programs of etcd, any of which restores a snapshot: beside the etcd that runs, if the spec says where that is. etcdctl
 * restores up to etcd 3.5, etcdutl from 3.5 on. None for haplan's agent.
 */
export function restoreTools({ controlPlane: { engine, etcd } }: ClusterSpec): readonly string[] {
  if (engine === "agent") return [];
  if (etcd === undefined) return ["etcdutl", "etcdctl"];
  const [major = 0, minor = 0] = etcd.version.split(".").map(Number);
  const tool = major > 3 || (major === 3 && minor >= 5) ? "etcdutl" : "etcdctl";
  return [etcd.binary.replace(/[^/]*$/, tool)];
}
