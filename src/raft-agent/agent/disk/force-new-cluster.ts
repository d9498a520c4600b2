/**
 * `--force-new-cluster`: the survivor of a cluster that has permanently lost its majority continues as a cluster of
 * one, with its data and its ids. A configuration of this member alone is appended after everything in its log, so
 * that nothing is dropped that a client may have been told is safe, and so that it is committed by this member's own
 * majority. From one member it grows like any cluster (docs/decisions/20261122-force-new-cluster.md).
 */
import { existsSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { ConnectionOptions } from "node:tls";
import { syncDir, writeFileDurably } from "../../../base/durable-file.ts";
import { HaplanError } from "../../../base/haplan-error.ts";
import type { AgentConfig } from "../../config/agent-config.ts";
import { type Configuration, membersOf } from "../../raft/configuration.ts";
import { decodeConfigurationEntry, encodeConfigurationEntry } from "../../raft/configuration-codec.ts";
import { EntryKind, type MemberId } from "../../raft/entry.ts";
import { tallyVotes } from "../../raft/quorum.ts";
import { safetyRules } from "../../raft/safety-rules.ts";
import type { RestoredState } from "../../raft/state.ts";
import type { Member } from "../../state-machine/membership.ts";
import type { Wal } from "../../wal/wal.ts";
import { askForCluster } from "../cluster-directory.ts";
import { peerUrlsByMember } from "./logged-members.ts";
import { assertNoLostEntries, forgetLostEntries } from "./lost-entries.ts";
import type { MemberIdentity } from "./member-identity.ts";
import { assertNotReplacedBy } from "./replaced-cluster.ts";

export type Survivor = {
  readonly identity: MemberIdentity;
  readonly restored: RestoredState;
  readonly wal: Wal;
  /** Those that the store knows; the log may name more. */
  readonly storedMembers: readonly Member[];
  readonly callingTls: ConnectionOptions | null;
};

export type ForcedStart = { readonly restored: RestoredState; readonly notices: readonly string[] };

/**
 * Applies the flag once: it is likely to stay in the unit, and would remove the new members at a later start. It takes
 * effect again after a start without it. @throws HaplanError `agent/force-new-cluster` when the cluster is alive, or
 * when this member has no usable data; `agent/lost-entries` when the flag no longer has an effect, and the data has
 * lost entries since
 */
export async function forceNewCluster(config: AgentConfig, survivor: Survivor): Promise<ForcedStart> {
  const { restored, identity, wal } = survivor;
  const done = markerPath(config);
  if (!config.forceNewCluster) {
    forgetMarker(done);
    return { restored, notices: [] };
  }
  if (existsSync(done)) {
    assertNoLostEntries(config);
    const notice = "--force-new-cluster no longer has an effect: this member is already a cluster of its own";
    return { restored, notices: [`${notice}; remove the flag (after a start without it, it takes effect again)`] };
  }
  const configuration = lastConfiguration(restored);
  if (!membersOf(configuration).includes(identity.memberId)) {
    throw rejection(
      "it has not received the cluster's data, or was removed from it; start another survivor with the flag",
    );
  }
  await assertLost(config, configuration, survivor);
  const alone = appendSoleConfiguration(restored, identity.memberId);
  await wal.append({ hardState: alone.hardState, entries: alone.entries.slice(-1), snapshot: null });
  forgetLostEntries(config);
  writeFileDurably(done, "--force-new-cluster was applied; it takes effect again after a start without it.\n");
  const others = membersOf(configuration).filter((id) => id !== identity.memberId);
  return { restored: alone, notices: [describe(identity, others)] };
}

/** The same log with one more entry, in a new term: from there on this member decides alone. Pure. */
export function appendSoleConfiguration(restored: RestoredState, self: MemberId): RestoredState {
  const { hardState, snapshot, entries } = restored;
  const term = hardState.term + 1;
  const index = snapshot.index + entries.length + 1;
  const configuration: Configuration = { voters: [self], votersOutgoing: [], learners: [] };
  const data = encodeConfigurationEntry({ configuration, context: new Uint8Array(0) });
  return {
    ...restored,
    hardState: { term, votedFor: self, commitIndex: index },
    entries: [...entries, { term, index, kind: EntryKind.configuration, data }],
  };
}

function lastConfiguration({ snapshot, entries }: RestoredState): Configuration {
  const last = entries.findLast(({ kind }) => kind === EntryKind.configuration);
  return last === undefined ? snapshot.configuration : decodeConfigurationEntry(last.data).configuration;
}

/** If there is a majority, with or without this member, a second cluster beside it would be a disaster. */
async function assertLost({ dataDir }: AgentConfig, configuration: Configuration, survivor: Survivor): Promise<void> {
  const { memberId: self, clusterId } = survivor.identity;
  const urls = peerUrlsByMember(survivor.storedMembers, survivor.restored, self);
  const others = membersOf(configuration)
    .filter((id) => id !== self)
    .map((id) => ({ id, peerUrls: urls.get(id) ?? [] }));
  assertReachable(others);
  const answers = await Promise.allSettled(others.map(({ peerUrls }) => askForCluster(peerUrls, survivor.callingTls)));
  assertNotReplacedBy(answers, { dataDir, clusterId });
  const present = others.filter((_, at) => {
    const answer = answers[at];
    return answer?.status === "fulfilled" && answer.value.clusterId === clusterId;
  });
  const isPresent = (id: MemberId): boolean => id === self || present.some((member) => member.id === id);
  if (present.length === 0 || tallyVotes(safetyRules.voterGroupsOf(configuration), isPresent) !== "won") return;
  const answering = present.map(({ id, peerUrls }) => `${id} at ${peerUrls.join()}`).join(" and ");
  throw rejection(`there is a majority with it, since ${answering} still responds; start it without the flag`);
}

/** A member without an address cannot be asked, and no response to an unsent request is no evidence of a loss. */
function assertReachable(others: readonly Pick<Member, "id" | "peerUrls">[]): void {
  const unknown = others.filter(({ peerUrls }) => peerUrls.length === 0).map(({ id }) => id);
  if (unknown.length === 0) return;
  const are = unknown.length === 1 ? "is" : "are";
  throw rejection(
    `it is unknown whether ${unknown.join(" and ")} ${are} lost, since the store does not have the peer URLs yet; ` +
      "start it once without the flag, and with the flag again once it serves reads",
  );
}

function describe({ memberId, clusterId }: MemberIdentity, others: readonly MemberId[]): string {
  const gone = others.length === 0 ? "there was no other member" : `without ${others.join(" and ")}`;
  return (
    `--force-new-cluster: member ${memberId} continues as the only member of cluster ${clusterId}, ${gone}; ` +
    "never start the others with their data again, add new members instead, and remove the flag"
  );
}

function markerPath({ dataDir }: AgentConfig): string {
  return `${dataDir}/member/forced-new-cluster`;
}

function forgetMarker(path: string): void {
  if (!existsSync(path)) return;
  rmSync(path);
  syncDir(dirname(path));
}

function rejection(why: string): HaplanError {
  return new HaplanError("agent/force-new-cluster", `Cannot make this member a cluster of its own: ${why}`);
}
