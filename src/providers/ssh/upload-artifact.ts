/**
 * Puts haplan's artifact on a host: in a directory of its own that is named after its digest. An upload that was cut short
 * continues where it ended.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Architecture } from "../../artifact/artifact-entries.ts";
import { fileDigest } from "../../artifact/given-artifact.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { dataDir, installDir } from "../../base/host-paths.ts";
import {
  type ArchiveContent,
  appendedMeanwhile,
  appendScript,
  installFailures,
  installScript,
  receivedScript,
  removeScript,
} from "./install-scripts.ts";
import { type RemoteCommand, type RemoteResult, runOnHost } from "./run-ssh.ts";

const askMs = 30_000;
/** How long an archive may take to a host. */
export const uploadMs = 900_000;
const removeMs = 120_000;
/** Of what a command that failed wrote, the last lines are shown. */
const errorLinesMax = 3;
/** Left free for everything else on the host. */
const spareBytes = 64 * 2 ** 20;

export type Host = Pick<RemoteCommand, "target" | "files" | "signal"> & {
  readonly become: Become;
};

/** How to become root on a host. */
export type Become = "auto" | "sudo" | "none";

/** The host's shell runs `script` as root. It must hold no single quote. */
export function rootCommand({ become }: Pick<Host, "become">, script: string): string {
  const [own, asRoot] = [`sh -c '${script}'`, `sudo -n sh -c '${script}'`];
  if (become === "none") return own;
  return become === "sudo" ? asRoot : `if [ "$(id -u)" = 0 ]; then ${own}; else ${asRoot}; fi`;
}

const architectures: { readonly [machine: string]: Architecture } = { x86_64: "x64", aarch64: "arm64" };

/** @throws HaplanError `ssh/architecture` for a host that there is no artifact for */
export async function architectureOf(host: Host): Promise<Architecture> {
  const { stdout } = await runOnHost({ ...host, command: "uname -sm", timeoutMs: askMs });
  const [system, machine = ""] = stdout.trim().split(" ");
  const found = system === "Linux" ? architectures[machine] : undefined;
  if (found === undefined) {
    throw new HaplanError(
      "ssh/architecture",
      `${host.target.host} runs ${stdout.trim()}: haplan runs on Linux, x86_64 and aarch64`,
    );
  }
  return found;
}

export type InstalledArtifact = {
  /** Its directory on the host. */
  readonly directory: string;
  /** False when it was there already. */
  readonly isNew: boolean;
};

export type ArchiveUpload = {
  readonly file: string;
  /** The cluster that needs it. */
  readonly cluster: string;
  readonly content?: ArchiveContent;
};

/**
 * Puts the artifact into its own directory on the host, unless it is there.
 * @throws HaplanError `ssh/no-space` before anything is sent, `ssh/install`
 */
export async function uploadArtifact(
  host: Host,
  { file, cluster, content = "haplan" }: ArchiveUpload,
): Promise<InstalledArtifact> {
  const digest = await fileDigest(file);
  const directory = `${installDir}/${digest}`;
  const { size } = await stat(file);
  const unpacked = await unpackedBytes(file, size);
  const asks = receivedScript(installDir, { digest, cluster });
  for (;;) {
    const [received = "", free = ""] = (await run(host, asks, askMs)).stdout.split(" ");
    if (received === "installed") return { directory, isNew: false };
    assertSpace(host, Number(free) * 1024, size - Number(received) + unpacked + spareBytes);
    const rest = await restOf(file, Number(received), size);
    const append = appendScript(installDir, digest, Number(received));
    const { exitCode } = await run(host, append, uploadMs, rest.file).finally(rest.remove);
    if (exitCode === appendedMeanwhile) continue;
    await run(host, installScript(installDir, { digest, content }), uploadMs);
    return { directory, isNew: true };
  }
}

async function run(host: Host, script: string, timeoutMs: number, inputFile?: string): Promise<RemoteResult> {
  const command = rootCommand(host, script);
  const input = inputFile === undefined ? {} : { inputFile };
  const result = await runOnHost({ ...host, command, timeoutMs, ...input });
  const { exitCode, stdout, stderr } = result;
  if (exitCode === 0 || exitCode === appendedMeanwhile) return { ...result, stdout: stdout.trim() };
  const why = installFailures[exitCode] ?? `exit code ${exitCode}`;
  const said = stderr.trimEnd().split("\n").slice(-errorLinesMax).join("\n");
  throw new HaplanError("ssh/install", `Cannot install haplan on ${host.target.host}: ${why}\n${said}`.trimEnd());
}

/** A full disk would stop more than haplan: the journal, and the members on that host. */
function assertSpace({ target }: Host, freeBytes: number, neededBytes: number): void {
  if (freeBytes >= neededBytes) return;
  const [free, needed] = [freeBytes, neededBytes].map((bytes) => Math.ceil(bytes / 2 ** 20));
  throw new HaplanError(
    "ssh/no-space",
    `Cannot install haplan on ${target.host}: ${needed} MiB are needed below ${installDir}, and ${free} MiB are free. Nothing was sent`,
  );
}

/** The size of a gzip file's content, which its last four bytes have (RFC 1952). */
async function unpackedBytes(file: string, size: number): Promise<number> {
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, Math.max(0, size - 4));
    return buffer.readUInt32LE();
  } finally {
    await handle.close();
  }
}

/** Removes what the cluster has left on a host without machines of it. @throws HaplanError `ssh/remove` */
export async function removeArtifact(host: Host, cluster: string): Promise<void> {
  const command = rootCommand(host, removeScript({ directory: installDir, stateDirectory: dataDir, cluster }));
  const { exitCode, stderr } = await runOnHost({ ...host, command, timeoutMs: removeMs });
  if (exitCode === 0) return;
  const why = stderr.trim().split("\n").slice(-errorLinesMax).join("\n") || `exit code ${exitCode}`;
  throw new HaplanError("ssh/remove", `Cannot remove ${installDir} from ${host.target.host}: ${why}`);
}

/** What the host has not received yet, as a file. */
async function restOf(
  file: string,
  received: number,
  size: number,
): Promise<{ readonly file: string; remove(): Promise<void> }> {
  if (received === 0) return { file, remove: async () => undefined };
  const directory = await mkdtemp(join(tmpdir(), "haplan-upload-"));
  const rest = join(directory, "rest");
  await pipeline(createReadStream(file, { start: Math.min(received, size) }), createWriteStream(rest, { mode: 0o600 }));
  return { file: rest, remove: () => rm(directory, { recursive: true, force: true }) };
}
