/**
 * `haplan-agent backup`: writes the snapshot on its standard input as a backup, verified, uploads it if it has a bucket, and removes those that the retention no
 * longer keeps. A member starts it for each backup that it takes by itself: verifying one would keep the member from its peers.
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { type BackupBucket, openBackupBucket, removeExpired } from "../../../src/backup/backup-bucket.ts";
import { listBackups, removeBackup } from "../../../src/backup/backup-dir.ts";
import { readBackupSecret } from "../../../src/backup/backup-secret.ts";
import { backupPath, expiredBackups, timeName } from "../../../src/backup/listed-backups.ts";
import { writeBackup } from "../../../src/backup/write-backup.ts";
import { errorText, HaplanError } from "../../../src/base/haplan-error.ts";
import type { SnapshotOutput } from "../snapshot/snapshot-command.ts";
import { clearUploads, rememberUpload } from "./uploaded-backup.ts";

export type BackupFlags = {
  readonly dir: string;
  readonly cluster: string;
  readonly keyFile?: string;
  readonly s3Bucket?: string;
  readonly s3Prefix?: string;
  readonly s3Region?: string;
  readonly s3Endpoint?: string;
  readonly s3PathStyle?: boolean;
  readonly s3CredentialsFile?: string;
  readonly retentionCount: string;
  readonly retentionDays: string;
};

/** Prints the backup's path and manifest as JSON. Returns the exit code. */
export async function runBackupCommand(argv: readonly string[], output: SnapshotOutput): Promise<number> {
  const program = new Command("haplan-agent backup")
    .description("Write the snapshot on standard input as a backup")
    .requiredOption("--dir <directory>", "the directory of backups")
    .requiredOption("--cluster <name>", "the name of the cluster in the list of backups")
    .option("--key-file <file>", "a key of 64 hexadecimal digits, which encrypts the backup")
    .option("--s3-bucket <name>", "uploads the backup to this bucket, and removes it from the directory")
    .option("--s3-prefix <prefix>", "the prefix of its name in the bucket")
    .option("--s3-region <region>", "the region of the bucket")
    .option("--s3-endpoint <url>", "a store with S3's protocol")
    .option("--s3-path-style", "names the bucket in the path of URLs")
    .option("--s3-credentials-file <file>", "credentials, as in ~/.aws/credentials")
    .option("--retention-count <number>", "backups that are kept; 0 keeps all", "0")
    .option("--retention-days <days>", "days after which a backup is removed; 0 keeps all", "0")
    .exitOverride()
    .configureOutput({ writeOut: output.write, writeErr: output.writeError })
    .action(async (flags: BackupFlags) => output.write(`${JSON.stringify(await takeBackup(flags, Date.now()))}\n`));
  try {
    await program.parseAsync(argv, { from: "user" });
    return 0;
  } catch (error) {
    // Commander has already printed its message.
    if (error instanceof CommanderError) return error.exitCode;
    output.writeError(`${errorText(error)}\n`);
    return 1;
  }
}

async function takeBackup(flags: BackupFlags, nowMs: number): Promise<object> {
  const { dir, cluster, keyFile } = flags;
  const secret = keyFile === undefined ? null : await readBackupSecret({ keyFile }, "/", "backup.schedule");
  const bucket = bucketOf(flags);
  // Of a run that was killed.
  if (bucket !== null) clearUploads(dir);
  const path = backupPath(dir, `${cluster}-${timeName(nowMs)}`, secret !== null);
  const origin = { cluster, engine: "agent" } as const;
  const manifest = await writeBackup(process.stdin, { path, secret, createdAtMs: nowMs, origin: () => origin });
  const [count, maxAgeDays] = [flags.retentionCount, flags.retentionDays].map((text) => Number(text) || undefined);
  const retention = { count, maxAgeDays };
  if (bucket !== null) {
    const url = await untilTold((signal) => bucket.upload(path, signal)).finally(() => removeBackup(dir, path));
    rememberUpload(dir, { path: url, manifest });
    const isLimited = count !== undefined || maxAgeDays !== undefined;
    if (isLimited) await removeExpired(bucket, { cluster, retention, nowMs, saved: url });
    return { path: url, manifest };
  }
  for (const expired of expiredBackups(listBackups(dir), cluster, retention, nowMs)) removeBackup(dir, expired);
  return { path, manifest };
}

/** A member that stops ends an upload under way: nothing of it is left in the bucket, nor here. */
async function untilTold<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const stop = new AbortController();
  const onStop = (): void => stop.abort();
  process.once("SIGTERM", onStop);
  try {
    return await work(stop.signal);
  } finally {
    process.off("SIGTERM", onStop);
  }
}

/** Null: backups stay in the directory. @throws HaplanError `backup/no-credentials` */
function bucketOf(flags: BackupFlags): BackupBucket | null {
  const { s3Bucket, s3CredentialsFile: file } = flags;
  if (s3Bucket === undefined) return null;
  if (file !== undefined) useCredentials(file);
  const bucket = {
    bucket: s3Bucket,
    prefix: flags.s3Prefix ?? "",
    region: flags.s3Region ?? null,
    endpoint: flags.s3Endpoint ?? null,
    forcePathStyle: flags.s3PathStyle === true,
  };
  const credentialsAdvice =
    file === undefined
      ? "The instance has no role: give it one, or write `spec.backup.schedule.credentialsFile`."
      : `The section [default] of ${file} has no credentials.`;
  return openBackupBucket({ bucket, cluster: flags.cluster, setting: "spec.backup.s3", credentialsAdvice });
}

/** The SDK takes a file that it cannot read for none. */
function useCredentials(file: string): void {
  try {
    readFileSync(file);
  } catch (cause) {
    throw new HaplanError(
      "backup/no-credentials",
      `Cannot read backup.schedule.credentialsFile: ${errorText(cause)}\nWrite credentials to it, as in ~/.aws/credentials, and let the members read it.`,
      { cause },
    );
  }
  process.env["AWS_SHARED_CREDENTIALS_FILE"] = file;
}
