/** How much memory a process takes, from `/proc`. */
import { readFileSync } from "node:fs";

export type ResidentMemory = { readonly nowBytes: number; readonly peakBytes: number };

export function residentMemory(pid: number): ResidentMemory {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return { nowBytes: bytesOf(status, "VmRSS"), peakBytes: bytesOf(status, "VmHWM") };
}

function bytesOf(status: string, name: string): number {
  const [, kilobytes] = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status) ?? [];
  if (kilobytes === undefined) throw new Error(`/proc does not tell ${name}`);
  return Number(kilobytes) * 1024;
}
