/** Who owns the data of a machine: its unit runs as a user of its own, and can only use what belongs to that. */
import { lchownSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { UnitOwner } from "../supervisor.ts";

/** In the root of an ext4 file system, and root's. */
const fileSystemsOwn = "lost+found";

/** The topmost paths at and below `path` that belong to another user, such as after a copy that root has made. */
export function pathsOfOthers(path: string, owner: UnitOwner): readonly string[] {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return [];
  if (found.uid !== owner.userId) return [path];
  return found.isDirectory() ? entriesOf(path).flatMap((entry) => pathsOfOthers(entry, owner)) : [];
}

/** Gives `path` and all below it to `owner`; a link itself, never what it leads to. */
export function giveTo(path: string, owner: UnitOwner): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  // A running member removes files that it no longer needs.
  if (found === undefined) return;
  lchownSync(path, owner.userId, owner.groupId);
  if (found.isDirectory()) for (const entry of entriesOf(path)) giveTo(entry, owner);
}

function entriesOf(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => name !== fileSystemsOwn)
    .map((name) => join(directory, name));
}
