/** Where haplan is on a host. */

/** Where artifacts are. Sessions run `bin/haplan-host` of `current`. */
export const installDir = "/opt/haplan";
/** Where the machines of all clusters are. */
export const dataDir = "/var/lib/haplan";
/** Below the directory of a cluster: snapshots, for the time of a restore. */
export const restoreDir = ".restore";
