/**
 * A member's disk: its identity, its log, its store. Everything that a start has to decide before the first message is
 * decided here: bootstrapping, joining, or continuing where the last process stopped.
 *
 * ```
 * DATA-DIR/member/wal/     the log
 * DATA-DIR/member/snap/    the store (store.mdb), and snapshots being received
 * ```
 */
import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import type { ConnectionOptions } from "node:tls";
import { isDir, makeDirDurably } from "../../../base/durable-file.ts";
import { errorText, HaplanError } from "../../../base/haplan-error.ts";
import { type AgentConfig, defaultWalDir } from "../../config/agent-config.ts";
import { assertInitialCluster } from "../../config/initial-cluster.ts";
import { openLmdbBackend } from "../../mvcc/backend/lmdb-backend.ts";
import { openStore } from "../../mvcc/mvcc-store.ts";
import type { Store, StoreObserver } from "../../mvcc/store.ts";
import { bootstrapState, joiningState, needsBootstrap } from "../../raft/bootstrap.ts";
import type { LogIndex, MemberId } from "../../raft/entry.ts";
import type { RestoredState } from "../../raft/state.ts";
import type { Member } from "../../state-machine/membership.ts";
import { MembershipStore } from "../../state-machine/membership-store.ts";
import { createNodeFileSystem } from "../../wal/node-file-system.ts";
import { openWal, type RecoveredWal } from "../../wal/open-wal.ts";
import type { RecoveredLog } from "../../wal/replay.ts";
import type { Wal } from "../../wal/wal.ts";
import type { AgentEvents } from "../agent-events.ts";
import { askForCluster } from "../cluster-directory.ts";
import { clientMaterial } from "../tls/peer-tls.ts";
import { forceNewCluster } from "./force-new-cluster.ts";
import { assertNoLostEntries } from "./lost-entries.ts";
import {
  assertFirstStart,
  bootstrapCluster,
  decodeIdentity,
  encodeIdentity,
  joinCluster,
  type MemberIdentity,
} from "./member-identity.ts";
import { assertNotBesideRebuilt, assertNotReplaced, assertNotReplacedBy } from "./replaced-cluster.ts";
import { writeInitialMembers } from "./write-initial-members.ts";

export type MemberStorage = {
  readonly identity: MemberIdentity;
  readonly wal: Wal;
  readonly store: Store;
  readonly restored: RestoredState;
  /** Messages for the log: the result of recovery. */
  readonly notices: readonly string[];
  /** May be called again. */
  close(): Promise<void>;
};

/** @throws HaplanError: the disk cannot be used, or no member responds to a joining one. */
export async function openStorage(config: AgentConfig, events: AgentEvents): Promise<MemberStorage> {
  const callingTls = config.peerTls === null ? null : clientMaterial(config.peerTls);
  const snapDir = snapshotDir(config);
  assertNotEtcds(config);
  if (!config.forceNewCluster) assertNoLostEntries(config);
  assertNotReplaced(config.dataDir);
  const hasLog = holdsLog(config.walDir);
  if (!hasLog) await assertNoOtherData(config);
  // A start that is rejected leaves no directories: they would look like those of a member that has data.
  const newIdentity = hasLog ? null : await decideIdentity(config, callingTls);
  makeDir("data-dir", snapDir);
  makeDir("wal-dir", config.walDir);
  const fileSystem = createNodeFileSystem(config.walDir);
  const { wal, recovered } = await openWal({
    fileSystem,
    directory: ".",
    metadata: newIdentity === null ? new Uint8Array(0) : encodeIdentity(newIdentity),
    observer: { onSync: (durationMs, bytes) => events.emit("logSynced", durationMs, bytes) },
  });
  try {
    const identity = decodeIdentity(recovered.metadata);
    const store = await openMemberStore(snapDir, events);
    const hasBegun = recovered.snapshot !== null;
    const mustBootstrap = !hasBegun || needsBootstrap(recovered.snapshot.index, store.consistentIndex);
    const initialCluster = identity.founder && mustBootstrap ? bootstrapCluster(config) : null;
    if (initialCluster !== null) assertSameIdentity(identity, initialCluster.identity);
    const initialMemberIds = hasBegun ? null : (initialCluster?.members.map(({ id }) => id) ?? null);
    const restored = restoreState(recovered, initialMemberIds, store.consistentIndex);
    if (initialMemberIds !== null) {
      await wal.append({ hardState: restored.hardState, entries: [], snapshot: restored.snapshot });
    }
    if (initialCluster !== null) await writeInitialMembers(store, initialCluster.members, restored.snapshot);
    const storedMembers = knownMembers(store);
    const forced = await forceNewCluster(config, { identity, wal, restored, storedMembers, callingTls });
    const notices = [...describeRepairs(recovered), ...forced.notices];
    let closed: Promise<void> | null = null;
    const close = (): Promise<void> => {
      closed ??= wal.close().then(() => store.close());
      return closed;
    };
    return { identity, wal, store, restored: forced.restored, notices, close };
  } catch (error) {
    await wal.close();
    throw error;
  }
}

function openMemberStore(directory: string, events: AgentEvents): Promise<Store> {
  const backend = openLmdbBackend({
    directory,
    onFailure: (error) => events.emit("failed", error),
    onCommit: (durationMs) => events.emit("storeCommitted", durationMs),
  });
  const observer: StoreObserver = {
    compactionSlice: (tookMs) => events.emit("compactionSlice", tookMs),
    compacted: (tookMs, removed) => events.emit("compacted", tookMs, removed),
    hashed: (tookMs) => events.emit("hashed", tookMs),
    exported: (tookMs) => events.emit("snapshotExported", tookMs),
  };
  return openStore({ backend, observer });
}

