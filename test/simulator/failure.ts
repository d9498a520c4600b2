/** Why a member stopped: an injected fault, or a bug. */
import { HaplanError } from "../../src/base/haplan-error.ts";
import type { Host } from "./host.ts";
import { olderVersion } from "./releases.ts";

/**
 * `disk`: a transient fault. `damaged`: it correctly rejects what is on its disk. `tooOld`: it correctly rejects what only
 * a newer release can read.
 */
export type Failure = "disk" | "damaged" | "tooOld" | "bug";

const damageCodes = new Set(["wal/damaged", "snapshot/damaged", "agent/snapshot-missing", "store/bad-snapshot"]);

export function failureOf(error: unknown, host: Host): Failure {
  if (isDiskError(error)) return "disk";
  if (host.wasFlipped && error instanceof HaplanError && damageCodes.has(error.code)) return "damaged";
  if (host.wasRolledBack && error instanceof HaplanError && error.code === "raft/lost-entries") return "damaged";
  if (host.version === olderVersion && error instanceof HaplanError && error.code === "command/unknown")
    return "tooOld";
  return "bug";
}

function isDiskError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return code === "EIO" || code === "ENOSPC" || isDiskError(error.cause);
}
