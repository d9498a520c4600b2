/** The directories above a unit's files: root's, and entered by the units' group. */
import { chmodSync, chownSync, statSync } from "node:fs";
import type { UnitOwner } from "../supervisor.ts";
import { markedProcesses, ownerOfProcess } from "./process-table.ts";

const ofGroup = 0o750;
/** Others may pass, and read nothing. */
const ofAll = 0o751;

/** Lets the group enter. So may all others as long as a process of a unit there has another group, which it was started with. */
export function openToGroup(directory: string, { groupId }: UnitOwner): void {
  const { gid, mode } = statSync(directory);
  const mayBeFormer = gid !== groupId || (mode & 0o777) === ofAll;
  const isFormer = mayBeFormer && hasFormerGroup(directory, groupId);
  if (isFormer) chmodSync(directory, ofAll);
  chownSync(directory, 0, groupId);
  chmodSync(directory, isFormer ? ofAll : ofGroup);
}

function hasFormerGroup(directory: string, groupId: number): boolean {
  const isThere = (unitDir: string): boolean =>
    `${unitDir}/`.startsWith(`${directory}/`) || directory.startsWith(`${unitDir}/`);
  return markedProcesses().some(({ pid, unitDir }) => {
    const owner = isThere(unitDir) ? ownerOfProcess(pid) : null;
    return owner !== null && owner.groupId !== groupId;
  });
}
