/** The cost of processes, from /proc: CPU time of all their threads, resident memory, and how busy the machine is. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
const microsPerTick = 1e6 / ticksPerSecond;

/** User and system time, in microseconds; as fine as a clock tick, 10 ms on most systems. */
export function cpuMicros(pid: number): number {
  const fields = fieldsAfterName(readFileSync(`/proc/${pid}/stat`, "utf8"));
  // proc(5): utime and stime are fields 14 and 15 of the whole line.
  return (Number(fields[11]) + Number(fields[12])) * microsPerTick;
}

export function residentBytes(pid: number): number {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kibibytes ?? 0) * 1024;
}

/** Time that all processors together have spent on anything but idling, in microseconds. */
export function machineBusyMicros(): number {
  const line = readFileSync("/proc/stat", "utf8").split("\n", 1)[0] ?? "";
  const [user, nice, system, , , irq, softIrq, steal] = line.trim().split(/\s+/).slice(1).map(Number);
  return (user! + nice! + system! + irq! + softIrq! + steal!) * microsPerTick;
}

/** The process name, in parentheses, may contain spaces. */
function fieldsAfterName(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
