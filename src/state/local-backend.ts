/**
 * The state on disk: `.haplan/<cluster>/state.json`, private to the user, replaced atomically; the previous one is kept
 * as `state.json.backup`. The lock is beside it.
 */
import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { makeDirDurably, syncDir, writeFileDurably } from "../base/durable-file.ts";
import { errorText, HaplanError, systemErrorCode } from "../base/haplan-error.ts";
import { acquireLock, forceUnlock, lockHolder } from "./lock.ts";
import type { StateBackend } from "./state-backend.ts";

/** The directory of a cluster, below haplan's working directory. */
export function stateDir(root: string, clusterName: string): string {
  return join(root, ".haplan", clusterName);
}

/** A new identity for a cluster; created once in its life. */
export function newLineage(): string {
  return randomUUID();
}

/** The directory of a cluster's local lock. */
export function lockDir(directory: string): string {
  return join(directory, "lock");
}

export function createLocalBackend({
  directory,
  clock,
}: {
  readonly directory: string;
  readonly clock: Clock;
}): StateBackend {
  const path = join(directory, "state.json");
  const backupPath = `${path}.backup`;
  const locks = lockDir(directory);
  return {
    place: path,
    advice: {
      text: "If the previous state is intact, restore it:",
      commands: [["state", "push", "-force", backupPath]],
    },
    read: async () => {
      const text = readIfThere(path);
      return text === null ? null : { text, version: versionOf(text) };
    },
    write: async ({ text, expected, backup }) => {
      const before = readIfThere(path);
      if ((before === null ? null : versionOf(before)) !== expected) throw conflict(path);
      try {
        makeDirDurably(directory);
        if (backup !== null) writeFileDurably(backupPath, backup);
        writeFileDurably(path, text);
      } catch (error) {
        throw unwritable(path, error);
      }
    },
    remove: async () => {
      // The backup is removed first: a crash in between leaves the state, not an older one.
      for (const file of [backupPath, path]) rmSync(file, { force: true });
      if (existsSync(directory)) syncDir(directory);
    },
    acquireLock: (options) => lockOnDisk({ ...options, directory: locks, clock }, directory),
    lockHolder: async () => lockHolder(locks, clock),
    forceUnlock: async (lockId) => forceUnlock(locks, lockId, clock),
  };
}

async function lockOnDisk(
  request: Parameters<typeof acquireLock>[0],
  directory: string,
): ReturnType<typeof acquireLock> {
  try {
    return await acquireLock(request);
  } catch (error) {
    if (error instanceof HaplanError) throw error;
    const message = `Cannot write to the directory of the cluster\n${directory}: ${errorText(error)}\nIt contains the state and the machines. Free some space or make it writable, or run haplan in another directory. Nothing was changed.`;
    throw new HaplanError("state/unwritable", message, { cause: error });
  }
}

function versionOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function unwritable(path: string, error: unknown): HaplanError {
  const message = `Cannot write the state\n${path}: ${errorText(error)}\nThe previous state was kept. Free some space or make the file writable, and run the same command again: existing resources are detected and not created again.`;
  return new HaplanError("state/unwritable", message, { cause: error });
}

function conflict(path: string): HaplanError {
  return new HaplanError(
    "state/conflict",
    `The state has changed since it was read\n${path}: another run has written it. Nothing was overwritten. Plan again.`,
  );
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw new HaplanError("state/unreadable", `Cannot read the state\n${path}: ${errorText(error)}`, { cause: error });
  }
}
