/** Names of what the command line keeps in a cluster's folder, beside the state and the machines. */
import { join } from "node:path";

export function journalFile(folder: string): string {
  return join(folder, "journal.jsonl");
}

export function authorityFolder(folder: string): string {
  return join(folder, "pki");
}

export function snapshotFolder(folder: string): string {
  return join(folder, "snapshots");
}
