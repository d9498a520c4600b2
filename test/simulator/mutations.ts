/** The mutations that a mutant can apply, beside the core's safety rules. Only tests of the simulator set them. */

import type { Random } from "../../src/base/random.ts";
import type { WatchResponse } from "../../src/raft-agent/api/watch.ts";
import type { Ready } from "../../src/raft-agent/raft/ready.ts";
import type { SafetyRules } from "../../src/raft-agent/raft/safety-rules.ts";
import type { RecoveredWal } from "../../src/raft-agent/wal/open-wal.ts";
import type { Wal } from "../../src/raft-agent/wal/wal.ts";

export type Mutations = {
  readonly rules?: Partial<SafetyRules>;
  /** Changes what the run loop is told to do. */
  readonly ready?: (ready: Ready) => Ready;
  readonly wal?: (wal: Wal) => Pick<Wal, "append" | "pendingSinceMs">;
  /** Changes what recovery found. */
  readonly recovered?: (recovered: RecoveredWal, random: Random) => RecoveredWal;
  /** Says that everything applied is flushed. */
  readonly compactsUnflushed?: boolean;
  /** The store commits its content without the index that goes with it. */
  readonly storeForgetsIndex?: boolean;
  /** Reads run as soon as they are confirmed, whatever is applied. */
  readonly readsBeforeApplied?: boolean;
  /** Requests are numbered from the same number in each process. */
  readonly reusesRequestNumbers?: boolean;
  /** A change that is asked again is taken for another one. */
  readonly forgetsChanges?: boolean;
  /** Changes what a watcher is told. */
  readonly watched?: (response: WatchResponse) => readonly WatchResponse[];
  /** Watchers hear a while after the store's content was replaced that it was. */
  readonly tellsLateOfReplacement?: boolean;
  /** A renewal is answered although the log holds a shorter time. */
  readonly promisesUncleared?: boolean;
  /** Times are counted on the wall clock. */
  readonly countsOnWallClock?: boolean;
  /** New members vote one by one. */
  readonly addsVotersOneByOne?: boolean;
};
