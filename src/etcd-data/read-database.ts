/** What a member needs to be compared by, from the database of an etcd. Source: etcd server/storage/schema. */
import { existsSync } from "node:fs";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { DatabaseReader } from "../raft-agent/bbolt/database-reader.ts";
import { openFileSource } from "../raft-agent/bbolt/page-source.ts";

export type StoredMember = { readonly id: string; readonly name: string; readonly learner: boolean };

export type EtcdDatabase = {
  /** Of the last entry whose result is in the file for certain. */
  readonly consistentIndex: number;
  readonly revision: number;
  readonly members: readonly StoredMember[];
  readonly sizeBytes: number;
};

const emptyDatabase: EtcdDatabase = { consistentIndex: 0, revision: 1, members: [], sizeBytes: 0 };

/** `damage`: why the file is not one that etcd has left. Every page is visited. @throws the system's error */
export function readEtcdDatabase(path: string): { readonly stored: EtcdDatabase; readonly damage: string | null } {
  if (!existsSync(path)) return { stored: emptyDatabase, damage: "its database is missing" };
  using source = openFileSource(path);
  try {
    const database = new DatabaseReader(source);
    return {
      stored: {
        consistentIndex: consistentIndexOf(database),
        revision: revisionOf(database),
        members: membersOf(database),
        sizeBytes: database.sizeBytes,
      },
      damage: null,
    };
  } catch (error) {
    if (!(error instanceof HaplanError) || error.code !== "bbolt/damaged") throw error;
    return { stored: emptyDatabase, damage: errorText(error) };
  }
}

function consistentIndexOf(database: DatabaseReader): number {
  for (const { key, value } of database.entries("meta"))
    if (key.toString() === "consistent_index" && value.length === 8) return Number(value.readBigUInt64BE(0));
  return 0;
}

/** Keys of the bucket begin with the revision in eight bytes, and ascend. */
function revisionOf(database: DatabaseReader): number {
  let revision = 1;
  for (const { key } of database.entries("key")) if (key.length >= 8) revision = Number(key.readBigUInt64BE(0));
  return revision;
}

function membersOf(database: DatabaseReader): readonly StoredMember[] {
  return [...database.entries("members")].map(({ key, value }) => {
    const { name = "", isLearner = false } = JSON.parse(value.toString("utf8")) as {
      readonly name?: string;
      readonly isLearner?: boolean;
    };
    return { id: key.toString("latin1").padStart(16, "0"), name, learner: isLearner };
  });
}
