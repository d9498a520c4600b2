/**
 * The mutants, each of which the simulator has to detect. The first ones break one of the core's safety rules, the
 * others the run loop, the log, the store or the operator.
 */
import { type RuleMutant, ruleMutants } from "../raft-core/mutants.ts";
import type { Mutations } from "./mutations.ts";
import { type FaultKind, faultKinds, type Profile } from "./profile.ts";
import { watchMutants } from "./watch-mutants.ts";

export type Mutant = {
  readonly mutations: Mutations;
  /** Biases the profile to where the bug can show; the seed decides the rest. */
  readonly bias: Partial<Profile>;
};

/** Each is detected within this many seeds, from 1 on. */
export const mutantSeedsMax = 200;

const noFaults = Object.fromEntries(faultKinds.map((kind) => [kind, 0])) as Record<FaultKind, number>;
const only = (weights: Partial<Record<FaultKind, number>>): Record<FaultKind, number> => ({ ...noFaults, ...weights });

const quickNetwork: Profile["network"] = {
  delayMs: 0.5,
  jitterMs: 2,
  lossChance: 0,
  duplicateChance: 0.02,
  reorderChance: 0.05,
};

/** Messages take so long that much can happen between two of them. */
const slowNetwork: Profile["network"] = { ...quickNetwork, delayMs: 10, jitterMs: 40, lossChance: 0.15 };

const quickDisk: Profile["disk"] = { syncMs: 0.5, syncJitterMs: 2, segmentBytes: 16_384, storeCommitMs: 100 };

/** Parts that are unrelated to these bugs. */
const plain: Partial<Profile> = { watchers: 0, leaseHolders: 0, answerLossChance: 0 };

/** Clients hardly pause, and faults are just as frequent. */
const restless: Partial<Profile> = { ...plain, thinkMs: 5, faultEveryMs: 150, restartMsMax: 300, cutMsMax: 500 };

/** A busy small cluster. */
const busy: Partial<Profile> = {
  ...restless,
  members: 3,
  durationMs: 10_000,
  clients: 4,
  keys: 3,
  valueBytesMax: 60,
  clientTimeoutMs: 600,
  network: quickNetwork,
  disk: quickDisk,
  raft: { electionTimeoutTicks: 20, heartbeatTicks: 4, maxLearnerLagEntries: 50 },
};

/** Members of two releases; the newer one compacts often. */
const mixedReleases: Partial<Profile> = {
  ...busy,
  mixesReleases: true,
  weights: only({ compact: 8, transfer: 2, kill: 2 }),
};

/** Frequent power losses with slow disks and quick restarts. */
const powerCuts: Partial<Profile> = {
  ...busy,
  disk: { ...quickDisk, syncMs: 3, syncJitterMs: 40 },
  weights: only({ powerLoss: 8, powerLossEverywhere: 2, isolateLeader: 3, transfer: 2, partition: 2 }),
};

const hastyElections: Profile["raft"] = {
  electionTimeoutTicks: 10,
  heartbeatTicks: 2,
  preVote: false,
  checkQuorum: false,
  maxAppendBytes: 1,
  maxInflightMessages: 2,
  maxLearnerLagEntries: 50,
};

/** Frequent leader changes, with entries sent one by one. */
const changingLeaders: Partial<Profile> = {
  ...restless,
  members: 5,
  valueBytesMax: 700,
  network: slowNetwork,
  raft: hastyElections,
  weights: only({ kill: 2, partition: 6, isolateLeader: 12, oneWayCut: 3 }),
};

/** Members vote for one candidate, lose power, and get a request of another, partitioned from the first. */
const forgottenVotes: Partial<Profile> = {
  ...powerCuts,
  durationMs: 20_000,
  faultEveryMs: 60,
  restartMsMax: 60,
  cutMsMax: 2_000,
  disk: { ...quickDisk, syncMs: 30, syncJitterMs: 100 },
  raft: hastyElections,
  weights: only({ powerLoss: 8, pairCut: 3 }),
};

/** The cluster grows and shrinks while the network is partitioned between old and new voters. */
const changingVoters: Partial<Profile> = {
  ...plain,
  faultEveryMs: 500,
  cutAtChangeChance: 1,
  weights: only({ resize: 6, partition: 2, isolateLeader: 1, kill: 1 }),
};

