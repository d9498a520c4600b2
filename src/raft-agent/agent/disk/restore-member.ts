/**
 * Creates a data directory from a snapshot: the store with the file's content, and a log that starts like an initial
 * member's. Every initial member of the new cluster restores the same file into its own directory and is then started
 * like any member; its ids come from --initial-cluster and --initial-cluster-token, like etcd's. Created in a
 * temporary directory and renamed: the directory is complete or absent.
 */
import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { makeDirDurably, syncDir } from "../../../base/durable-file.ts";
import { HaplanError } from "../../../base/haplan-error.ts";
import type { DatabaseReader } from "../../bbolt/database-reader.ts";
import type { AgentConfig } from "../../config/agent-config.ts";
import { type ImportedKeys, importKeys } from "../../etcd-snapshot/import-keys.ts";
import { type ImportedMetadata, importMetadata } from "../../etcd-snapshot/import-metadata.ts";
import { openLmdbBackend } from "../../mvcc/backend/lmdb-backend.ts";
import { bootstrapState } from "../../raft/bootstrap.ts";
import type { RestoredState } from "../../raft/state.ts";
import { MembershipStore } from "../../state-machine/membership-store.ts";
import { createNodeFileSystem } from "../../wal/node-file-system.ts";
import { openWal } from "../../wal/open-wal.ts";
import { bootstrapCluster, encodeIdentity, type InitialCluster } from "./member-identity.ts";

export type RestoreOptions = {
  readonly database: DatabaseReader;
  readonly config: Pick<
    AgentConfig,
    "name" | "dataDir" | "walDir" | "initialCluster" | "initialClusterToken" | "advertisePeerUrls"
  >;
  /** 0 keeps the revision; see `importKeys`. */
  readonly bumpRevision: number;
  /** Ids of the clusters that the restored one takes the place of. */
  readonly replacesClusters: readonly string[];
};

export type RestoredMember = ImportedKeys &
  ImportedMetadata & { readonly memberId: string; readonly clusterId: string };

/** @throws HaplanError `restore/not-empty`, `bbolt/damaged`, or the system's error; nothing is left behind then. */
export async function restoreMember(options: RestoreOptions): Promise<RestoredMember> {
  const { config } = options;
  const dataDir = resolve(config.dataDir);
  const logInside = relative(dataDir, resolve(config.walDir));
  const isInside = !logInside.startsWith("..");
  const targets = isInside ? [dataDir] : [dataDir, resolve(config.walDir)];
  for (const target of targets) assertEmpty(target);
  const temporary = (directory: string): string => `${directory}.restoring-${process.pid}`;
  const stagedDir = temporary(dataDir);
  const logDir = isInside ? join(stagedDir, logInside) : temporary(resolve(config.walDir));
  try {
    const initialCluster = bootstrapCluster(config);
    const state = bootstrapState(initialCluster.members.map(({ id }) => id));
    const imported = await fillStore(join(stagedDir, "member/snap"), options, initialCluster, state);
    await beginLog(logDir, initialCluster, state);
    for (const directory of [join(stagedDir, "member"), stagedDir]) syncDir(directory);
    for (const target of targets) {
      renameSync(temporary(target), target);
      syncDir(dirname(target));
    }
    return { ...imported, memberId: initialCluster.identity.memberId, clusterId: initialCluster.identity.clusterId };
  } catch (error) {
    for (const target of targets) rmSync(temporary(target), { recursive: true, force: true });
    throw error;
  }
}

function assertEmpty(directory: string): void {
  if (!existsSync(directory) || readdirSync(directory).length === 0) return;
  throw new HaplanError(
    "restore/not-empty",
    `Cannot restore into "${directory}": it is not empty; use a new directory, or remove its content`,
  );
}

async function fillStore(
  directory: string,
  { database, bumpRevision, replacesClusters }: RestoreOptions,
  initialCluster: InitialCluster,
  state: RestoredState,
): Promise<ImportedKeys & ImportedMetadata> {
  makeDirDurably(directory);
  const backend = openLmdbBackend({ directory });
  try {
    let keys: ImportedKeys | undefined;
    await backend.replace(async (empty) => {
      keys = await importKeys(database, empty, bumpRevision);
    });
    const metadata = importMetadata(database, backend.metadata);
    new MembershipStore(backend.metadata).seed(initialCluster.members, state.snapshot.configuration, replacesClusters);
    backend.setConsistentIndex(state.snapshot.index, state.snapshot.term);
    await backend.commit();
    return { ...keys!, ...metadata };
  } finally {
    await backend.close();
  }
}

async function beginLog(directory: string, { identity }: InitialCluster, state: RestoredState): Promise<void> {
  makeDirDurably(directory);
  const { wal } = await openWal({
    fileSystem: createNodeFileSystem(directory),
    directory: ".",
    metadata: encodeIdentity(identity),
  });
  try {
    await wal.append({ hardState: state.hardState, entries: [], snapshot: state.snapshot });
  } finally {
    await wal.close();
  }
}
