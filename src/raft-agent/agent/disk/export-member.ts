/**
 * Writes what a stopped member has, with every entry of its log, as a snapshot that any member can be restored from. An
 * entry that it does not know to be committed is included: it may have been acknowledged, and nothing that was can be
 * told from what was not. The member's own files are only read: its store is copied, and the copy is brought up to date.
 */
import { constants, copyFileSync, existsSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { makeDirDurably, syncDir } from "../../../base/durable-file.ts";
import { usableData } from "../../../base/usable-data.ts";
import { exportDatabase } from "../../etcd-snapshot/export-database.ts";
import { writeSnapshotFile } from "../../etcd-snapshot/snapshot-file.ts";
import { openLmdbBackend } from "../../mvcc/backend/lmdb-backend.ts";
import { openStore } from "../../mvcc/mvcc-store.ts";
import { decodeConfigurationEntry } from "../../raft/configuration-codec.ts";
import { type Entry, EntryKind, type LogIndex, type Term } from "../../raft/entry.ts";
import { StateMachine } from "../../state-machine/state-machine.ts";
import { createNodeFileSystem } from "../../wal/node-file-system.ts";
import { readLog } from "../../wal/read-log.ts";
import { type MemberDirectories, readMember } from "./read-member.ts";

export type ExportedMember = {
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly revision: number;
  readonly sizeBytes: number;
};

/**
 * @throws HaplanError `data/running` while a process uses the data, `data/damaged` if it does not hold what the member
 * has acknowledged, or as `readMember`; no file is left then
 */
export async function exportMember(place: MemberDirectories, file: string): Promise<ExportedMember> {
  const member = usableData(await readMember(place), place);
  const { entries } = await readLog(createNodeFileSystem(place.walDir), ".");
  const work = `${file}.${process.pid}.work`;
  try {
    makeDirDurably(work);
    const stored = `${place.dataDir}/member/snap/store.mdb`;
    if (existsSync(stored)) copyFileSync(stored, `${work}/store.mdb`, constants.COPYFILE_FICLONE);
    const backend = openLmdbBackend({ directory: work });
    const store = await openStore({ backend });
    try {
      const machine = new StateMachine({ self: member.memberId, store });
      await applyAll(machine, entries);
      const view = await store.view();
      try {
        const { sizeBytes, chunks } = await exportDatabase(view, nextTurn);
        await writeSnapshotFile(`${work}/snapshot.db`, chunks);
        const { lastIndex, lastTerm } = member;
        renameSync(`${work}/snapshot.db`, file);
        syncDir(dirname(file));
        return { lastIndex, lastTerm, revision: store.revision, sizeBytes };
      } finally {
        view.close();
      }
    } finally {
      await store.close();
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const entriesPerTurn = 1_000;

async function applyAll(machine: StateMachine, entries: readonly Entry[]): Promise<void> {
  for (const [at, { index, term, kind, data }] of entries.entries()) {
    if (kind === EntryKind.normal) machine.apply(index, term, data);
    else {
      const { configuration, context } = decodeConfigurationEntry(data);
      machine.applyConfiguration(index, term, configuration, context);
    }
    // The store commits what it has collected meanwhile.
    if (at % entriesPerTurn === entriesPerTurn - 1) await nextTurn();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