/** The same, with enough time between two messages for a partition in between. */
const slowlyChangingVoters: Partial<Profile> = {
  ...changingVoters,
  members: 7,
  durationMs: 40_000,
  clients: 2,
  thinkMs: 30,
  faultEveryMs: 700,
  cutMsMax: 3_000,
  network: { ...slowNetwork, lossChance: 0 },
  weights: only({ resize: 1 }),
};

/** New machines replace old ones, and receive a snapshot each. */
const newMachines: Partial<Profile> = {
  ...changingVoters,
  members: 3,
  cutAtChangeChance: 0.3,
  retention: { snapshotCount: 10, catchupEntries: 2, bytesMax: 20_000 },
  weights: only({ resize: 3, replace: 3, wipe: 2, partition: 3, isolateLeader: 3, kill: 3 }),
};

/** The same, with leader changes while a response is sent. */
const lostAnswers: Partial<Profile> = {
  ...newMachines,
  network: { ...slowNetwork, lossChance: 0.3 },
  weights: only({ replace: 4, resize: 4, isolateLeader: 6, kill: 3 }),
};

/** All clients read one key through all members, while leadership moves. */
const busyReads: Partial<Profile> = {
  ...busy,
  keys: 1,
  clients: 6,
  disk: { ...quickDisk, syncMs: 3, syncJitterMs: 20 },
  weights: only({ transfer: 4, slowLink: 1 }),
};

/** Leaders are partitioned, do not notice, and keep responding. */
const deposedLeaders: Partial<Profile> = {
  ...busyReads,
  cutMsMax: 3_000,
  raft: { ...busy.raft!, checkQuorum: false },
  weights: only({ isolateLeader: 6, partition: 3, transfer: 1 }),
};

/** No other faults: see `rollBack` in profile.ts. No snapshot repairs a member that lacks entries. */
const rolledBack: Partial<Profile> = {
  ...busy,
  durationMs: 15_000,
  thinkMs: 30,
  retention: { snapshotCount: 100_000, catchupEntries: 50_000, bytesMax: 1_000_000_000 },
  weights: only({ rollBack: 1 }),
};

/** Watchers of a cluster whose membership changes. */
const watched: Partial<Profile> = {
  ...busy,
  durationMs: 5_000,
  watchers: 1,
  weights: only({ kill: 2, transfer: 1 }),
};

/** Followers lag so far that they need a snapshot, while they serve watchers. */
const watchedSnapshots: Partial<Profile> = {
  ...busy,
  watchers: 2,
  disk: { ...quickDisk, syncMs: 3, syncJitterMs: 100 },
  retention: { snapshotCount: 10, catchupEntries: 2, bytesMax: 20_000 },
  weights: only({ pause: 6, partition: 6, pairCut: 6 }),
};

/** Leases of clients that renew at half the TTL, while leadership moves. */
const heldLeases: Partial<Profile> = {
  ...busy,
  durationMs: 40_000,
  clients: 1,
  thinkMs: 100,
  watchers: 0,
  leaseHolders: 12,
  faultEveryMs: 1_500,
  weights: only({ transfer: 3, kill: 1, clockJump: 1 }),
};

const watchFlaw = (name: keyof typeof watchMutants): Mutant => ({
  mutations: { watched: watchMutants[name] },
  bias: watched,
});

const flaw = (name: RuleMutant, bias: Partial<Profile>): Mutant => ({
  mutations: { rules: ruleMutants[name] },
  bias,
});

