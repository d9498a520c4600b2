/** A backup of a bucket as a private file on this machine, for as long as it is read. */
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { BackupBucket } from "../../src/backup/backup-bucket.ts";
import { makeDirDurably } from "../../src/base/durable-file.ts";
import { systemErrorCode } from "../../src/base/haplan-error.ts";
import type { CliContext } from "./cli-context.ts";
import { downloadPrefix } from "./cluster-files.ts";
import { stoppedBeforeChange } from "./refusal.ts";

/** Longer than a download takes, or a restore that asks. */
const leftoverMs = 86_400_000;

/**
 * Calls `work` with its path, or with null if the bucket has no such object. The file is removed afterwards. @throws HaplanError
 * `backup/s3`, RefusalError once the run was asked to stop
 */
export async function withDownloaded<Result>(
  { stop, clock }: CliContext,
  from: { readonly bucket: BackupBucket; readonly url: string; readonly clusterDirectory: string },
  work: (path: string | null) => Promise<Result>,
): Promise<Result> {
  const { bucket, url, clusterDirectory } = from;
  // An interrupted download leaves no file.
  return stop.hold(async () => {
    makeDirDurably(clusterDirectory);
    removeLeftovers(clusterDirectory, clock.now());
    const directory = mkdtempSync(join(clusterDirectory, downloadPrefix));
    try {
      chmodSync(directory, 0o700);
      const path = await bucket.download(url, directory, stop.signal).catch((error: unknown) => {
        throw stop.signal.aborted ? stoppedBeforeChange(stop) : error;
      });
      return await work(path);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

/** Of runs that were killed. */
function removeLeftovers(clusterDirectory: string, nowMs: number): void {
  for (const name of readdirSync(clusterDirectory)) {
    if (!name.startsWith(downloadPrefix)) continue;
    const path = join(clusterDirectory, name);
    if (nowMs - changedMs(path) > leftoverMs) rmSync(path, { recursive: true, force: true });
  }
}

function changedMs(path: string): number {
  try {
    return statSync(path).mtimeMs;
  } catch (error) {
    // Its run has removed it.
    if (systemErrorCode(error) === "ENOENT") return Number.POSITIVE_INFINITY;
    throw error;
  }
}
