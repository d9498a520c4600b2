/** The events that the checkers observe in a running cluster. */

import type { Store } from "../../src/raft-agent/mvcc/store.ts";
import type { SnapshotMetadata } from "../../src/raft-agent/raft/configuration.ts";
import type { Entry, LogIndex, MemberId } from "../../src/raft-agent/raft/entry.ts";
import type { Ready } from "../../src/raft-agent/raft/ready.ts";

export type Observer = {
  /** A process starts with what recovery found on its disk. */
  started?(member: MemberId, snapshot: SnapshotMetadata, entries: readonly Entry[]): void;
  /** Before the run loop executes it. */
  ready?(member: MemberId, ready: Ready, term: number): void;
  /** Its state machine has applied the entry at `index`; `store` is the state afterwards. */
  applied?(member: MemberId, index: LogIndex, store: Store): void;
};
