/**
 * Processes of this cluster whose machines are gone: somebody has removed their directory while they ran. They hold
 * addresses and may answer as members, so they are never taken for nothing, and never stopped without being named.
 */

import type { Planning } from "../planning.ts";
import { machineAddress } from "./machines.ts";

/** By machine, sorted: what runs there, as `m1: agent (pid 812)`. */
function orphansByMachine({ observed, world }: Planning): ReadonlyMap<string, string> {
  const lost = observed.orphans.filter(({ machine }) => !world.machines.has(machine));
  const names = [...new Set(lost.map(({ machine }) => machine))].sort();
  return new Map(
    names.map((name) => {
      const processes = lost.filter(({ machine }) => machine === name).map(({ unit, pid }) => `${unit} (pid ${pid})`);
      return [name, processes.join(", ")];
    }),
  );
}

export function checkOrphans(planning: Planning): void {
  const { world, draft } = planning;
  const orphans = orphansByMachine(planning);
  if (orphans.size === 0 || planning.mode === "destroy") return;
  const list = [...orphans].map(([machine, processes]) => `  ${machine}: ${processes}`).join("\n");
  if (world.phase === "none") {
    draft.refuse(
      "plan/running-without-state",
      `The cluster "${planning.spec.name}" runs, and its state and its data are gone`,
      `These processes were started for it, and their directory is not there any more:\n${list}\nTo make the cluster anew would stop them. Put the directory back from a backup, if there is one; what the members still hold in memory can be saved from them (etcdctl snapshot save). To stop them and begin anew, destroy first:`,
      null,
      [["destroy"]],
    );
    return;
  }
  draft.warn(
    "plan/orphaned-process",
    `${orphans.size === 1 ? "A machine is gone whose processes run" : `${orphans.size} machines are gone whose processes run`}`,
    `Their directory is not there any more:\n${list}\nA member among them answers until it needs its data. Stop it (kill PID) and plan again: then it is replaced. Destroy stops all of them.`,
  );
}

/** What is left of machines that are gone is stopped with the rest. Returns the ids of the steps. */
export function destroyOrphans(planning: Planning): readonly (string | null)[] {
  const { draft } = planning;
  return [...orphansByMachine(planning)].map(([machine, processes]) => {
    draft.judge(machineAddress(machine), "delete", `its directory is gone, and these run: ${processes}`);
    return draft.add({ kind: "destroyMachine", machine }, [machineAddress(machine)]);
  });
}
