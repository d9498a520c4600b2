/** Describes a state of the log. */
import { assert } from "../../base/assert.ts";
import type { SnapshotMetadata } from "./configuration.ts";
import type { LogIndex } from "./entry.ts";
import type { RaftState } from "./state.ts";

/** The position in the log of a snapshot of the state machine taken at `index`. */
export function snapshotMetadataAt(state: RaftState, index: LogIndex): SnapshotMetadata {
  const term = state.log.termAt(index);
  assert(term !== null && index <= state.commitIndex, `index ${index} is committed and not compacted away`);
  return { index, term, configuration: state.configurations.at(index) };
}
