/**
 * What a seed decides before the run: the size of the cluster, the quality of the network and the disks, and the
 * faults and their frequency. Each seed biases a few parameters strongly and disables others, since bugs hide in
 * combinations.
 */
import type { Random } from "../../src/base/random.ts";
import type { RaftSettings } from "../../src/raft-agent/raft/options.ts";

export type NetworkProfile = {
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly lossChance: number;
  readonly duplicateChance: number;
  readonly reorderChance: number;
};

export type DiskProfile = {
  readonly syncMs: number;
  readonly syncJitterMs: number;
  readonly segmentBytes: number;
  /** The interval of the store's commits. */
  readonly storeCommitMs: number;
};

export const faultKinds = [
  "powerLoss",
  "kill",
  "gracefulRestart",
  "powerLossEverywhere",
  "partition",
  "isolateLeader",
  "oneWayCut",
  "pairCut",
  "breakConnection",
  "slowLink",
  "lossBurst",
  "diskStall",
  "syncFailure",
  "diskFull",
  "bitFlip",
  "wipe",
  "pause",
  "transfer",
  "resize",
  "replace",
  "compact",
  "clockJump",
  "rollBack",
] as const;
export type FaultKind = (typeof faultKinds)[number];

export type Profile = {
  readonly members: 3 | 5 | 7;
  /** The duration of the part with faults. */
  readonly durationMs: number;
  readonly clients: number;
  readonly keys: number;
  readonly thinkMs: number;
  readonly valueBytesMax: number;
  readonly clientTimeoutMs: number;
  readonly network: NetworkProfile;
  readonly disk: DiskProfile;
  readonly raft: Partial<RaftSettings> & Pick<RaftSettings, "electionTimeoutTicks" | "heartbeatTicks">;
  readonly retention: { readonly snapshotCount: number; readonly catchupEntries: number; readonly bytesMax: number };
  /** Each with several interests on one stream. */
  readonly watchers: number;
  readonly leaseHolders: number;
  /** How often a client, or a member that has sent a request to another, gets no response to an executed request. */
  readonly answerLossChance: number;
  readonly faultEveryMs: number;
  /** A crashed member restarts within this time. */
  readonly restartMsMax: number;
  /** A partition ends within this time. */
  readonly cutMsMax: number;
  /** How often the network is partitioned between old and new voters during a change. */
  readonly cutAtChangeChance: number;
  readonly weights: Readonly<Record<FaultKind, number>>;
  /** Members of two releases, upgraded and downgraded one at a time. */
  readonly mixesReleases: boolean;
};

/** The frequencies of faults in every run, when they are neither biased nor disabled. */
const commonWeights: Readonly<Record<FaultKind, number>> = {
  powerLoss: 8,
  kill: 8,
  gracefulRestart: 2,
  powerLossEverywhere: 1,
  partition: 6,
  isolateLeader: 4,
  oneWayCut: 4,
  pairCut: 3,
  breakConnection: 6,
  slowLink: 4,
  lossBurst: 3,
  diskStall: 4,
  syncFailure: 1,
  diskFull: 1,
  bitFlip: 1,
  wipe: 1,
  pause: 4,
  transfer: 4,
  resize: 3,
  replace: 2,
  compact: 4,
  clockJump: 2,
  // A member that lost acknowledged data breaks consensus when others fail as well before it is detected.
  rollBack: 0,
};

export function drawProfile(random: Random, bias: Partial<Profile> = {}): Profile {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const heartbeatTicks = pick([2, 4, 10]);
  const profile: Profile = {
    members: pick([3, 3, 5, 5, 7]),
    durationMs: pick([15_000, 25_000, 40_000]),
    clients: pick([2, 4, 6]),
    keys: pick([1, 3, 8]),
    thinkMs: pick([5, 30, 100]),
    valueBytesMax: pick([8, 60, 700]),
    clientTimeoutMs: pick([600, 2_000, 5_000]),
    network: {
      delayMs: pick([0.1, 0.5, 3, 10]),
      jitterMs: pick([0.1, 2, 15, 40]),
      lossChance: pick([0, 0, 0.01, 0.05, 0.15]),
      duplicateChance: pick([0, 0, 0.02, 0.1]),
      reorderChance: pick([0, 0, 0.05, 0.2]),
    },
    disk: {
      syncMs: pick([0.05, 0.5, 3]),
      syncJitterMs: pick([0.1, 2, 20]),
      segmentBytes: pick([4_096, 16_384, 65_536]),
      storeCommitMs: pick([20, 100, 1_000]),
    },
    raft: {
      electionTimeoutTicks: heartbeatTicks * pick([5, 10]),
      heartbeatTicks,
      preVote: random.below(8) !== 0,
      checkQuorum: random.below(8) !== 0,
      maxAppendBytes: pick([1, 400, 4_000, 1_000_000]),
      maxInflightMessages: pick([2, 16, 256]),
      maxCommittedBytes: pick([300, 10_000, 1_000_000]),
      maxLearnerLagEntries: pick([5, 50]),
    },
    retention: {
      snapshotCount: pick([10, 50, 200]),
      catchupEntries: pick([2, 10, 50]),
      bytesMax: pick([20_000, 1_000_000]),
    },
    faultEveryMs: pick([150, 500, 1_500]),
    restartMsMax: pick([300, 4_000]),
    cutMsMax: pick([500, 6_000]),
    cutAtChangeChance: pick([0, 0.3]),
    weights: drawWeights(random),
    watchers: pick([0, 1, 2]),
    leaseHolders: pick([0, 2, 4]),
    answerLossChance: pick([0, 0, 0.05, 0.2]),
    mixesReleases: false,
  };
  return { ...profile, ...bias };
}

/** A third of the fault kinds is disabled, some are three times as frequent. */
function drawWeights(random: Random): Record<FaultKind, number> {
  const weights = { ...commonWeights };
  for (const kind of faultKinds) {
    const lot = random.below(9);
    if (lot < 3) weights[kind] = 0;
    else if (lot === 8) weights[kind] *= 3;
  }
  return weights;
}
