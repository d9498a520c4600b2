/**
 * A restore or a recovery rebuilds a cluster in place of another one. A member of the former cluster that returns, with whatever
 * data, learns that from the first member of the new one that it reaches. It stops, and records that it must not start again.
 */
import { existsSync, readFileSync } from "node:fs";
import { writeFileDurably } from "../../../base/durable-file.ts";
import { HaplanError } from "../../../base/haplan-error.ts";
import type { RunningCluster } from "./member-identity.ts";

/** Records why this member must not start again. */
export function rememberReplacement(dataDir: string, reason: string): void {
  // Without the record the members of the new cluster would report it again.
  try {
    writeFileDurably(markerPath(dataDir), `${reason}\n`);
  } catch {}
}

/** @throws HaplanError `agent/replaced`: this member has learned before that its cluster was replaced. */
export function assertNotReplaced(dataDir: string): void {
  const marker = markerPath(dataDir);
  if (existsSync(marker)) throw replacedError(dataDir, readFileSync(marker, "utf8").trim());
}

/** @throws HaplanError `agent/replaced` if one of those that answer was rebuilt in place of this cluster. */
export function assertNotReplacedBy(
  answers: readonly PromiseSettledResult<RunningCluster>[],
  { dataDir, clusterId }: { readonly dataDir: string; readonly clusterId: string },
): void {
  for (const answer of answers) {
    if (answer.status === "rejected" || answer.value.replaces?.includes(clusterId) !== true) continue;
    throw replacedError(dataDir, `cluster ${clusterId} was replaced by cluster ${answer.value.clusterId}`);
  }
}

/**
 * A founder without data, whose first start is that of a cluster beside one that was rebuilt: with another token, a member that was
 * wiped would found it. @throws HaplanError `agent/rebuilt-beside`
 */
export function assertNotBesideRebuilt(
  answers: readonly PromiseSettledResult<RunningCluster>[],
  clusterId: string,
): void {
  for (const answer of answers) {
    if (answer.status === "rejected" || answer.value.replaces === undefined) continue;
    if (answer.value.clusterId === clusterId) continue;
    throw new HaplanError(
      "agent/rebuilt-beside",
      `Cannot found cluster ${clusterId}: a member of --initial-cluster is one of cluster ${answer.value.clusterId} by now, which was ` +
        "rebuilt in a restore or a recovery; to join it, add this machine as a new member (haplan apply)",
    );
  }
}

export function replacedError(dataDir: string, reason: string): HaplanError {
  return new HaplanError(
    "agent/replaced",
    `Cannot use the data in "${dataDir}": its cluster was replaced by another one, which serves the clients now (${reason}). Nothing ` +
      "in it was changed. To bring the machine back, move the directory away and add it as a new member (haplan apply)",
  );
}

function markerPath(dataDir: string): string {
  return `${dataDir}/member/replaced`;
}
