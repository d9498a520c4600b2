/** Backups as text and as JSON. */
import { basename } from "node:path";
import type { BackupManifest } from "../../../src/backup/backup-manifest.ts";
import type { BackupFacts } from "../../../src/backup/open-backup.ts";
import type { CommandWords } from "../../../src/base/command-words.ts";
import type { SnapshotSource } from "../../../src/control-plane/control-plane.ts";
import type { Paint } from "../paint.ts";
import { ageText, count } from "./age-text.ts";
import { type LastScheduled, lastScheduledToJson, renderLastScheduled } from "./scheduled-view.ts";
import { snakeKeys } from "./snake-keys.ts";
import { table } from "./table.ts";

export type BackupReport = {
  readonly path: string;
  readonly manifest: BackupManifest;
  readonly source: SnapshotSource;
  /** Paths of the backups that the retention no longer keeps. */
  readonly removed: readonly string[];
};

export type BackupEntry = {
  readonly path: string;
  readonly fileBytes: number;
  /** Null if it was never verified. */
  readonly facts: BackupFacts | null;
  /** Null if it is unknown. */
  readonly createdAt: string | null;
  readonly verified: boolean;
  /** Why it cannot be restored; null if nothing is known against it. */
  readonly problem: string | null;
};

export type BackupList = {
  readonly cluster: string;
  readonly directories: readonly string[];
  /** The URL that those in a bucket begin with; null without a bucket. */
  readonly bucket: string | null;
  readonly backups: readonly BackupEntry[];
  readonly nowMs: number;
  /** Null if there are none. */
  readonly elsewhere: ScheduledElsewhere | null;
  /** Null without a schedule, and where the logs were not read. */
  readonly scheduled: LastScheduled | null;
};

/** Backups that the members take by themselves, in a directory of each master that is not looked at. */
export type ScheduledElsewhere = { readonly directory: string; readonly masters: readonly string[] };

export function backupToJson({ path, manifest, source, removed }: BackupReport): object {
  const { kind: _, version: __, ...facts } = manifest;
  return {
    format_version: "1.0",
    path,
    ...(snakeKeys(facts) as object),
    leader: source.leads,
    verified: true,
    removed,
  };
}

export function renderBackup({ path, manifest, source, removed }: BackupReport, paint: Paint): string {
  const role = source.leads ? "leader" : "follower";
  return [
    `${paint.bold("Backup saved:")} ${path}`,
    `  ${contentText(manifest)}`,
    `  ${bytesText(manifest.fileBytes)}${manifest.encrypted ? ", encrypted" : ""}, verified by reading all of it`,
    ...(source.endpoint === "" ? [] : [`  from ${source.name || source.endpoint} (${role})`]),
    ...removed.map((each) => `  removed, as the retention says: ${basename(each)}`),
  ].join("\n");
}

export function backupsToJson({
  cluster,
  directories,
  bucket,
  backups,
  nowMs,
  elsewhere,
  scheduled,
}: BackupList): object {
  return {
    format_version: "1.0",
    cluster,
    directories,
    bucket,
    scheduled_elsewhere: elsewhere,
    last_scheduled: scheduled === null ? null : lastScheduledToJson(scheduled),
    backups: backups.map(({ path, fileBytes, facts, createdAt, verified, problem }) => ({
      name: basename(path),
      path,
      created_at: createdAt,
      age_seconds: createdAt === null ? null : Math.max(0, Math.round((nowMs - Date.parse(createdAt)) / 1000)),
      file_bytes: fileBytes,
      revision: facts?.revision ?? null,
      keys: facts?.keys ?? null,
      leases: facts?.leases ?? null,
      users: facts?.users ?? null,
      encrypted: facts?.encrypted ?? null,
      verified,
      problem,
    })),
  };
}

/** `lineOf` prints a command with the flags that select the cluster. */
export function renderBackups(
  { cluster, directories, bucket, backups, nowMs, elsewhere, scheduled }: BackupList,
  paint: Paint,
  lineOf: (command: CommandWords) => string,
): string {
  const places = [
    ...(bucket === null ? [] : [`Bucket: ${bucket}`]),
    ...directories.map((directory) => `Directory: ${directory}`),
    ...(elsewhere === null ? [] : elsewhereLines(elsewhere, lineOf)),
    ...(scheduled === null ? [] : [renderLastScheduled(scheduled, nowMs, paint)]),
  ];
  if (backups.length === 0) return [`There are no backups of cluster "${cluster}".`, ...places].join("\n");
  const number = (value: number | undefined): string => (value === undefined ? "-" : String(value));
  const rows = backups.map(({ path, fileBytes, facts, createdAt, verified, problem }) => [
    basename(path),
    number(facts?.revision),
    number(facts?.keys),
    bytesText(fileBytes),
    createdAt === null ? "-" : ageText(nowMs - Date.parse(createdAt)),
    facts?.encrypted ? "yes" : "no",
    problem !== null ? paint.red("damaged") : verified ? "yes" : paint.yellow("no"),
  ]);
  return [
    paint.bold(`Backups of cluster ${cluster}`),
    "",
    ...table(["NAME", "REVISION", "KEYS", "SIZE", "AGE", "ENCRYPTED", "VERIFIED"], rows, paint),
    "",
    ...places,
    ...backups.flatMap(({ problem }) => (problem === null ? [] : ["", paint.red(problem)])),
  ].join("\n");
}

function elsewhereLines(
  { directory, masters }: ScheduledElsewhere,
  lineOf: (command: CommandWords) => string,
): readonly string[] {
  return [
    `Not looked at: ${directory} on ${masters.join(", ")}, where the members keep those that they take by themselves. To list them, run:`,
    ...masters.map((name) => `    ${lineOf(["exec", "-T", name, "--", "sudo", "ls", "-l", directory])}`),
  ];
}

/** `revision 12, 3 keys, 1 lease, 0 users`. */
export function contentText({ revision, keys, leases, users }: BackupFacts): string {
  return [`revision ${revision}`, count(keys, "key"), count(leases, "lease"), count(users, "user")].join(", ");
}

function bytesText(bytes: number): string {
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} kB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
