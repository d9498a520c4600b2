/** All inputs of the core. Time, randomness and IO enter only through here. */
import type { Configuration } from "./configuration.ts";
import type { LogIndex, MemberId } from "./entry.ts";
import type { Message } from "./message.ts";

export type RaftEvent =
  /** One tick of the driver's clock has passed. */
  | { readonly kind: "tick" }
  | { readonly kind: "message"; readonly message: Message }
  /** The batch with this ticket, and every earlier one, is durable. */
  | { readonly kind: "persisted"; readonly ticket: number }
  /** The state machine has applied everything up to `index`. */
  | { readonly kind: "applied"; readonly index: LogIndex }
  /** The connection to a peer was closed by the peer's end; if that peer was our leader, start an election at once. */
  | { readonly kind: "peerDisconnected"; readonly peer: MemberId }
  /**
   * The local disk has not completed a write for longer than an election timeout: a leader gives up its leadership,
   * and this member does not campaign until the next `persisted`.
   */
  | { readonly kind: "diskStalled" }
  /** A snapshot requested by `messages` has reached the peer's core, or never will. Due for each of them. */
  | { readonly kind: "snapshotSent"; readonly peer: MemberId; readonly succeeded: boolean }
  | { readonly kind: "transferLeadership"; readonly to: MemberId }
  /** Start an election now (tests, single-member start). */
  | { readonly kind: "campaign" };

/** Why a proposal was rejected; all but `tooLarge` may be retried. */
export type ProposalRejection = "noLeader" | "leadershipTransferring" | "tooManyInFlight" | "tooLarge";
export type ProposalResult =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly reason: ProposalRejection };

/** A target configuration: the core reaches it through one joint change, or rejects it. */
export type ConfigurationChange = {
  readonly target: Pick<Configuration, "voters" | "learners">;
  /** Opaque bytes stored with the change, for the state machine (names and URLs of new members). */
  readonly context: Uint8Array;
};

export type ConfigurationRejection =
  | "notLeader"
  /** Also during a leadership transfer, and before the leader's first commit in its term: retry soon. */
  | "changeInProgress"
  /** A new voter is not yet a learner (or voter), or lags too far. `lagging` names such members. */
  | "learnerNotReady"
  | "noVoters";
export type ConfigurationResult =
  | { readonly accepted: true; readonly index: LogIndex }
  | { readonly accepted: false; readonly reason: ConfigurationRejection; readonly lagging: readonly MemberId[] };
