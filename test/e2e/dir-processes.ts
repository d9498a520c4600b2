/**
 * Which processes belong to a directory, and which addresses are bound, as the kernel tells: no word of haplan's is
 * taken.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/**
 * Processes whose working directory, arguments or environment lie in `directory`. This process and those that have
 * ended but were not yet buried are left out.
 */
export function processesOfDir(directory: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && belongsTo(pid, directory) && !isDefunct(pid));
}

function belongsTo(pid: number, directory: string): boolean {
  const inDir = (path: string): boolean => path === directory || path.startsWith(`${directory}/`);
  if (inDir(follow(`/proc/${pid}/cwd`))) return true;
  const words = `${read(`/proc/${pid}/cmdline`)}\0${read(`/proc/${pid}/environ`)}`.split("\0");
  return words.some((word) => inDir(word.slice(word.indexOf("=") + 1)));
}

export function isAlive(pid: number): boolean {
  return read(`/proc/${pid}/stat`) !== "" && !isDefunct(pid);
}

function isDefunct(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
}

/**
 * `host:port` of every socket that listens on a control plane's port, 2379 or 2380, on an IPv4 address that begins
 * with `prefix`. Other ports there may be other people's.
 */
export function boundAddresses(prefix: string): string[] {
  const rows = read("/proc/net/tcp").split("\n").slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state]) => state === "0A")
    .map(([, local = ""]) => {
      const [address = "", port = ""] = local.split(":");
      return `${Buffer.from(address, "hex").reverse().join(".")}:${Number.parseInt(port, 16)}`;
    })
    .filter((bound) => bound.startsWith(prefix) && /:(2379|2380)$/.test(bound));
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function follow(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
