/** What is known of a backup without opening it: `FILE.json` beside it. It has no secrets. */
import { readFileSync, statSync } from "node:fs";
import { basename } from "node:path";
import { writeFileDurably } from "../base/durable-file.ts";
import { systemErrorCode } from "../base/haplan-error.ts";
import type { BackupFacts } from "./open-backup.ts";

/** Where a backup is from. */
export type BackupOrigin = {
  readonly cluster: string;
  readonly engine: "agent" | "etcd";
  /** Absent if it is unknown. */
  readonly clusterId?: string;
  /** The client URL of the member that sent it; absent if it is unknown. */
  readonly member?: string;
};

export type BackupManifest = BackupOrigin &
  BackupFacts & {
    readonly kind: "haplan.backup";
    readonly version: 1;
    readonly createdAt: string;
    readonly fileBytes: number;
    readonly fileSha256: string;
  };

export function manifestPath(backup: string): string {
  return `${backup}.json`;
}

export function digestPath(backup: string): string {
  return `${backup}.sha256`;
}

/** Also writes the file for `sha256sum -c`. */
export function writeManifest(backup: string, manifest: BackupManifest): void {
  writeFileDurably(digestPath(backup), `${manifest.fileSha256}  ${basename(backup)}\n`);
  writeFileDurably(manifestPath(backup), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Null if there is none, it cannot be read, or it describes another file. */
export function readManifest(backup: string): BackupManifest | null {
  try {
    return manifestOf(readFileSync(manifestPath(backup), "utf8"), statSync(backup).size);
  } catch (error) {
    if (systemErrorCode(error) !== undefined) return null;
    throw error;
  }
}

/** Null if it is no manifest of a backup of this size. */
export function manifestOf(text: string, fileBytes: number): BackupManifest | null {
  let found: Partial<BackupManifest> | null;
  try {
    found = JSON.parse(text) as Partial<BackupManifest> | null;
  } catch {
    return null;
  }
  const isManifest = found?.kind === "haplan.backup" && found.version === 1 && typeof found.cluster === "string";
  const isIts = found?.fileBytes === fileBytes && typeof found.revision === "number";
  const isDated = typeof found?.createdAt === "string" && !Number.isNaN(Date.parse(found.createdAt));
  return isManifest && isIts && isDated ? (found as BackupManifest) : null;
}
