/**
 * A member's disk: who it is, its log, its store. Everything that a start has to decide before the first message is
 * decided here: founding, joining, or going on where the last process stopped.
 *
 * ```
 * DATA-DIR/member/wal/     the log
 * DATA-DIR/member/snap/    the store (store.mdb), and snapshots on their way in
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
  decodeIdentity,
  encodeIdentity,
  foundCluster,
  joinCluster,
  type MemberIdentity,
} from "./member-identity.ts";
import { seedFounders } from "./seed-founders.ts";

export type MemberStorage = {
  readonly identity: MemberIdentity;
  readonly wal: Wal;
  readonly store: Store;
  readonly restored: RestoredState;
  /** Sentences for the log: what recovery found. */
  readonly notices: readonly string[];
  /** May be called again. */
  close(): Promise<void>;
};

/** @throws HaplanError: the disk cannot be used, or no member answers a joining one. */
export async function openStorage(config: AgentConfig, events: AgentEvents): Promise<MemberStorage> {
  const callingTls = config.peerTls === null ? null : clientMaterial(config.peerTls);
  const snapDir = snapshotDir(config);
  assertNotEtcds(config);
  if (!config.forceNewCluster) assertNoLostEntries(config);
  const hasLog = holdsLog(config.walDir);
  if (!hasLog) await assertNoOtherData(config);
  makeDir("data-dir", snapDir);
  makeDir("wal-dir", config.walDir);
  const fileSystem = createNodeFileSystem(config.walDir);
  const newIdentity = hasLog ? null : await decideIdentity(config, callingTls);
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
    const isUnfounded = !hasBegun || needsBootstrap(recovered.snapshot.index, store.consistentIndex);
    const founding = identity.founder && isUnfounded ? foundCluster(config) : null;
    if (founding !== null) assertSameIdentity(identity, founding.identity);
    const founderIds = hasBegun ? null : (founding?.members.map(({ id }) => id) ?? null);
    const restored = restoreState(recovered, founderIds, store.consistentIndex);
    if (founderIds !== null) {
      await wal.append({ hardState: restored.hardState, entries: [], snapshot: restored.snapshot });
    }
    if (founding !== null) await seedFounders(store, founding.members, restored.snapshot);
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

/** Where the store lives and snapshots arrive. */
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
    `Cannot use "${dataDir}": an etcd keeps its data there. Take a snapshot of that etcd while it runs (etcdctl snapshot save FILE), ` +
      "restore it into a new directory (haplan-agent snapshot restore FILE --data-dir=NEW), and name that directory instead",
  );
}

function makeDir(flag: "data-dir" | "wal-dir", path: string): void {
  try {
    makeDirDurably(path);
  } catch (cause) {
    throw new HaplanError(
      "agent/data-dir",
      `Cannot make the directory "${path}": ${errorText(cause)}; let --${flag} name a place where this user may make directories`,
      { cause },
    );
  }
}

async function decideIdentity(config: AgentConfig, callingTls: ConnectionOptions | null): Promise<MemberIdentity> {
  if (config.forceNewCluster) throw noSurvivorError(config);
  assertInitialCluster(config);
  const others = config.initialCluster.filter(({ name }) => name !== config.name).flatMap(({ peerUrls }) => peerUrls);
  if (config.initialClusterState !== "new") return joinCluster(config, await askForCluster(others, callingTls));
  const { identity } = foundCluster(config);
  // Usually nobody answers: the others are starting as well.
  const answers = await Promise.allSettled(others.map((peerUrl) => askForCluster([peerUrl], callingTls)));
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
    `Cannot go on founding: the log was begun by member ${onDisk.memberId} of cluster ${onDisk.clusterId}, ` +
      `but --initial-cluster now describes member ${computed.memberId} of cluster ${computed.clusterId}; give the flags of the first start`,
  );
}

/** A directory of one's own may be the root of a file system, with the directories that such a root has. */
function holdsLog(directory: string): boolean {
  return isDir(directory) && readdirSync(directory).some((name) => /^\d+\.(log|spare)$/.test(name));
}

/**
 * A member that forgot its log forgot its votes: it may not come back under its old id. Asked before anything is made,
 * so that a refused start leaves no log behind which a later one would take for its own.
 */
async function assertNoOtherData(config: AgentConfig): Promise<void> {
  const { walDir, dataDir } = config;
  const usual = defaultWalDir(dataDir);
  if (resolve(usual) !== resolve(walDir) && holdsLog(usual)) {
    throw new HaplanError(
      "agent/log-elsewhere",
      `Cannot start: --wal-dir names "${walDir}", which holds no log, but a log lies in "${usual}"; ` +
        "move its files to the new directory while the member is stopped, or take the flag out",
    );
  }
  const index = await storedIndex(snapshotDir(config));
  if (index === 0) return;
  throw new HaplanError(
    "agent/log-lost",
    `Cannot start: the store in "${dataDir}" holds data up to entry ${index}, but there is no log in "${walDir}"; ` +
      "if the log lies in another directory, name it with --wal-dir; if it is lost, remove the member from the cluster, clear its directories and add it as a new one",
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

/** etcd would found an empty cluster here: with a directory that is spelled wrongly, all would seem lost. */
function noSurvivorError({ dataDir }: AgentConfig): HaplanError {
  return new HaplanError(
    "agent/force-new-cluster",
    `Cannot start with --force-new-cluster: "${dataDir}" holds no member that could go on; ` +
      "let --data-dir name the directory of the survivor, or take the flag out",
  );
}

/** What the core begins with: `founders` for a cluster that begins here and now, `appliedIndex` is the store's. */
export function restoreState(
  recovered: RecoveredLog,
  founders: readonly MemberId[] | null,
  appliedIndex: LogIndex,
): RestoredState {
  if (founders !== null) return bootstrapState(founders);
  const beginning = joiningState();
  const hardState = recovered.hardState ?? beginning.hardState;
  const snapshot = recovered.snapshot ?? beginning.snapshot;
  const { entries } = recovered;
  // A store that came as a snapshot may be a little ahead of the log: the state machine skips what it holds.
  return { hardState, snapshot, entries, appliedIndex: Math.min(appliedIndex, snapshot.index + entries.length) };
}

function describeRepairs(recovered: RecoveredWal): string[] {
  return recovered.repaired.map(
    ({ file, offset, bytes }) => `repaired the torn end of ${file}: ${bytes} bytes from offset ${offset} on`,
  );
}
