/** A disk that is slow for one host: the kernel delays the writes of its control group (blkio, of cgroup version 1). */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hostsDirectory } from "./host-set.ts";
import { findProcess, type TestHost } from "./test-host.ts";

const controller = "/sys/fs/cgroup/blkio";

/** What this machine lacks; null when it has everything. */
export const missingSlowDisk: string | null = existsSync(join(controller, "blkio.throttle.io_serviced"))
  ? null
  : "this machine has no blkio controller";

/** Every session over ssh that begins from now on may write this often a second. @returns what makes the disk fast again */
export async function slowDown(host: TestHost, writesPerSecond: number): Promise<() => Promise<void>> {
  const group = join(controller, `haplan-slow-${host.ipv4}`);
  await mkdir(group, { recursive: true });
  const { dev } = statSync(hostsDirectory);
  // The numbers of a device, as makedev(3) puts them together.
  const device = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
  await writeFile(join(group, "blkio.throttle.write_iops_device"), `${device} ${writesPerSecond}\n`);
  const sshd = sshdOf(host);
  await writeFile(join(group, "cgroup.procs"), String(sshd));
  return async () => {
    await writeFile(join(controller, "cgroup.procs"), String(sshd));
    await rmdir(group).catch(() => undefined);
  };
}

/** As this machine numbers it: sshd is a child of the host's init. */
function sshdOf({ name }: TestHost): number {
  const container = findProcess(name);
  const pids = readdirSync("/proc").filter((entry) => /^[0-9]+$/.test(entry));
  const found = pids.find((pid) => {
    const { command, parent } = processOf(pid);
    return command === "sshd" && processOf(parent).parent === String(container);
  });
  if (found === undefined) throw new Error(`${name} runs no sshd`);
  return Number(found);
}

function processOf(pid: string): { readonly command: string; readonly parent: string } {
  try {
    const [, command = "", parent = ""] = /\((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return { command, parent };
  } catch {
    return { command: "", parent: "" };
  }
}
