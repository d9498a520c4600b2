/**
 * Puts haplan's artifact on a host: in a directory of its own that is named after its digest, with a link `current` that is
 * moved at the end. An upload that was cut short goes on where it ended.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Architecture } from "../../artifact/artifact-entries.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { appendedMeanwhile, appendScript, installScript, receivedScript, removeScript } from "./install-scripts.ts";
import { type RemoteCommand, type RemoteResult, runOnHost } from "./run-ssh.ts";

/** Where artifacts are on a host. `bin/haplan-host` is in `current`. */
export const installDir = "/opt/haplan";

const askMs = 30_000;
const uploadMs = 900_000;

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

/**
 * Does nothing where `current` is this artifact already.
 * @returns true when something was changed
 */
export async function uploadArtifact(host: Host, file: string): Promise<boolean> {
  const digest = await digestOf(file);
  const { size } = await stat(file);
  const run = async (command: string, timeoutMs: number, inputFile?: string): Promise<RemoteResult> => {
    const result = await runOnHost({
      ...host,
      command: rootCommand(host, command),
      timeoutMs,
      ...(inputFile === undefined ? {} : { inputFile }),
    });
    if (result.exitCode !== 0 && result.exitCode !== appendedMeanwhile) {
      const text =
        `Cannot install haplan on ${host.target.host}: exit code ${result.exitCode}\n${result.stderr}`.trimEnd();
      throw new HaplanError("ssh/install", text);
    }
    return { ...result, stdout: result.stdout.trim() };
  };
  for (;;) {
    const received = (await run(receivedScript(installDir, digest), askMs)).stdout;
    if (received === "installed") return false;
    const rest = await restOf(file, Number(received), size);
    const append = appendScript(installDir, digest, Number(received));
    const { exitCode } = await run(append, uploadMs, rest.file).finally(rest.remove);
    if (exitCode === appendedMeanwhile) continue;
    await run(installScript(installDir, digest), uploadMs);
    return true;
  }
}

/** Once nothing of any cluster is on the host. */
export async function removeArtifact(host: Host): Promise<void> {
  const command = rootCommand(host, removeScript(installDir, "/var/lib/haplan"));
  await runOnHost({ ...host, command, timeoutMs: askMs });
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
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
