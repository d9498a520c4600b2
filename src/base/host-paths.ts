/** Where haplan, and what it uploads, is on a host. */

/** Where artifacts are. Sessions run `bin/haplan-host` of `current`. */
export const installDir = "/opt/haplan";
/** Where the machines of all clusters are. */
export const dataDir = "/var/lib/haplan";
/** In the directory of an artifact: its files, each with its size in bytes, as they were installed. */
export const installedFiles = ".files";
/** The user and group that units run as. */
export const unitUserName = "haplan";
/** Below the directory of a cluster: snapshots, for the time of a restore. */
export const restoreDir = ".restore";
/** The etcd of an archive with this SHA-256 digest. The directory is one of haplan's own: `install-scripts.ts` keeps and removes it. */
export function uploadedEtcd(sha256: string): string {
  return `${installDir}/${sha256.toLowerCase()}/etcd`;
}
