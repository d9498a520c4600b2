/** Writes backups, and uploads them, in a process of its own, below the member's priority. */
import { constants, setPriority } from "node:os";
import { Readable } from "node:stream";
import { listBackups } from "../../../src/backup/backup-dir.ts";
import type { BackupManifest } from "../../../src/backup/backup-manifest.ts";
import type { ListedBackup } from "../../../src/backup/listed-backups.ts";
import { errorText, systemErrorCode } from "../../../src/base/haplan-error.ts";
import type { BackupWriter, TakenBackup } from "../../../src/raft-agent/agent/loops/scheduled-backups.ts";
import type { BackupBucketConfig, BackupSchedule } from "../../../src/raft-agent/config/backup-schedule.ts";
import { lastUpload } from "./uploaded-backup.ts";

export function createBackupWriter(schedule: BackupSchedule): BackupWriter {
  const { directory, bucket, cluster, keyFile, retention } = schedule;
  const words = [
    "backup",
    `--dir=${directory}`,
    `--cluster=${cluster}`,
    ...(keyFile === null ? [] : [`--key-file=${keyFile}`]),
    ...(bucket === null ? [] : bucketWords(bucket)),
    `--retention-count=${retention.count}`,
    `--retention-days=${retention.maxAgeDays}`,
  ];
  return {
    newest: () => {
      if (bucket !== null) {
        const last = lastUpload(directory, cluster);
        return last === null ? null : measured(last.path, last.manifest);
      }
      const found = readable(directory).find(({ manifest }) => manifest?.cluster === cluster);
      return found?.manifest == null ? null : measured(found.path, found.manifest);
    },
    write: async (snapshot, signal) => {
      // Not before: every agent would load it at its start.
      const { execa } = await import("execa");
      const running = execa(process.execPath, [process.argv[1] ?? "", ...words], {
        input: Readable.from(snapshot, { objectMode: false }),
        cancelSignal: signal,
        // It is not to write into the member's log.
        stderr: "pipe",
      });
      if (running.pid !== undefined) setPriority(running.pid, constants.priority.PRIORITY_BELOW_NORMAL);
      const { stdout } = await running.catch((error: unknown) => {
        throw new Error(writerFailure(error), { cause: error });
      });
      const { path, manifest } = JSON.parse(stdout) as { path: string; manifest: BackupManifest };
      return measured(path, manifest);
    },
  };
}

function bucketWords(bucket: BackupBucketConfig): readonly string[] {
  const { region, endpoint, credentialsFile } = bucket;
  return [
    `--s3-bucket=${bucket.bucket}`,
    `--s3-prefix=${bucket.prefix}`,
    ...(region === null ? [] : [`--s3-region=${region}`]),
    ...(endpoint === null ? [] : [`--s3-endpoint=${endpoint}`]),
    ...(bucket.forcePathStyle ? ["--s3-path-style"] : []),
    ...(credentialsFile === null ? [] : [`--s3-credentials-file=${credentialsFile}`]),
  ];
}

/** What the writer said of its failure; without the command line, which is that of a program that only the member runs. */
export function writerFailure(error: unknown): string {
  const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : "";
  return said === "" ? errorText(error) : said;
}

/** A member serves whatever is wrong with the directory: its next backup fails, and says why. */
function readable(directory: string): readonly ListedBackup[] {
  try {
    return listBackups(directory);
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return [];
  }
}

function measured(path: string, { createdAt, fileBytes, keys, revision }: BackupManifest): TakenBackup {
  return { path, takenAtMs: Date.parse(createdAt), fileBytes, keys, revision };
}
