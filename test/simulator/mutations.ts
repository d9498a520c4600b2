/** The mutations that a mutant can apply, beside the core's safety rules. Only tests of the simulator set them. */

import type { Random } from "../../src/base/random.ts";
import type { WatchResponse } from "../../src/raft-agent/api/watch.ts";
import type { Ready } from "../../src/raft-agent/raft/ready.ts";
import type { SafetyRules } from "../../src/raft-agent/raft/safety-rules.ts";
import type { RecoveredWal } from "../../src/raft-agent/wal/open-wal.ts";
import type { Wal } from "../../src/raft-agent/wal/wal.ts";

export type Mutations = {
  readonly rules?: Partial<SafetyRules>;
  /** Changes the run loop's duties. */
  readonly ready?: (ready: Ready) => Ready;
  readonly wal?: (wal: Wal) => Pick<Wal, "append" | "pendingSinceMs">;
  /** Changes the result of recovery. */
  readonly recovered?: (recovered: RecoveredWal, random: Random) => RecoveredWal;
  /** Reports everything applied as flushed. */
  readonly compactsUnflushed?: boolean;
  /** The store commits its content without the corresponding index. */
  readonly storeForgetsIndex?: boolean;
  /** Reads run as soon as they are confirmed, whatever is applied. */
  readonly readsBeforeApplied?: boolean;
  /** Every process numbers its requests from the same start. */
  readonly reusesRequestNumbers?: boolean;
  /** A retried change is mistaken for a new one. */
  readonly mistakesRetriedChanges?: boolean;
  /** Changes the responses to a watcher. */
  readonly watched?: (response: WatchResponse) => readonly WatchResponse[];
  /** Watchers are notified late that the store's content was replaced. */
  readonly notifiesLateOfReplacement?: boolean;
  /** A renewal is answered although the log contains a shorter TTL. */
  readonly promisesUncleared?: boolean;
  /** TTLs are measured on the wall clock. */
  readonly countsOnWallClock?: boolean;
  /** A new kind of entry is proposed before the cluster has agreed on its version. */
  readonly proposesEarly?: boolean;
  /** The leader raises the version without regard to the other members'. */
  readonly agreesOnHighest?: boolean;
  /** New members are promoted one by one. */
  readonly addsVotersOneByOne?: boolean;
};
