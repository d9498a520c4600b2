import { readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { arch, hostname, networkInterfaces, platform, release, totalmem } from "node:os";
import { dirname } from "node:path";
import { execa } from "execa";
import { systemErrorCode } from "../base/haplan-error.ts";
import type { HostFacts } from "../host/host-facts.ts";

const systemctlMs = 10_000;

/** What this host is. `directory` is where clusters are, or will be. */
export async function gatherFacts(directory: string): Promise<HostFacts> {
  return {
    hostname: hostname(),
    platform: platform(),
    os: prettyName(readIfThere("/etc/os-release")),
    kernel: release(),
    architecture: arch(),
    systemdVersion: await systemdVersion(),
    isRoot: process.getuid?.() === 0,
    memoryBytes: totalmem(),
    freeDiskBytes: await freeBytes(directory),
    machineId: readIfThere("/etc/machine-id").trim() || null,
    addresses: Object.values(networkInterfaces())
      .flatMap((found) => found ?? [])
      .filter(({ internal }) => !internal)
      .map(({ address }) => address),
    timeMs: Date.now(),
  };
}

/** The name for people in a text such as os-release(5). */
export function prettyName(osRelease: string): string | null {
  return /^PRETTY_NAME=["']?(.*?)["']?$/m.exec(osRelease)?.[1] || null;
}

/** sd_booted(3): systemd may be installed where another init runs. */
async function systemdVersion(): Promise<number | null> {
  const { stdout, failed } = await execa("systemctl", ["--version"], { reject: false, timeout: systemctlMs });
  const version = Number(/^systemd (\d+)/.exec(stdout ?? "")?.[1]);
  const init = readIfThere("/proc/1/comm").trim();
  return failed || Number.isNaN(version) || init !== "systemd" ? null : version;
}

async function freeBytes(directory: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT" || dirname(directory) === directory) throw error;
    return await freeBytes(dirname(directory));
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
