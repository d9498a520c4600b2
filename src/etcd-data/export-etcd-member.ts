/**
 * Writes what a stopped etcd has, with every entry of its log, as a snapshot. Only etcd applies its entries, so it does: on a copy, alone,
 * with `--force-new-cluster`. By itself it drops the entries that it does not know to be committed (etcd server/etcdserver/bootstrap.go),
 * although a member that is lost may have acknowledged them: in the copy's log, all count as committed.
 */
import { constants, copyFileSync, createReadStream, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeDirDurably, syncDir } from "../base/durable-file.ts";
import { HaplanError } from "../base/haplan-error.ts";
import { usableData } from "../base/usable-data.ts";
import { writeSnapshotFile } from "../raft-agent/etcd-snapshot/snapshot-file.ts";
import type { MemberData } from "../units/member-data.ts";
import { commitWholeLog } from "./commit-log.ts";
import { readEtcdDatabase } from "./read-database.ts";
import { databasePath, type EtcdDirectories, readEtcdMember } from "./read-etcd-member.ts";
import { readEtcdWal } from "./read-wal.ts";
import { runAlone } from "./run-alone.ts";

export type ExportedEtcd = Pick<MemberData, "lastIndex" | "lastTerm" | "revision"> & { readonly sizeBytes: number };

/**
 * `etcd`: the program. @throws HaplanError `data/none`, `data/running`, `data/damaged` or `data/etcd-failed`; no file is left then
 */
export async function exportEtcdMember(place: EtcdDirectories, etcd: string, file: string): Promise<ExportedEtcd> {
  const { lastIndex, lastTerm } = usableData(await readEtcdMember(place), place);
  const work = `${file}.${process.pid}.work`;
  try {
    copyData(place, join(work, "data"));
    await runAlone(etcd, work);
    const database = databasePath(join(work, "data"));
    const { stored, damage } = readEtcdDatabase(database);
    if (damage !== null) throw new HaplanError("data/damaged", `The copy of "${place.dataDir}": ${damage}`);
    await writeSnapshotFile(join(work, "snapshot.db"), createReadStream(database));
    renameSync(join(work, "snapshot.db"), file);
    syncDir(dirname(file));
    return { lastIndex, lastTerm, revision: stored.revision, sizeBytes: stored.sizeBytes };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function copyData({ dataDir, walDir }: EtcdDirectories, to: string): void {
  copyFiles(walDir, join(to, "member/wal"));
  copyFiles(`${dataDir}/member/snap`, join(to, "member/snap"));
  const wal = join(to, "member/wal");
  const log = readEtcdWal(wal);
  if (log !== null) commitWholeLog(wal, log);
}

/** But for those that were only prepared. */
function copyFiles(from: string, to: string): void {
  makeDirDurably(to);
  for (const name of readdirSync(from).filter((each) => !each.endsWith(".tmp")))
    copyFileSync(join(from, name), join(to, name), constants.COPYFILE_FICLONE);
}
