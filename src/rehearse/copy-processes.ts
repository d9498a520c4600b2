/** Processes of a rehearsal: found by the marker in their environment, whatever has started them. */
import { setTimeout as sleep } from "node:timers/promises";
import { systemErrorCode } from "../base/haplan-error.ts";
import { machineOfDir, placeOfUnit } from "../providers/local/machine-dir.ts";
import { markedProcesses } from "../providers/local/process-table.ts";
import { agentUnitName } from "../units/unit-definition.ts";

const pollMs = 20;
const killMs = 5_000;

/** Ids of all processes below a directory. */
export function processesBelow(directory: string): readonly number[] {
  return markedProcesses()
    .filter(({ unitDir }) => unitDir.startsWith(`${directory}/`))
    .map(({ pid }) => pid);
}

/** Ids of the processes of a member, of any generation of its machine. */
export function processesOfMember(directory: string, member: string): readonly number[] {
  return markedProcesses()
    .filter(({ unitDir }) => {
      const place = unitDir.startsWith(`${directory}/`) ? placeOfUnit(unitDir) : null;
      return place !== null && place.unit === agentUnitName && machineOfDir(place.machine) === member;
    })
    .map(({ pid }) => pid);
}

/** A process may have ended. */
export function sendSignal(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (systemErrorCode(error) !== "ESRCH") throw error;
    }
  }
}

/** Ends all processes below a directory: SIGTERM, and after `graceMs` SIGKILL. Resolves once they are gone. */
export async function endProcesses(directory: string, graceMs = 0): Promise<void> {
  if (graceMs > 0) {
    sendSignal(processesBelow(directory), "SIGTERM");
    sendSignal(processesBelow(directory), "SIGCONT");
    await untilGone(directory, graceMs);
  }
  const deadlineMs = performance.now() + killMs;
  // A process that is ended may have started another one meanwhile.
  while (processesBelow(directory).length > 0 && performance.now() < deadlineMs) {
    sendSignal(processesBelow(directory), "SIGKILL");
    await sleep(pollMs);
  }
}

async function untilGone(directory: string, withinMs: number): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (processesBelow(directory).length > 0 && performance.now() < deadlineMs) await sleep(pollMs);
}
