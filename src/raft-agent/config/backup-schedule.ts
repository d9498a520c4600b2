/** `--backup-*`: the backups that the members of a cluster take by themselves. */
import { isAbsolute } from "node:path";
import { SettingsError } from "./read-settings.ts";
import type { SettingReader } from "./setting-reader.ts";

export type BackupSchedule = {
  readonly intervalMs: number;
  /** An absolute path. */
  readonly directory: string;
  /** The name of the cluster in the list of backups. */
  readonly cluster: string;
  /** Null: backups are not encrypted. */
  readonly keyFile: string | null;
  /** 0: any number, and any age. */
  readonly retention: { readonly count: number; readonly maxAgeDays: number };
};

/** A backup of a large keyspace takes a while. */
const intervalMinMs = 1_000;

/** Null without `--backup-interval`. @throws SettingsError naming the flag that is wrong */
export function readBackupSchedule(read: SettingReader): BackupSchedule | null {
  const intervalMs = read.number("backup-interval");
  if (intervalMs === 0) return null;
  if (intervalMs < intervalMinMs) throw new SettingsError("--backup-interval must be at least 1s");
  const directory = read.text("backup-dir");
  if (!isAbsolute(directory)) {
    throw new SettingsError(`--backup-dir="${directory}" is wrong: --backup-interval needs an absolute path`);
  }
  const cluster = read.text("backup-cluster");
  if (cluster === "") throw new SettingsError("--backup-cluster is required with --backup-interval");
  return {
    intervalMs,
    directory,
    cluster,
    keyFile: read.text("backup-key-file") || null,
    retention: { count: read.number("backup-retention-count"), maxAgeDays: read.number("backup-retention-days") },
  };
}
