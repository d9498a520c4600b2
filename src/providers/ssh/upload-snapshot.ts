/** Puts a snapshot on a host for the time of a restore, readable by root only. */
import { stat } from "node:fs/promises";
import { fileDigest } from "../../artifact/given-artifact.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { dataDir, restoreDir } from "../../host/host-paths.ts";
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
  const stagingDir = `${dataDir}/${cluster}/${restoreDir}`;
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
  const removal = rootCommand(host, `rm -f ${path} ${path}.part; rmdir ${stagingDir} 2>/dev/null; true`);
  const remove = async (): Promise<void> => void (await runOnHost({ ...host, command: removal, timeoutMs: askMs }));
  return { path, remove };
}
