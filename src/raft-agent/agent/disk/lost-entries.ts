/**
 * A member that has lost acknowledged entries must not take part any more: it may have lost votes as well, and a
 * majority that counts it may not be one. It stops, and records in its data directory not to start again. See
 * docs/decisions/20261129-lost-entries.md.
 */
import { existsSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { syncDir, writeFileDurably } from "../../../base/durable-file.ts";
import { errorText, HaplanError } from "../../../base/haplan-error.ts";

type Place = { readonly dataDir: string };

/** Records why this member must not start again, if `error` reports lost entries. */
export function rememberLostEntries(place: Place, error: unknown): void {
  if (!(error instanceof HaplanError) || error.code !== "raft/lost-entries") return;
  // Without the record the leader would detect it again, as long as it leads.
  try {
    writeFileDurably(lostEntriesMarker(place), `${errorText(error)}\n`);
  } catch {}
}

/** @throws HaplanError `agent/lost-entries`: this member has detected lost entries before. */
export function assertNoLostEntries(place: Place): void {
  if (existsSync(lostEntriesMarker(place))) throw lostEntriesError(place);
}

/** The only remaining member decides alone: its data is the cluster's data. */
export function forgetLostEntries(place: Place): void {
  const path = lostEntriesMarker(place);
  if (!existsSync(path)) return;
  rmSync(path);
  syncDir(dirname(path));
}

export function lostEntriesError({ dataDir }: Place): HaplanError {
  return new HaplanError(
    "agent/lost-entries",
    `Cannot use the data in "${dataDir}": this member has lost entries that it had acknowledged, because the directory was ` +
      "restored from an older copy or its disk lost synced data; remove the member from the cluster, clear the directory and " +
      "add it as a new member (it then receives its data from the leader)",
  );
}

/** The record of the member that detected it. */
export function lostEntriesMarker({ dataDir }: Place): string {
  return `${dataDir}/member/lost-entries`;
}
