/** Names of the command line's files in a cluster's directory, beside the state and the machines. */
import { join } from "node:path";

export function journalFile(directory: string): string {
  return join(directory, "journal.jsonl");
}

export function authorityDir(directory: string): string {
  return join(directory, "pki");
}

export function snapshotDir(directory: string): string {
  return join(directory, "snapshots");
}
