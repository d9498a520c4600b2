/**
 * What a member has on its disk, read without writing: for deciding which survivor of a lost quorum has the most.
 * The member may run; what is read then is its log at some moment.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { isDir } from "../../../base/durable-file.ts";
import { errorText, HaplanError } from "../../../base/haplan-error.ts";
import { readStoredFacts, type StoredFacts } from "../../mvcc/backend/read-stored-facts.ts";
import { awaitsSnapshot } from "../../raft/bootstrap.ts";
import type { Configuration } from "../../raft/configuration.ts";
import { decodeConfigurationEntry } from "../../raft/configuration-codec.ts";
import { EntryKind, type HardState, type LogIndex, type MemberId, type Term } from "../../raft/entry.ts";
import type { Member } from "../../state-machine/membership.ts";
import { MembershipStore } from "../../state-machine/membership-store.ts";
import { createNodeFileSystem } from "../../wal/node-file-system.ts";
import { type ReadLog, readLog } from "../../wal/read-log.ts";
import { isLockHeld } from "../../wal/socket-lock.ts";
import { lostEntriesMarker } from "./lost-entries.ts";
import { decodeIdentity } from "./member-identity.ts";

export type MemberDirectories = { readonly dataDir: string; readonly walDir: string };

export type MemberOnDisk = {
  readonly memberId: MemberId;
  readonly clusterId: string;
  /** Empty if it is not known yet. */
  readonly name: string;
  /** A process holds the log. */
  readonly running: boolean;
  readonly hardState: HardState;
  /** The first entry that is in the log itself; those before are in the store alone. */
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly appliedIndex: LogIndex;
  /** Of the store: what is in the log behind `appliedIndex` is not included. */
  readonly revision: number;
  /** The last one in the log, committed or not. */
  readonly configuration: Configuration;
  readonly members: readonly Pick<Member, "id" | "name" | "peerUrls">[];
  readonly storeBytes: number;
  /** Batches that a crash has cut; they were never acknowledged. */
  readonly torn: ReadLog["torn"];
  /** Why the data does not hold what the member has acknowledged; null if it does. */
  readonly damage: string | null;
};

const nothingStored: StoredFacts = { consistentIndex: 0, revision: 1, sizeBytes: 0, bucket: () => new Map() };
const noMembers: Configuration = { voters: [], votersOutgoing: [], learners: [] };

/** Null if there is no log. @throws HaplanError `data/unreadable`, `wal/newer-version`, `store/newer-version`, or the system's error */
export async function readMember({ dataDir, walDir }: MemberDirectories): Promise<MemberOnDisk | null> {
  if (!isDir(walDir)) return null;
  const log = await readLog(createNodeFileSystem(walDir), ".");
  if (log.metadata === null) {
    if (log.damage === null) return null;
    throw new HaplanError("data/unreadable", log.damage);
  }
  const { memberId, clusterId } = decodeIdentity(log.metadata);
  const { stored, damage: storeDamage } = readStore(`${dataDir}/member/snap`);
  const membership = membershipIn(stored);
  const { snapshot, entries } = log;
  const begin = snapshot?.index ?? 0;
  const last = entries.at(-1);
  return {
    memberId,
    clusterId,
    name: membership.find(({ id }) => id === memberId)?.name ?? "",
    running: await isLockHeld(`${walDir}/lock`),
    hardState: log.hardState ?? { term: 0, votedFor: null, commitIndex: 0 },
    firstIndex: begin + 1,
    lastIndex: last?.index ?? begin,
    lastTerm: last?.term ?? snapshot?.term ?? 0,
    appliedIndex: stored.consistentIndex,
    revision: stored.revision,
    configuration: lastConfiguration(log),
    members: membership,
    storeBytes: stored.sizeBytes,
    torn: log.torn,
    damage:
      log.damage ??
      storeDamage ??
      lostEntries(dataDir) ??
      (awaitsSnapshot(begin, stored.consistentIndex)
        ? `The store has entries up to ${stored.consistentIndex}, but the log begins after ${begin}`
        : null),
  };
}

function readStore(directory: string): { readonly stored: StoredFacts; readonly damage: string | null } {
  const path = `${directory}/store.mdb`;
  if (!existsSync(path) || statSync(path).size === 0) return { stored: nothingStored, damage: null };
  try {
    return { stored: readStoredFacts(path), damage: null };
  } catch (error) {
    if (error instanceof HaplanError && error.code === "store/newer-version") throw error;
    return { stored: nothingStored, damage: errorText(error) };
  }
}

function membershipIn({ bucket }: StoredFacts): MemberOnDisk["members"] {
  const membership = new MembershipStore({
    get: (name, key) => bucket(name).get(key),
    entries: (name) => [...bucket(name)],
    put: () => {},
    delete: () => {},
  });
  membership.load();
  return membership.list().map(({ id, name, peerUrls }) => ({ id, name, peerUrls }));
}

function lastConfiguration({ snapshot, entries }: ReadLog): Configuration {
  const last = entries.findLast(({ kind }) => kind === EntryKind.configuration);
  if (last !== undefined) return decodeConfigurationEntry(last.data).configuration;
  return snapshot?.configuration ?? noMembers;
}

function lostEntries(dataDir: string): string | null {
  const marker = lostEntriesMarker({ dataDir });
  return existsSync(marker) ? readFileSync(marker, "utf8").trim() : null;
}
