/** What the checkers are told while a cluster runs. */
import type { SnapshotMetadata } from "../../src/raft-agent/raft/configuration.ts";
import type { Entry, LogIndex, MemberId } from "../../src/raft-agent/raft/entry.ts";
import type { Ready } from "../../src/raft-agent/raft/ready.ts";

export type Observer = {
  /** A process begins with what recovery found on its disk. */
  started?(member: MemberId, snapshot: SnapshotMetadata, entries: readonly Entry[]): void;
  /** Before the run loop carries it out. */
  ready?(member: MemberId, ready: Ready, term: number): void;
  /** Its state machine has applied the entry at `index`; `revision` is the store's afterwards. */
  applied?(member: MemberId, index: LogIndex, revision: number): void;
};
