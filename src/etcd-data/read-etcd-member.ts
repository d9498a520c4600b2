/**
 * What a stopped etcd has on its disk, read without writing: for deciding which survivor of a lost quorum has the most. It may run; what
 * is read then is its log at some moment.
 */
import { existsSync, readdirSync } from "node:fs";
import { execa } from "execa";
import { isDir } from "../base/durable-file.ts";
import type { MemberData } from "../units/member-data.ts";
import { type EtcdDatabase, readEtcdDatabase } from "./read-database.ts";
import { type EtcdLog, readEtcdWal } from "./read-wal.ts";

export type EtcdDirectories = { readonly dataDir: string; readonly walDir: string };

/** `raftpb.ConfChangeType` */
const changeKind = { addVoter: 0, remove: 1, update: 2, addLearner: 3 } as const;

/** Whether the directory holds the log or the database of an etcd, rather than those of haplan's agent. */
export function holdsEtcd({ dataDir, walDir }: EtcdDirectories): boolean {
  return (
    existsSync(databasePath(dataDir)) || (isDir(walDir) && readdirSync(walDir).some((name) => name.endsWith(".wal")))
  );
}

/** Null if there is no log. @throws the system's error */
export async function readEtcdMember({ dataDir, walDir }: EtcdDirectories): Promise<MemberData | null> {
  const log = isDir(walDir) ? readEtcdWal(walDir) : null;
  if (log === null) return null;
  const path = databasePath(dataDir);
  const { stored, damage } = readEtcdDatabase(path);
  const { hardState, memberId, clusterId, lastIndex, lastTerm } = log;
  return {
    memberId,
    clusterId,
    running: await isInUse(path),
    term: hardState.term,
    commitIndex: hardState.commitIndex,
    lastIndex,
    lastTerm,
    appliedIndex: stored.consistentIndex,
    revision: stored.revision,
    storeBytes: stored.sizeBytes,
    ...configurationOf(log, stored),
    torn: log.end.fault?.torn === true ? [log.end.fault.text] : [],
    damage: log.damage ?? damage ?? gapBetween(log, stored, dataDir),
  };
}

export function databasePath(dataDir: string): string {
  return `${dataDir}/member/snap/db`;
}

/** The database's members, and what the log changes behind it. etcd has no joint configurations. */
function configurationOf(
  { changes }: EtcdLog,
  { members, consistentIndex }: EtcdDatabase,
): Pick<MemberData, "voters" | "votersOutgoing" | "learners"> {
  const roles = new Map(members.map(({ id, learner }) => [id, learner ? "learner" : "voter"] as const));
  for (const { index, kind, memberId } of changes) {
    if (index <= consistentIndex) continue;
    if (kind === changeKind.addVoter) roles.set(memberId, "voter");
    else if (kind === changeKind.addLearner) roles.set(memberId, "learner");
    else if (kind === changeKind.remove) roles.delete(memberId);
  }
  const having = (role: string): readonly string[] =>
    [...roles].flatMap(([id, each]) => (each === role ? [id] : [])).sort();
  return { voters: having("voter"), votersOutgoing: [], learners: having("learner") };
}

/** Entries have to be in the database or in the log. A snapshot that was received lies beside the database until etcd takes it. */
function gapBetween(log: EtcdLog, { consistentIndex }: EtcdDatabase, dataDir: string): string | null {
  if (consistentIndex > log.lastIndex)
    return `its database has entries up to ${consistentIndex}, but its log ends at ${log.lastIndex}`;
  const received = `${dataDir}/member/snap/${(log.firstIndex - 1).toString(16).padStart(16, "0")}.snap.db`;
  if (log.firstIndex <= consistentIndex + 1 || existsSync(received)) return null;
  return `its database has entries up to ${consistentIndex}, but its log begins with ${log.firstIndex}`;
}

/** bbolt locks the file while it is open. */
async function isInUse(path: string): Promise<boolean> {
  if (!existsSync(path)) return false;
  const { exitCode } = await execa("flock", ["--nonblock", path, "true"], { reject: false, stdin: "ignore" });
  return exitCode === 1;
}