export const mutants: Readonly<Record<string, Mutant>> = {
  "stale-term-accepted": flaw("staleTermAccepted", changingLeaders),
  "two-votes-in-one-term": flaw("twoVotesInOneTerm", changingLeaders),
  "vote-without-up-to-date-check": flaw("voteWithoutUpToDateCheck", changingLeaders),
  "vote-sent-before-persisted": flaw("voteSentBeforePersisted", forgottenVotes),
  "acknowledged-before-persisted": flaw("acknowledgedBeforePersisted", powerCuts),
  "leader-counts-unsynced-entries": flaw("leaderCountsUnsyncedEntries", powerCuts),
  "older-term-committed-by-counting": flaw("olderTermCommittedByCounting", changingLeaders),
  "conflict-not-truncated": flaw("conflictNotTruncated", changingLeaders),
  "lost-entries-ignored": flaw("lostEntriesIgnored", rolledBack),
  "joint-decided-by-new-voters-only": flaw("jointDecidedByNewVotersOnly", changingVoters),
  "joint-decided-by-old-voters-only": flaw("jointDecidedByOldVotersOnly", slowlyChangingVoters),
  "learner-counted": flaw("learnerCounted", newMachines),
  "snapshot-without-configuration": flaw("snapshotWithoutConfiguration", newMachines),
  "read-before-own-term-committed": flaw("readBeforeOwnTermCommitted", busyReads),
  "read-without-round": flaw("readWithoutRound", deposedLeaders),
  "driver-acknowledges-before-fsync": {
    mutations: {
      wal: (wal) => ({
        append: (batch) => {
          wal.append(batch).catch(() => {});
          return Promise.resolve();
        },
        pendingSinceMs: () => wal.pendingSinceMs(),
      }),
    },
    bias: powerCuts,
  },
  "driver-sends-everything-at-once": {
    mutations: {
      ready: (ready) => ({
        ...ready,
        messages: [...ready.messages, ...ready.messagesAfterPersist],
        messagesAfterPersist: [],
      }),
    },
    bias: powerCuts,
  },
  "hard-state-written-only-with-entries": {
    mutations: {
      wal: (wal) => ({
        append: (batch) =>
          batch.entries.length === 0 && batch.snapshot === null ? Promise.resolve() : wal.append(batch),
        pendingSinceMs: () => wal.pendingSinceMs(),
      }),
    },
    bias: powerCuts,
  },
  "torn-tail-takes-acknowledged-write": {
    mutations: {
      recovered: (recovered) => {
        if (recovered.repaired.length === 0 || recovered.entries.length === 0) return recovered;
        const entries = recovered.entries.slice(0, -1);
        const last = (recovered.snapshot?.index ?? 0) + entries.length;
        const { hardState } = recovered;
        const commitIndex = Math.min(hardState?.commitIndex ?? 0, last);
        return { ...recovered, entries, hardState: hardState && { ...hardState, commitIndex } };
      },
    },
    bias: powerCuts,
  },
  "log-compacted-before-store-flushed": {
    mutations: { compactsUnflushed: true },
    bias: { ...powerCuts, retention: newMachines.retention! },
  },
  "store-forgets-its-index": { mutations: { storeForgetsIndex: true }, bias: powerCuts },
  "read-answered-before-applied": { mutations: { readsBeforeApplied: true }, bias: busyReads },
  "request-numbers-reused-after-restart": { mutations: { reusesRequestNumbers: true }, bias: powerCuts },
  "change-made-twice": { mutations: { mistakesRetriedChanges: true }, bias: lostAnswers },
  "watch-event-twice": watchFlaw("eventTwice"),
  "watch-event-lost": watchFlaw("eventLost"),
  "watch-revision-split": watchFlaw("revisionSplit"),
  "watch-events-out-of-order": watchFlaw("outOfOrder"),
  "watch-progress-ahead": watchFlaw("progressAhead"),
  "watch-previous-value-missing": watchFlaw("previousMissing"),
  "watch-key-created-anew": watchFlaw("createdAnew"),
  "watchers-told-late-of-a-snapshot": { mutations: { notifiesLateOfReplacement: true }, bias: watchedSnapshots },
  "lease-promised-before-cleared": { mutations: { promisesUncleared: true }, bias: heldLeases },
  "leases-counted-on-wall-clock": { mutations: { countsOnWallClock: true }, bias: heldLeases },
  "new-kind-proposed-before-agreement": { mutations: { proposesEarly: true }, bias: mixedReleases },
  "version-agreed-on-without-all-members": { mutations: { agreesOnHighest: true }, bias: mixedReleases },
  "voters-added-one-by-one": { mutations: { addsVotersOneByOne: true }, bias: changingVoters },
};
