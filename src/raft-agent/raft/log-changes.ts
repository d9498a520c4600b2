/** Changes of the log that keep the configuration in force and the durability state in step. */
import { assert } from "../../base/assert.ts";
import type { SnapshotMetadata } from "./configuration.ts";
import { decodeConfigurationEntry } from "./configuration-codec.ts";
import { type Entry, EntryKind, type LogIndex } from "./entry.ts";
import type { RaftState } from "./state.ts";

/** Appends an entry; a configuration takes effect at once (Raft §6, thesis §4.1). */
export function appendEntry(state: RaftState, entry: Entry): void {
  state.log.append(entry);
  if (entry.kind === EntryKind.configuration) {
    state.configurations.append(entry.index, decodeConfigurationEntry(entry.data).configuration);
  }
}

/** Removes `index` and everything after it, and reverts to the configuration in force before. */
export function truncateLog(state: RaftState, index: LogIndex): void {
  assert(index > state.commitIndex, `truncation at ${index} keeps the committed entries up to ${state.commitIndex}`);
  state.log.truncateFrom(index);
  state.configurations.truncateFrom(index);
  state.durability.truncateFrom(index);
}

/** Replaces the whole log with a received snapshot (Raft §7). */
export function replaceLog(state: RaftState, snapshot: SnapshotMetadata): void {
  const previous = state.configurations.current.configuration;
  const configuration = state.settings.rules.configurationAfterInstall(snapshot.configuration, previous);
  state.durability.replaceWithSnapshot(snapshot.index, state.commitIndex);
  state.log.reset(snapshot.index, snapshot.term);
  state.configurations.reset(snapshot.index, configuration);
  state.commitIndex = snapshot.index;
  state.deliveredIndex = snapshot.index;
  state.outbox.installSnapshot = { ...snapshot, configuration };
}

/** Raises the commit index, never beyond the log. */
export function commitUpTo(state: RaftState, index: LogIndex): void {
  if (index <= state.commitIndex) return;
  assert(
    index <= state.log.lastIndex,
    () => `commit index ${index} is inside the log, which ends at ${state.log.lastIndex}`,
  );
  state.commitIndex = index;
}