/** The directory of the store and of received snapshots. */
export function snapshotDir({ dataDir }: AgentConfig): string {
  return `${dataDir}/member/snap`;
}

/** Nothing may be written beside the files of an etcd, which may be started again. */
function assertNotEtcds(config: AgentConfig): void {
  const { walDir, dataDir } = config;
  const logs = isDir(walDir) ? readdirSync(walDir).filter((name) => name.endsWith(".wal")) : [];
  if (logs.length === 0 && !existsSync(`${snapshotDir(config)}/db`)) return;
  throw new HaplanError(
    "agent/etcd-data",
    `Cannot use "${dataDir}": it contains the data of an etcd. Save a snapshot of that etcd while it runs (etcdctl snapshot save FILE), ` +
      "restore it into a new directory (haplan-agent snapshot restore FILE --data-dir=NEW), and use that directory instead",
  );
}

function makeDir(flag: "data-dir" | "wal-dir", path: string): void {
  try {
    makeDirDurably(path);
  } catch (cause) {
    throw new HaplanError(
      "agent/data-dir",
      `Cannot create the directory "${path}": ${errorText(cause)}; set --${flag} to a path where this user may create directories`,
      { cause },
    );
  }
}

async function decideIdentity(config: AgentConfig, callingTls: ConnectionOptions | null): Promise<MemberIdentity> {
  if (config.forceNewCluster) throw noSurvivorError(config);
  assertInitialCluster(config);
  const others = config.initialCluster.filter(({ name }) => name !== config.name).flatMap(({ peerUrls }) => peerUrls);
  if (config.initialClusterState !== "new") return joinCluster(config, await askForCluster(others, callingTls));
  const { identity } = bootstrapCluster(config);
  // Usually no member responds: the others are starting as well.
  const answers = await Promise.allSettled(others.map((peerUrl) => askForCluster([peerUrl], callingTls)));
  assertNotReplacedBy(answers, { dataDir: config.dataDir, clusterId: identity.clusterId });
  assertNotBesideRebuilt(answers, identity.clusterId);
  assertFirstStart(
    identity,
    answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : [])),
  );
  return identity;
}

function knownMembers(store: Store): readonly Member[] {
  const membership = new MembershipStore(store.metadata);
  membership.load();
  return membership.list();
}

function assertSameIdentity(onDisk: MemberIdentity, computed: MemberIdentity): void {
  if (onDisk.memberId === computed.memberId && onDisk.clusterId === computed.clusterId) return;
  throw new HaplanError(
    "agent/identity",
    `Cannot continue the bootstrap: the log was created by member ${onDisk.memberId} of cluster ${onDisk.clusterId}, ` +
      `but --initial-cluster now describes member ${computed.memberId} of cluster ${computed.clusterId}; use the flags of the first start`,
  );
}

/** A dedicated directory may be the root of a file system, with the directories of such a root. */
function holdsLog(directory: string): boolean {
  return isDir(directory) && readdirSync(directory).some((name) => /^\d+\.(log|spare)$/.test(name));
}

/**
 * A member that lost its log lost its votes: it must not come back under its old id. Checked before anything is
 * created, so that a rejected start leaves no log behind which a later one would treat as its own.
 */
async function assertNoOtherData(config: AgentConfig): Promise<void> {
  const { walDir, dataDir } = config;
  const usual = defaultWalDir(dataDir);
  if (resolve(usual) !== resolve(walDir) && holdsLog(usual)) {
    throw new HaplanError(
      "agent/log-elsewhere",
      `Cannot start: --wal-dir names "${walDir}", which contains no log, but there is a log in "${usual}"; ` +
        "move its files to the new directory while the member is stopped, or remove the flag",
    );
  }
  const index = await storedIndex(snapshotDir(config));
  if (index === 0) return;
  throw new HaplanError(
    "agent/log-lost",
    `Cannot start: the store in "${dataDir}" has data up to entry ${index}, but there is no log in "${walDir}"; ` +
      "if the log is in another directory, set it with --wal-dir; if it is lost, remove the member from the cluster, clear its directories and add it as a new one",
  );
}

async function storedIndex(directory: string): Promise<LogIndex> {
  if (!existsSync(`${directory}/store.mdb`)) return 0;
  const backend = openLmdbBackend({ directory, onFailure: () => {} });
  try {
    return backend.consistentIndex;
  } finally {
    await backend.close();
  }
}

/** etcd would bootstrap an empty cluster here: with a misspelled directory, all data would seem lost. */
function noSurvivorError({ dataDir }: AgentConfig): HaplanError {
  return new HaplanError(
    "agent/force-new-cluster",
    `Cannot start with --force-new-cluster: "${dataDir}" holds no usable member data; ` +
      "set --data-dir to the directory of the survivor, or remove the flag",
  );
}

/**
 * The initial state of the core: `initialMembers` for a cluster that is bootstrapped now; `appliedIndex` is the
 * store's.
 */
export function restoreState(
  recovered: RecoveredLog,
  initialMembers: readonly MemberId[] | null,
  appliedIndex: LogIndex,
): RestoredState {
  if (initialMembers !== null) return bootstrapState(initialMembers);
  const beginning = joiningState();
  const hardState = recovered.hardState ?? beginning.hardState;
  const snapshot = recovered.snapshot ?? beginning.snapshot;
  const { entries } = recovered;
  // A store received as a snapshot may be slightly ahead of the log: the state machine skips what it already contains.
  return { hardState, snapshot, entries, appliedIndex: Math.min(appliedIndex, snapshot.index + entries.length) };
}

function describeRepairs(recovered: RecoveredWal): string[] {
  return recovered.repaired.map(
    ({ file, offset, bytes }) => `repaired the torn tail of ${file}: ${bytes} bytes from offset ${offset} on`,
  );
}
