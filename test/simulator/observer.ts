/** What the checkers are told while a cluster runs. */

import type { Store } from "../../src/raft-agent/mvcc/store.ts";
import type { SnapshotMetadata } from "../../src/raft-agent/raft/configuration.ts";
import type { Entry, LogIndex, MemberId } from "../../src/raft-agent/raft/entry.ts";
import type { Ready } from "../../src/raft-agent/raft/ready.ts";

export type Observer = {
  /** A process begins with what recovery found on its disk. */
  started?(member: MemberId, snapshot: SnapshotMetadata, entries: readonly Entry[]): void;
  /** Before the run loop carries it out. */
  ready?(member: MemberId, ready: Ready, term: number): void;
  /** Its state machine has applied the entry at `index`; `store` is as it is afterwards. */
  applied?(member: MemberId, index: LogIndex, store: Store): void;
};
