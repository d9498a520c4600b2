/** Directories of the operator that a unit writes to. */
import { lchownSync, statSync } from "node:fs";
import { makeDirDurably } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { UnitOwner } from "../supervisor.ts";

/**
 * Makes it for the unit's user. One that is there already is never given away: it may hold files of others.
 * @throws HaplanError `provider/outside-directory`
 */
export function makeOutsideDir(path: string, owner: UnitOwner | null): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    makeDirDurably(path);
    if (owner !== null) lchownSync(path, owner.userId, owner.groupId);
    return;
  }
  if (!found.isDirectory()) throw refused(`"${path}" is not a directory`, "Name another path.");
  if (owner === null || found.uid === owner.userId) return;
  throw refused(
    `The directory "${path}" belongs to another user than the one that members run as`,
    `Name one that does not exist yet, or give it to that user: chown haplan:haplan ${path}`,
  );
}

function refused(summary: string, detail: string): HaplanError {
  return new HaplanError("provider/outside-directory", `${summary}\n${detail}`);
}
