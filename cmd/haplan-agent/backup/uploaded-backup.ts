/** The directory in which a member has its backups until they are uploaded, and what it knows of the last one that was. */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { BackupManifest } from "../../../src/backup/backup-manifest.ts";
import { writeFileDurably } from "../../../src/base/durable-file.ts";
import { systemErrorCode } from "../../../src/base/haplan-error.ts";

export type UploadedBackup = {
  /** Its URL. */
  readonly path: string;
  readonly manifest: BackupManifest;
};

const lastName = "last.json";

export function rememberUpload(directory: string, backup: UploadedBackup): void {
  writeFileDurably(join(directory, lastName), `${JSON.stringify(backup)}\n`);
}

/** For the metrics of a member that was started again. Null if there is none of this cluster. */
export function lastUpload(directory: string, cluster: string): UploadedBackup | null {
  try {
    const found = JSON.parse(readFileSync(join(directory, lastName), "utf8")) as UploadedBackup;
    return found.manifest.cluster === cluster ? found : null;
  } catch {
    // It is written anew with the next backup.
    return null;
  }
}

/** Removes backups that were not uploaded. */
export function clearUploads(directory: string): void {
  for (const name of namesIn(directory)) if (name !== lastName) rmSync(join(directory, name), { force: true });
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}
