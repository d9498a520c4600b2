/**
 * Two releases of the agent in one cluster. They are the same program, except that the older one does not know the kind of
 * command that the newer one introduced: here, compaction of the keys' history.
 */
import { CommandKind } from "../../src/raft-agent/state-machine/command.ts";
import { type EntryVersions, entryVersions } from "../../src/raft-agent/state-machine/entry-versions.ts";

export const olderVersion = 1;
export const newerVersion = 2;
export const newKind: CommandKind = CommandKind.compact;

/** The kinds known to a program that supports `version`, in a run with both releases. */
export function versionsOfRelease(version: number): EntryVersions {
  return { supported: version, since: (kind) => (kind === newKind ? newerVersion : entryVersions.since(kind)) };
}
