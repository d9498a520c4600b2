/**
 * `haplan-agent backup`: writes the snapshot on its standard input as a backup, verified, and removes those that the retention no
 * longer keeps. A member starts it for each backup that it takes by itself: verifying one would keep the member from its peers.
 */
import { Command, CommanderError } from "commander";
import { listBackups, removeBackup } from "../../../src/backup/backup-dir.ts";
import { readBackupSecret } from "../../../src/backup/backup-secret.ts";
import { backupPath, expiredBackups, timeName } from "../../../src/backup/listed-backups.ts";
import { writeBackup } from "../../../src/backup/write-backup.ts";
import { errorText } from "../../../src/base/haplan-error.ts";
import type { SnapshotOutput } from "../snapshot/snapshot-command.ts";

export type BackupFlags = {
  readonly dir: string;
  readonly cluster: string;
  readonly keyFile?: string;
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
  const path = backupPath(dir, `${cluster}-${timeName(nowMs)}`, secret !== null);
  const origin = { cluster, engine: "agent" } as const;
  const manifest = await writeBackup(process.stdin, { path, secret, createdAtMs: nowMs, origin: () => origin });
  const [count, maxAgeDays] = [flags.retentionCount, flags.retentionDays].map((text) => Number(text) || undefined);
  for (const expired of expiredBackups(listBackups(dir), cluster, { count, maxAgeDays }, nowMs)) {
    removeBackup(dir, expired);
  }
  return { path, manifest };
}
