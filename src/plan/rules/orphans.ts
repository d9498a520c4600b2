/**
 * Processes of this cluster whose machines are gone: their directory was removed while they ran. They hold addresses
 * and may answer as members, so they are never ignored, and never stopped without being listed.
 */

import { agentUnitName } from "../../units/unit-definition.ts";
import { isUncalled } from "../cluster-view.ts";
import type { Planning } from "../planning.ts";
import { specName } from "../resource.ts";
import type { Step } from "../step.ts";
import { machineAddress } from "./machines.ts";

/** By machine, sorted: what runs there, as `m1: agent (pid 812)`. Of members that haplan cannot call, other warnings tell. */
function orphansByMachine({ observed, view }: Planning): ReadonlyMap<string, string> {
  // An uncalled one that the state has is planned as recorded.
  const isTold = (name: string): boolean => view.machines.has(name) && isUncalled(view, name);
  const lost = observed.orphans.filter(({ machine }) => !view.machines.has(machine) && !isTold(specName(machine)));
  const names = [...new Set(lost.map(({ machine }) => machine))].sort();
  return new Map(
    names.map((name) => {
      const processes = lost.filter(({ machine }) => machine === name).map(({ unit, pid }) => `${unit} (pid ${pid})`);
      return [name, processes.join(", ")];
    }),
  );
}

export function checkOrphans(planning: Planning): void {
  const { view, builder } = planning;
  const orphans = orphansByMachine(planning);
  if (orphans.size === 0 || planning.mode === "destroy") return;
  const list = [...orphans].map(([machine, processes]) => `  ${machine}: ${processes}`).join("\n");
  if (view.phase === "none") {
    builder.refuse(
      "plan/running-without-state",
      `The cluster "${planning.spec.name}" is running, but its state and its data are gone`,
      `These processes were started for it, but their directory no longer exists:\n${list}\nCreating the cluster again would stop them. Restore the directory from a backup, if there is one; data in the members' memory can be saved from them (etcdctl snapshot save). To stop them and start over, destroy first:`,
      null,
      [["destroy"]],
    );
    return;
  }
  builder.warn(
    "plan/orphaned-process",
    `${orphans.size === 1 ? "A machine is gone but its processes run" : `${orphans.size} machines are gone but their processes run`}`,
    `Their directory no longer exists:\n${list}\nA member among them answers until it needs its data. Stop it (kill PID) and plan again: then it is replaced. Destroy stops all of them.`,
  );
}

/** No member is made anew on a host on which its former agent still runs: both would have its place, and the former one its vote. */
export function keepFormerAgents({ observed, view, state, builder }: Planning, steps: readonly Step[]): void {
  for (const { action } of steps) {
    if (action.kind !== "createMachine") continue;
    const { machine, address } = action;
    const former = observed.orphans.find(
      (orphan) => specName(orphan.machine) === machine && orphan.unit === agentUnitName,
    );
    const known = state?.resources.find((resource) => resource.address === machineAddress(machine));
    const isElsewhere = known !== undefined && known.attributes["address"] !== address;
    const isDestroyed = steps.some((step) => step.action.kind === "destroyMachine" && step.action.machine === machine);
    if (former === undefined || view.machines.has(machine) || isElsewhere || isDestroyed) continue;
    builder.refuse(
      "plan/former-agent-runs",
      `Master ${machine} cannot be made anew while its former agent runs (pid ${former.pid})`,
      `The directory of its machine is not there, but its process still has its address, and may have its vote. See whether something is mounted above the directory. If it is gone for good, end the process (kill ${former.pid}) and plan again.`,
      machineAddress(machine),
    );
  }
}

/** Processes left of missing machines are stopped with the rest. Returns the ids of the steps. */
export function destroyOrphans(planning: Planning): readonly (string | null)[] {
  const { builder } = planning;
  return [...orphansByMachine(planning)].map(([machine, processes]) => {
    builder.setAction(machineAddress(machine), "delete", `its directory is gone, but these run: ${processes}`);
    return builder.add({ kind: "destroyMachine", machine }, [machineAddress(machine)]);
  });
}
