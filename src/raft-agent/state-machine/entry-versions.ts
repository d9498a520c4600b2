/**
 * The protocol version that each entry requires. Members of two releases share a cluster during an upgrade, and a
 * member that cannot read an entry has to stop. So a kind of command is proposed only once the cluster has agreed on
 * its version through the log, which requires that every member supports it (etcd's rule for its cluster version).
 * Snapshots contain what entries have written, so the same rule keeps new fields out of them.
 */
import { CommandKind } from "./command.ts";
import { commandTable } from "./command-table.ts";

/** The version of a cluster that has not agreed on another one. */
export const firstProtocolVersion = 1;

export type EntryVersions = {
  /** The highest protocol version that this member supports: it knows the kinds of commands up to it. */
  readonly supported: number;
  /** The version that introduced a kind of command. */
  since(kind: CommandKind): number;
};

const kinds: readonly CommandKind[] = Object.values(CommandKind);

export const entryVersions: EntryVersions = {
  supported: Math.max(...kinds.map((kind) => commandTable[kind].since)),
  since: (kind) => commandTable[kind].since,
};

export function supportsKind(versions: EntryVersions, kind: CommandKind): boolean {
  return versions.since(kind) <= versions.supported;
}

/**
 * The version to agree on when `lowest` is the lowest maximum of all members. No higher than a kind of command
 * requires: once it is agreed on, a release that does not support it cannot come back.
 */
export function versionToAgreeOn(lowest: number, { since }: EntryVersions): number {
  const needed = kinds.filter((kind) => kind !== CommandKind.protocolVersion).map(since);
  return Math.max(firstProtocolVersion, ...needed.filter((version) => version <= lowest));
}

/** For errors and logs, e.g. `leaseGrant`. */
export function kindName(kind: CommandKind): string {
  return Object.entries(CommandKind).find(([, number]) => number === kind)?.[0] ?? String(kind);
}
