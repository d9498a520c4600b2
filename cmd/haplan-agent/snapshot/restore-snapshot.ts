/** `snapshot restore`: creates a data directory from which the agent can start. */
import { HaplanError } from "../../../src/base/haplan-error.ts";
import { restoreMember } from "../../../src/raft-agent/agent/disk/restore-member.ts";
import { type AgentConfig, createAgentConfig } from "../../../src/raft-agent/config/agent-config.ts";
import { readSettings } from "../../../src/raft-agent/config/read-settings.ts";
import { openSnapshotFile } from "../../../src/raft-agent/etcd-snapshot/snapshot-file.ts";

export type RestoreFlags = {
  readonly dataDir?: string;
  readonly walDir?: string;
  readonly name?: string;
  readonly initialCluster?: string;
  readonly initialClusterToken?: string;
  readonly initialAdvertisePeerUrls?: string;
  readonly bumpRevision: string;
  readonly markCompacted?: boolean;
  readonly replacesCluster?: readonly string[];
  readonly skipHashCheck: boolean;
};

/** @throws HaplanError, SettingsError, or the system's error; nothing is left behind then. */
export async function restoreSnapshot(
  path: string,
  flags: RestoreFlags,
): Promise<{ readonly summary: string; readonly notices: readonly string[] }> {
  const bumpRevision = readBump(flags);
  const config = readConfig(flags);
  using file = openSnapshotFile(path, { skipHashCheck: flags.skipHashCheck });
  if (!file.hasHash && !flags.skipHashCheck) {
    throw new HaplanError(
      "snapshot/no-hash",
      `The snapshot "${path}" has no SHA-256: it was copied from a data directory, or truncated; use it anyway with --skip-hash-check`,
    );
  }
  const { revision, changes, leases, memberId, clusterId, notices } = await restoreMember({
    database: file.database,
    config,
    bumpRevision,
    replacesClusters: readClusterIds(flags),
  });
  const summary =
    `Restored "${path}" into "${config.dataDir}": revision ${revision}, ${changes} changes of keys, ${leases} leases; ` +
    `member ${memberId} of cluster ${clusterId}`;
  return { summary, notices };
}

/** The flags are the agent's own, with its defaults and its validation. */
function readConfig(flags: RestoreFlags): AgentConfig {
  const given = {
    "data-dir": flags.dataDir,
    "wal-dir": flags.walDir,
    name: flags.name,
    "initial-cluster": flags.initialCluster,
    "initial-cluster-token": flags.initialClusterToken,
    "initial-advertise-peer-urls": flags.initialAdvertisePeerUrls,
  };
  const argv = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
  return createAgentConfig(readSettings(argv, {}, () => ""));
}

function readClusterIds({ replacesCluster = [] }: RestoreFlags): readonly string[] {
  const wrong = replacesCluster.find((id) => !/^[0-9a-f]{16}$/.test(id));
  if (wrong === undefined) return replacesCluster;
  throw new HaplanError(
    "snapshot/cluster-id",
    `--replaces-cluster="${wrong}" is wrong: expected the id of a cluster, 16 hexadecimal digits`,
  );
}

/** etcd requires both flags or none: a revision that jumps without a compaction leaves watchers with a silent gap. */
function readBump({ bumpRevision, markCompacted }: RestoreFlags): number {
  const count = Number(bumpRevision);
  if (!/^\d+$/.test(bumpRevision) || !Number.isSafeInteger(count)) {
    throw new HaplanError(
      "snapshot/bump",
      `--bump-revision="${bumpRevision}" is wrong: expected an integer, 0 to keep the snapshot's revision`,
    );
  }
  if (count > 0 && markCompacted === false) {
    throw new HaplanError(
      "snapshot/bump",
      "--mark-compacted=false requires --bump-revision=0: watchers would not detect the missing revisions",
    );
  }
  if (count === 0 && markCompacted === true) {
    throw new HaplanError("snapshot/bump", "--mark-compacted requires --bump-revision above 0");
  }
  return count;
}
