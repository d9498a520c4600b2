/** Metrics of the newest backup, for the textfile collector of Prometheus' node exporter. */
import { dirname } from "node:path";
import { makeDirDurably, writeFileDurably } from "../base/durable-file.ts";
import type { BackupManifest } from "./backup-manifest.ts";

/** The collector runs as another user. */
const mode = 0o644;

/** The gauges' names are part of alert rules: docs/backup.md. */
export function backupMetrics({ cluster, createdAt, fileBytes, keys, revision }: BackupManifest): string {
  const gauges: readonly (readonly [name: string, help: string, value: number])[] = [
    [
      "haplan_backup_timestamp_seconds",
      "When the newest verified backup was taken, in seconds since the epoch.",
      Date.parse(createdAt) / 1000,
    ],
    ["haplan_backup_size_bytes", "Size of the newest verified backup's file.", fileBytes],
    ["haplan_backup_keys", "Keys in the newest verified backup.", keys],
    ["haplan_backup_revision", "Revision of the newest verified backup.", revision],
  ];
  return gauges
    .map(
      ([name, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name}{cluster="${cluster}"} ${value}\n`,
    )
    .join("");
}

/** Replaces the file as a whole: the collector never reads half of one. */
export function writeBackupMetrics(path: string, manifest: BackupManifest): void {
  makeDirDurably(dirname(path));
  writeFileDurably(path, backupMetrics(manifest), { mode });
}
