/** A restore of a backup, as the planner gets it and as a plan shows it. */

import type { PlannedRecovery } from "./recover-request.ts";

/** What the planner knows of the backup. */
export type RestoreRequest = {
  /** The name of its file, for people. */
  readonly backup: string;
  /** The path of its snapshot, decrypted, on haplan's machine, when the plan is applied. */
  readonly snapshot: string;
  readonly snapshotSha256: string;
  readonly snapshotBytes: number;
  readonly revision: number;
  /** The version of etcd's storage, such as 3.6; null before etcd 3.6, and of haplan's agent. */
  readonly storageVersion: string | null;
  /** The cluster that it was taken from; null if that is unknown, as of a snapshot that etcdctl saved. */
  readonly cluster: string | null;
  /** When it was taken, in milliseconds since the epoch; null if that is unknown. */
  readonly createdAtMs: number | null;
  /** Present if it is no backup, but the data of a member that has survived the loss of the quorum. */
  readonly recovery?: PlannedRecovery;
  /** The cluster that the snapshot is from goes on, and is followed: see `FollowedCluster`. Absent for a backup. */
  readonly follows?: FollowedCluster;
};

/**
 * A cluster of which this one becomes a copy, to replace it. Its clients stay with it meanwhile: they are behind the load
 * balancer of this one. The copy has the revisions of the snapshot as they are.
 */
export type FollowedCluster = {
  readonly engine: "agent" | "etcd";
  /** `host:port` of its members, by names for the load balancer. */
  readonly targets: Readonly<Record<string, string>>;
};

export type PlannedRestore = RestoreRequest & {
  /** Distinguishes the members of this restore from those that ran before: part of the token of their cluster. */
  readonly token: string;
  /** Of the cluster when the plan was made; null if no member answered, or there is no cluster. */
  readonly presentRevision: number | null;
  /** By how much the revision is raised: everything before counts as compacted, so that clients list anew. */
  readonly bumpRevision: number;
  /** The data of a cluster that exists is replaced. */
  readonly inPlace: boolean;
};
