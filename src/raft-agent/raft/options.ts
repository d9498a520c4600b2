/** What a member is told at its start, with the defaults. Times are in ticks of the driver's clock. */
import { assert } from "../../base/assert.ts";
import type { Random } from "../../base/random.ts";
import type { MemberId } from "./entry.ts";
import { type SafetyRules, safetyRules } from "./safety-rules.ts";

export type RaftOptions = {
  readonly id: MemberId;
  /** Draws election timeouts. Members, and restarts of a member, need different seeds. */
  readonly random: Random;
} & Partial<RaftSettings>;

export type RaftSettings = {
  /** A follower that hears nothing for this long, and up to twice as long by lot, starts an election. */
  readonly electionTimeoutTicks: number;
  /** How often a leader shows that it is alive. */
  readonly heartbeatTicks: number;
  /** How soon a pre-candidate repeats its question to those who have not said yes. */
  readonly preVoteRetryTicks: number;
  /** After the leader's connection broke, the voters start their elections this far apart, in the order of ids. */
  readonly disconnectStaggerTicks: number;
  /** Ask before raising the term (thesis §9.6). */
  readonly preVote: boolean;
  /** A leader without an active quorum steps down, and followers are loyal to a leader they hear (thesis §6.2, §4.2.3). */
  readonly checkQuorum: boolean;
  /** Entries in one append message; a larger single entry still travels alone. */
  readonly maxAppendBytes: number;
  /** Unacknowledged append messages for each follower. */
  readonly maxInflightMessages: number;
  readonly maxInflightBytes: number;
  /** Proposals are refused while this much awaits commitment, or forwarding. */
  readonly maxUncommittedBytes: number;
  /** The largest single payload. */
  readonly maxProposalBytes: number;
  /** Committed entries handed out in one `Ready`; a larger single entry still comes alone. */
  readonly maxCommittedBytes: number;
  /** Linearizable reads that await confirmation. */
  readonly maxPendingReads: number;
  /** A learner that is further behind is not made a voter. */
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

/** Fills in the defaults and refuses combinations that cannot work. */
export function raftSettings(options: RaftOptions): RaftSettings {
  const settings: RaftSettings = { ...defaultRaftSettings, ...options };
  assert(/^[0-9a-f]{16}$/.test(options.id), `member id "${options.id}" is 16 lower-case hex digits`);
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
