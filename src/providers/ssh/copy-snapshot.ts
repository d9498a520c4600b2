/** Puts a snapshot on a host for the time of a restore, or takes one from there. On the host it is readable by root only. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, posix } from "node:path";
import { fileDigest } from "../../artifact/given-artifact.ts";
import { makeDirDurably, syncDir } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { dataDir, restoreDir } from "../../base/host-paths.ts";
import { runOnHost } from "./run-ssh.ts";
import { type Host, rootCommand } from "./upload-artifact.ts";

const askMs = 30_000;
const uploadMs = 3_600_000;
/** The snapshot, the data that is made from it, and its log. */
const spaceFactor = 3;
const tooSmall = 91;
const damaged = 92;

export type UploadedSnapshot = { readonly path: string; remove(): Promise<void> };

/** Several machines of a host are restored at once. */
export type SnapshotUpload = { readonly cluster: string; readonly machine: string; readonly file: string };

/** @throws HaplanError `ssh/no-space` before anything is sent, `ssh/upload` */
export async function uploadSnapshot(
  host: Host,
  { cluster, machine, file }: SnapshotUpload,
): Promise<UploadedSnapshot> {
  const stagingDir = stagingDirOf(cluster);
  const digest = await fileDigest(file);
  const { size } = await stat(file);
  const path = `${stagingDir}/${machine}-${digest}.db`;
  const receive = `
    set -e
    umask 077
    mkdir -p ${stagingDir}
    [ $(df -Pk ${stagingDir} | tail -n 1 | tr -s " " | cut -d " " -f 4) -ge ${Math.ceil((size * spaceFactor) / 1024)} ] || exit ${tooSmall}
    cat > ${path}.part
    echo "${digest}  ${path}.part" | sha256sum -c --quiet >&2 || exit ${damaged}
    mv ${path}.part ${path}`;
  const command = rootCommand(host, receive);
  const { exitCode, stderr } = await runOnHost({ ...host, command, timeoutMs: uploadMs, inputFile: file });
  if (exitCode === tooSmall) {
    throw new HaplanError(
      "ssh/no-space",
      `Cannot restore on ${host.target.host}: ${Math.ceil((size * spaceFactor) / 2 ** 20)} MiB must be free below ${stagingDir}. Nothing was sent`,
    );
  }
  if (exitCode !== 0) {
    const why = exitCode === damaged ? "it was damaged on its way" : `exit code ${exitCode}`;
    throw new HaplanError("ssh/upload", `Cannot send the snapshot to ${host.target.host}: ${why}\n${stderr}`.trimEnd());
  }
  return { path, remove: () => removeStaged(host, path) };
}

function stagingDirOf(cluster: string): string {
  return `${dataDir}/${cluster}/${restoreDir}`;
}

function renameDurably(from: string, to: string): void {
  const file = openSync(from, "r");
  fsyncSync(file);
  closeSync(file);
  renameSync(from, to);
  syncDir(dirname(to));
}

async function removeStaged(host: Host, path: string): Promise<void> {
  const command = rootCommand(host, `rm -f ${path} ${path}.part; rmdir ${posix.dirname(path)} 2>/dev/null; true`);
  await runOnHost({ ...host, command, timeoutMs: askMs });
}

export type ExportedSnapshot = UploadedSnapshot & {
  /** Copies it to `file` on this machine, which is complete then. @throws HaplanError `ssh/download` */
  download(file: string): Promise<void>;
};

/** A snapshot that is written on the host at `path`, and copied from there. */
export function exportedSnapshot(
  host: Host,
  { cluster, machine }: Pick<SnapshotUpload, "cluster" | "machine">,
): ExportedSnapshot {
  const path = `${stagingDirOf(cluster)}/${machine}.export.db`;
  const download = async (file: string): Promise<void> => {
    makeDirDurably(dirname(file));
    const part = `${file}.part`;
    const command = rootCommand(host, `sha256sum < ${path} >&2 && cat ${path}`);
    const { exitCode, stderr } = await runOnHost({ ...host, command, timeoutMs: uploadMs, outputFile: part });
    const isWhole = exitCode === 0 && stderr.includes(await fileDigest(part));
    if (!isWhole) {
      rmSync(part, { force: true });
      throw new HaplanError("ssh/download", `Cannot copy the snapshot from ${host.target.host}\n${stderr}`.trimEnd());
    }
    renameDurably(part, file);
  };
  return { path, download, remove: () => removeStaged(host, path) };
}
