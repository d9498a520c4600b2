/** The addresses of a cluster's members, from the disk of a stopped member. */
import { decodeConfigurationEntry } from "../../raft/configuration-codec.ts";
import { type Entry, EntryKind, type MemberId } from "../../raft/entry.ts";
import type { RestoredState } from "../../raft/state.ts";
import { CommandKind, createCommandCodec } from "../../state-machine/command.ts";
import { decodeJson, type MemberUpdateBody } from "../../state-machine/command-body.ts";
import { decodeMembershipContext, type Member } from "../../state-machine/membership.ts";

/**
 * Every peer URL of every member in the store or the log. The store lags behind the log by what it had not committed
 * when the process ended; which of the later entries are committed is unknown, so an address from before an update is
 * listed beside the one after it. Pure.
 */
export function peerUrlsByMember(
  stored: readonly Member[],
  { entries, appliedIndex = 0 }: Pick<RestoredState, "entries" | "appliedIndex">,
  self: MemberId,
): ReadonlyMap<MemberId, readonly string[]> {
  const urls = new Map<MemberId, readonly string[]>(stored.map(({ id, peerUrls }) => [id, peerUrls]));
  for (const entry of entries) {
    if (entry.index <= appliedIndex) continue;
    for (const { id, peerUrls } of namedMembers(entry, self)) {
      urls.set(id, [...new Set([...(urls.get(id) ?? []), ...peerUrls])]);
    }
  }
  return urls;
}

function namedMembers({ kind, data }: Entry, self: MemberId): readonly Pick<Member, "id" | "peerUrls">[] {
  if (kind === EntryKind.configuration) return decodeMembershipContext(decodeConfigurationEntry(data).context).added;
  if (data[0] !== CommandKind.memberUpdate) return [];
  const { id, peerUrls = [] } = decodeJson<MemberUpdateBody>(createCommandCodec(self).decode(data).body);
  return [{ id, peerUrls }];
}
