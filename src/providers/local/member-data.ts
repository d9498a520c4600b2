/** What a data directory has of a member. */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import type { ObservedMachine } from "../../plan/observed-cluster.ts";
import { listDir } from "./machine-dir.ts";

/** In the root of a file system of its own. */
const lostAndFound = "lost+found";

/**
 * A member without its log has lost its votes, whatever else it has: it neither starts as an initial member nor joins under its id. An
 * agent or an etcd that was started on an empty disk and refused leaves directories, or a new store, without a log.
 *
 * @param mayHaveLogElsewhere whether others override the unit, such as by a drop-in that sets the directory of the log
 */
export function memberData(
  dataDir: string,
  mayHaveLogElsewhere: boolean,
): Pick<ObservedMachine, "hasData" | "hasRemains"> {
  const top = namesIn(dataDir);
  if (mayHaveLogElsewhere) return { hasData: top.length > 0 };
  const member = join(dataDir, "member");
  // etcd creates its first log under another name.
  if (["wal", "wal.tmp"].some((name) => holdsLog(join(member, name)))) return { hasData: true };
  const isEmpty = [top, namesIn(member), namesIn(join(member, "snap"))].flat().every((name) => ownDirs.has(name));
  return isEmpty ? { hasData: false } : { hasData: false, hasRemains: true };
}

/** What an agent creates before its files. */
const ownDirs: ReadonlySet<string> = new Set(["member", "snap", "wal", "wal.tmp"]);

/** A log that is being created has not been started with yet, and counts as well: its member's first start goes on. */
function holdsLog(directory: string): boolean {
  // The log may be on another disk, which is not there yet.
  const isLink = lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  return isLink || namesIn(directory).length > 0;
}

function namesIn(directory: string): readonly string[] {
  return listDir(directory).filter((name) => name !== lostAndFound);
}
