/** Where the members of a cluster may be reached, as a member's disk has it while the member is stopped. */
import { decodeConfigurationEntry } from "../../raft/configuration-codec.ts";
import { type Entry, EntryKind, type MemberId } from "../../raft/entry.ts";
import type { RestoredState } from "../../raft/state.ts";
import { CommandKind, createCommandCodec } from "../../state-machine/command.ts";
import { decodeJson, type MemberUpdateBody } from "../../state-machine/command-body.ts";
import { decodeMembershipContext, type Member } from "../../state-machine/membership.ts";

/**
 * Every peer URL of every member that the store or the log names. The store is behind the log by what it had not
 * committed when the process ended; of the entries behind it nothing tells which of them are committed, so an address
 * from before an update stays beside the one from after it. Pure.
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
