/** Whether a member's data can be saved: the same for haplan's agent and for etcd. */
import { HaplanError } from "./haplan-error.ts";

/** @throws HaplanError `data/none`, `data/running` while a process uses it, or `data/damaged` */
export function usableData<Found extends { readonly running: boolean; readonly damage: string | null }>(
  found: Found | null,
  { dataDir, walDir }: { readonly dataDir: string; readonly walDir: string },
): Found {
  if (found === null)
    throw new HaplanError("data/none", `There is no log in "${walDir}": no member has run with this directory`);
  if (found.running)
    throw new HaplanError("data/running", `A process uses the data in "${dataDir}": stop the member first`);
  if (found.damage !== null)
    throw new HaplanError("data/damaged", `Cannot use the data in "${dataDir}": ${found.damage}`);
  return found;
}
