/** An apply during which the agent of one machine is killed again and again. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { type ClusterFixture, kill } from "./cluster-fixture.ts";
import { isAlive } from "./dir-processes.ts";
import type { ProgramRun } from "./run-program.ts";

/**
 * Applies, and from the moment that apply says `line` to its end kills the agent of `machine` whenever there is one.
 */
export async function applyAndKillAgent(
  cluster: ClusterFixture,
  machine: string,
  line: string | RegExp,
): Promise<ProgramRun> {
  const isSaid = (text: string): boolean => (typeof line === "string" ? text.includes(line) : line.test(text));
  const run = cluster.start(["apply", "-auto-approve"]);
  let over = false;
  const end = run.end.finally(() => (over = true));
  let kills = 0;
  while (!over) {
    if (isSaid(run.printed())) kills += endProcess(agentOf(cluster, machine));
    await sleep(10);
  }
  // On a slow machine apply may be done before this process has had its turn.
  kills += endProcess(agentOf(cluster, machine));
  expect(kills).toBeGreaterThan(0);
  return end;
}

function agentOf(cluster: ClusterFixture, machine: string): number | null {
  const file = join(cluster.directory, ".haplan", cluster.name, "machines", machine, "units/agent/process.json");
  try {
    return (JSON.parse(readFileSync(file, "utf8")) as { pid: number }).pid;
  } catch {
    return null; // Not there yet, or just being taken away.
  }
}

/** 1 when there was a process to end. A pid file is written by the one who started it, a moment before it runs. */
function endProcess(pid: number | null): number {
  if (pid === null || !isAlive(pid)) return 0;
  kill(pid, "SIGKILL");
  return 1;
}
