/** `--backup-*`: the backups that the members of a cluster take by themselves. */
import { isAbsolute, resolve } from "node:path";
import { SettingsError } from "./read-settings.ts";
import type { SettingReader } from "./setting-reader.ts";

export type BackupSchedule = {
  readonly intervalMs: number;
  /** An absolute path; with a bucket, where backups are until they are uploaded. */
  readonly directory: string;
  /** Null: backups stay in the directory. */
  readonly bucket: BackupBucketConfig | null;
  /** The name of the cluster in the list of backups. */
  readonly cluster: string;
  /** Null: backups are not encrypted. */
  readonly keyFile: string | null;
  /** 0: any number, and any age. */
  readonly retention: { readonly count: number; readonly maxAgeDays: number };
};

export type BackupBucketConfig = {
  readonly bucket: string;
  readonly prefix: string;
  /** Null: the environment's. */
  readonly region: string | null;
  /** Null: Amazon's. */
  readonly endpoint: string | null;
  readonly forcePathStyle: boolean;
  /** An absolute path; null: those of the environment, or of the instance. */
  readonly credentialsFile: string | null;
};

/** Of the data directory. */
const uploadDir = "backup-upload";

/** A backup of a large keyspace takes a while. */
const intervalMinMs = 1_000;

/** Null without `--backup-interval`. @throws SettingsError naming the flag that is wrong */
export function readBackupSchedule(read: SettingReader, dataDir: string): BackupSchedule | null {
  const intervalMs = read.number("backup-interval");
  if (intervalMs === 0) return null;
  if (intervalMs < intervalMinMs) throw new SettingsError("--backup-interval must be at least 1s");
  const bucket = readBucket(read);
  const given = read.text("backup-dir");
  if (bucket !== null && given !== "")
    throw new SettingsError("--backup-dir and --backup-s3-bucket exclude each other");
  const directory = bucket === null ? given : resolve(dataDir, uploadDir);
  if (!isAbsolute(directory)) {
    throw new SettingsError(
      `--backup-dir="${directory}" is wrong: --backup-interval needs an absolute path, or --backup-s3-bucket`,
    );
  }
  const cluster = read.text("backup-cluster");
  if (cluster === "") throw new SettingsError("--backup-cluster is required with --backup-interval");
  return {
    intervalMs,
    directory,
    bucket,
    cluster,
    keyFile: read.text("backup-key-file") || null,
    retention: { count: read.number("backup-retention-count"), maxAgeDays: read.number("backup-retention-days") },
  };
}

function readBucket(read: SettingReader): BackupBucketConfig | null {
  const bucket = read.text("backup-s3-bucket");
  if (bucket === "") return null;
  return {
    bucket,
    prefix: read.text("backup-s3-prefix"),
    region: read.text("backup-s3-region") || null,
    endpoint: read.text("backup-s3-endpoint") || null,
    forcePathStyle: read.flag("backup-s3-path-style"),
    credentialsFile: read.text("backup-s3-credentials-file") || null,
  };
}
