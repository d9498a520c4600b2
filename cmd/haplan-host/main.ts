#!/usr/bin/env node
/**
 * Carries out haplan's calls on this machine: `haplan-host --cluster NAME`. haplan starts it over ssh for each session; it
 * reads requests from standard input and ends when that does. With `--logs` it writes the logs of a machine instead.
 */
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { errorText } from "../../src/base/haplan-error.ts";
import { packageVersion } from "../../src/base/package-dir.ts";
import { lockLeaseMs } from "../../src/host/changing-run.ts";
import type { LogFlags } from "../../src/host/log-lines.ts";
import { HostLock } from "../../src/host-program/host-lock.ts";
import { HostPackages } from "../../src/host-program/packages/host-packages.ts";
import { providerCalls } from "../../src/host-program/provider-calls.ts";
import { serveHost } from "../../src/host-program/serve-host.ts";
import { serveLogs } from "../../src/host-program/serve-logs.ts";
import { systemdUnits } from "../../src/host-program/systemd/systemd-units.ts";
import { createLocalProvider } from "../../src/providers/local/local-provider.ts";
import { findExecutable } from "../../src/providers/local/programs.ts";
import { removeScript } from "../../src/providers/ssh/install-scripts.ts";

const options = new Command("haplan-host")
  .description("Carries out haplan's calls on this machine. It is started by haplan, over ssh")
  .requiredOption("--cluster <name>", "name of the cluster whose machines are on this host")
  .option("--root <dir>", "directory of clusters", "/var/lib/haplan")
  .option("--detached", "run units as detached processes, without systemd")
  .option("--programs-dir <dir>", "directory with haplan's own programs", resolve(process.argv[1]!, "../.."))
  .option("--artifacts-dir <dir>", "remove haplan's artifacts from there after the last machine of any cluster")
  .option("--logs <machine>", "write the logs of a machine as JSON lines, and end")
  .option("--unit <name>", "with --logs: of this unit alone")
  .option("--lines <count>", "with --logs: the last lines of each unit")
  .option("--since-ms <time>", "with --logs: from this time on, in milliseconds since 1970")
  .option("--follow", "with --logs: continue with what is logged, until standard input ends")
  .parse()
  .opts<
    Partial<LogFlags> & { cluster: string; root: string; programsDir: string; artifactsDir?: string; detached?: true }
  >();

const { cluster, root, programsDir, artifactsDir, detached, logs } = options;
const provider = createLocalProvider({
  root: join(root, cluster),
  programsDir,
  ...(detached === true ? {} : { supervisor: systemdUnits, systemRoot: "/" }),
});
try {
  const { stdin: input, stdout: output } = process;
  const find = (command: string): string | null =>
    findExecutable({ kind: "system", command }, programsDir)?.file ?? null;
  const place = join(root, cluster);
  let isLeft = false;
  const leave = async (): Promise<void> => {
    if (detached !== true) await systemdUnits.leave(place);
    isLeft = true;
  };
  const packages = new HostPackages({ clusters: root, find });
  const lock = new HostLock({
    file: detached === true ? join(root, `${cluster}.lock`) : `/run/haplan-${cluster}.lock`,
    leaseMs: lockLeaseMs,
    // As if the connection had ended: calls under way finish.
    onSilence: () => input.destroy(),
  });
  const calls = providerCalls({ provider, cluster, packages, lock, leave });
  try {
    if (logs === undefined) await serveHost({ calls, input, output, version: packageVersion() });
    else await serveLogs({ provider, flags: { ...options, logs }, input, output });
    // Here and not by another command of haplan: the connection may be lost once the machine is destroyed. Last of all, since
    // this program is in one of them.
    if (isLeft && artifactsDir !== undefined)
      spawnSync("sh", ["-c", removeScript({ directory: artifactsDir, stateDirectory: root, cluster })]);
  } finally {
    lock.release();
  }
} catch (error) {
  console.error(`haplan-host: ${errorText(error)}`);
  process.exitCode = 1;
}
