/** The options of a member, with defaults. Times are in ticks of the driver's clock. */
import { assert } from "../../base/assert.ts";
import type { Random } from "../../base/random.ts";
import type { MemberId } from "./entry.ts";
import { type SafetyRules, safetyRules } from "./safety-rules.ts";

export type RaftOptions = {
  readonly id: MemberId;
  /** The source of election timeouts. Members, and restarts of a member, need different seeds. */
  readonly random: Random;
} & Partial<RaftSettings>;

export type RaftSettings = {
  /**
   * A follower that does not hear from a leader for this long, and up to twice as long at random, starts an election.
   */
  readonly electionTimeoutTicks: number;
  /** The interval of a leader's heartbeats. */
  readonly heartbeatTicks: number;
  /** Interval at which a pre-candidate resends pre-vote requests to members that have not granted one. */
  readonly preVoteRetryTicks: number;
  /** After the connection to the leader broke, the voters start their elections this far apart, in the order of ids. */
  readonly disconnectStaggerTicks: number;
  /** Run a pre-vote before raising the term (thesis §9.6). */
  readonly preVote: boolean;
  /** A leader without an active quorum steps down, and followers apply leader stickiness (thesis §6.2, §4.2.3). */
  readonly checkQuorum: boolean;
  /** The maximum size of the entries in one append message; a larger single entry is still sent, alone. */
  readonly maxAppendBytes: number;
  /** The maximum number of unacknowledged append messages per follower. */
  readonly maxInflightMessages: number;
  readonly maxInflightBytes: number;
  /** Proposals are rejected while this much awaits commitment or forwarding. */
  readonly maxUncommittedBytes: number;
  /** The maximum size of a single payload. */
  readonly maxProposalBytes: number;
  /** The maximum size of committed entries in one `Ready`; a larger single entry is still delivered, alone. */
  readonly maxCommittedBytes: number;
  /** The maximum number of linearizable reads that await confirmation. */
  readonly maxPendingReads: number;
  /** A learner that lags further behind is not promoted to voter. */
  readonly maxLearnerLagEntries: number;
  /** For tests only: see `safety-rules.ts`. */
  readonly rules: SafetyRules;
};

const mebibyte = 1024 * 1024;

const defaultRaftSettings: RaftSettings = {
  electionTimeoutTicks: 100,
  heartbeatTicks: 10,
  preVoteRetryTicks: 2,
  disconnectStaggerTicks: 3,
  preVote: true,
  checkQuorum: true,
  maxAppendBytes: mebibyte,
  maxInflightMessages: 256,
  maxInflightBytes: 16 * mebibyte,
  maxUncommittedBytes: 64 * mebibyte,
  maxProposalBytes: 2 * mebibyte,
  maxCommittedBytes: 8 * mebibyte,
  maxPendingReads: 65_536,
  maxLearnerLagEntries: 1000,
  rules: safetyRules,
};

/** Fills in the defaults and rejects invalid combinations. */
export function raftSettings(options: RaftOptions): RaftSettings {
  const settings: RaftSettings = { ...defaultRaftSettings, ...options };
  assert(/^[0-9a-f]{16}$/.test(options.id), `member id "${options.id}" is 16 lowercase hex digits`);
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value === "number")
      assert(Number.isSafeInteger(value) && value >= 1, `${name} is a whole number above 0`);
  }
  assert(
    settings.electionTimeoutTicks > settings.heartbeatTicks,
    `electionTimeoutTicks (${settings.electionTimeoutTicks}) exceeds heartbeatTicks (${settings.heartbeatTicks})`,
  );
  return settings;
}
