/**
 * Keeps packages from starting their own services while haplan installs them: haplan runs the program in a unit of its own,
 * with its own files and ports. Debian asks policy-rc.d before it starts a service.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { writeFileDurably } from "../../base/durable-file.ts";
import { systemctl } from "../systemd/systemctl.ts";

const policyFile = "/usr/sbin/policy-rc.d";
const marker = "# Written by haplan while it installs a package.";

/** Runs `install` while no service of a package is started. A policy of the host's own stays as it is. */
export async function withoutServices(install: () => Promise<void>): Promise<void> {
  const isOwn = existsSync(policyFile) && !readFileSync(policyFile, "utf8").includes(marker);
  if (!isOwn) writeFileDurably(policyFile, `#!/bin/sh\n${marker}\nexit 101\n`, { mode: 0o755 });
  try {
    await install();
  } finally {
    if (!isOwn) rmSync(policyFile, { force: true });
  }
}

/** The services of a package that haplan has just installed neither run nor start with the host. */
export async function disableServices(files: readonly string[]): Promise<void> {
  const services = files
    .filter((file) => /\/systemd\/system\/[^/@]+\.(service|socket|timer)$/.test(file))
    .map((file) => basename(file));
  if (services.length > 0) await systemctl("disable", "--now", "--quiet", ...services);
}
