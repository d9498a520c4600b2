/** Names of the command line's files in a cluster's directory, beside the state and the machines. */
import { join } from "node:path";

export function journalFile(directory: string): string {
  return join(directory, "journal.jsonl");
}

export function authorityDir(directory: string): string {
  return join(directory, "pki");
}

/** The plan of a restore that has begun, and the snapshot that it restores. */
export function restoreDir(directory: string): string {
  return join(directory, "restore");
}

export function snapshotDir(directory: string): string {
  return join(directory, "snapshots");
}

/** How far a migration is, and the snapshot that it copies. */
export function migrationDir(directory: string): string {
  return join(directory, "migration");
}

/** Of the names of directories with a backup that is being read. */
export const downloadPrefix = "download-";
