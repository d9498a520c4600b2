/**
 * A member that has lost entries which it had acknowledged is no witness any more: it may have forgotten votes as well,
 * and a majority that counts it may be none. It stops, and remembers in its data directory not to start again. See
 * docs/decisions/20261129-lost-entries.md.
 */
import { existsSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { syncDir, writeFileDurably } from "../../../base/durable-file.ts";
import { errorText, HaplanError } from "../../../base/haplan-error.ts";

type Place = { readonly dataDir: string };

/** Notes why this member must not start again, if `error` says that it has lost entries. */
export function rememberLostEntries(place: Place, error: unknown): void {
  if (!(error instanceof HaplanError) || error.code !== "raft/lost-entries") return;
  // Without the note the leader would find out again, as long as it leads.
  try {
    writeFileDurably(markerPath(place), `${errorText(error)}\n`);
  } catch {}
}

/** @throws HaplanError `agent/lost-entries`: this member has found before that it lost entries. */
export function assertNoLostEntries(place: Place): void {
  if (existsSync(markerPath(place))) throw lostEntriesError(place);
}

/** The only member that is left decides alone: what it has is what the cluster has. */
export function forgetLostEntries(place: Place): void {
  const path = markerPath(place);
  if (!existsSync(path)) return;
  rmSync(path);
  syncDir(dirname(path));
}

export function lostEntriesError({ dataDir }: Place): HaplanError {
  return new HaplanError(
    "agent/lost-entries",
    `Cannot go on with the data in "${dataDir}": this member has lost entries that it had acknowledged, since the directory was ` +
      "put back to an older copy or its disk lost what it had synced; remove the member from the cluster, clear the directory and " +
      "add it as a new member (it then gets its data from the others)",
  );
}

function markerPath({ dataDir }: Place): string {
  return `${dataDir}/member/lost-entries`;
}
