/**
 * Which version of the protocol between members an entry needs. Members of two releases share a cluster during an upgrade,
 * and a member that cannot read an entry has to stop. So a kind of command that came with a version is proposed only once
 * the cluster has agreed on that version through the log, which takes that every member speaks it (etcd's rule for its
 * cluster version). Snapshots hold what entries have written, so the same rule keeps new fields out of them.
 */
import { CommandKind } from "./command.ts";
import { commandTable } from "./command-table.ts";

/** What a cluster has agreed on before it says anything else. */
export const firstProtocolVersion = 1;

export type EntryVersions = {
  /** The highest version of the protocol that this member speaks: it knows the kinds of commands up to it. */
  readonly spoken: number;
  /** The version that a kind of command came with. */
  since(kind: CommandKind): number;
};

const kinds: readonly CommandKind[] = Object.values(CommandKind);

export const entryVersions: EntryVersions = {
  spoken: Math.max(...kinds.map((kind) => commandTable[kind].since)),
  since: (kind) => commandTable[kind].since,
};

export function knowsKind(versions: EntryVersions, kind: CommandKind): boolean {
  return versions.since(kind) <= versions.spoken;
}

/**
 * The version to agree on where `lowest` is the lowest that a member speaks. No higher than a kind of command needs: once it
 * is agreed on, a release that does not speak it cannot come back.
 */
export function versionToAgreeOn(lowest: number, { since }: EntryVersions): number {
  const needed = kinds.filter((kind) => kind !== CommandKind.protocolVersion).map(since);
  return Math.max(firstProtocolVersion, ...needed.filter((version) => version <= lowest));
}

/** For errors and logs, e.g. `leaseGrant`. */
export function kindName(kind: CommandKind): string {
  return Object.entries(CommandKind).find(([, number]) => number === kind)?.[0] ?? String(kind);
}
