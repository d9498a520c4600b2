/** Processes that run as another user than units do by now: the user was removed, or has another id. */
import type { FormerUser } from "../../plan/observed-cluster.ts";
import type { RunningUnit, Supervisor, UnitOwner } from "../supervisor.ts";
import { ownerOfProcess } from "./process-table.ts";

/** Null if the process is of the units' user, or units have none of their own. */
export function formerUser(
  { hasOwnUser, owner }: Pick<Supervisor, "hasOwnUser" | "owner">,
  { pid }: RunningUnit,
): FormerUser | null {
  const runsAs = hasOwnUser ? ownerOfProcess(pid) : null;
  if (runsAs === null) return null;
  const present = owner();
  const isSame = present?.userId === runsAs.userId && present.groupId === runsAs.groupId;
  return isSame ? null : { runsAs: idsOf(runsAs), present: present === null ? null : idsOf(present) };
}

function idsOf({ userId, groupId }: UnitOwner): string {
  return `${userId}:${groupId}`;
}
