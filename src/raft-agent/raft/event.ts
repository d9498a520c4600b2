/** Everything that can happen to the core. Time, randomness and IO enter only through here. */
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
  /** The connection to a peer was closed by its end: if it was our leader, ask around at once. */
  | { readonly kind: "peerDisconnected"; readonly peer: MemberId }
  /**
   * The own disk has not completed a write for longer than an election timeout: a leader gives leadership up, and nobody
   * stands until the next `persisted`.
   */
  | { readonly kind: "diskStalled" }
  /** A snapshot that `messages` asked for has reached the peer's core, or will not. Due for each of them. */
  | { readonly kind: "snapshotSent"; readonly peer: MemberId; readonly succeeded: boolean }
  | { readonly kind: "transferLeadership"; readonly to: MemberId }
  /** Start an election now (tests, single-member start). */
  | { readonly kind: "campaign" };

/** Why a proposal was not accepted; all but `tooLarge` may be retried. */
export type ProposalRefusal = "noLeader" | "leadershipTransferring" | "tooManyInFlight" | "tooLarge";
export type ProposalResult =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly reason: ProposalRefusal };

/** A wanted configuration: the core gets there by one joint change, or refuses. */
export type ConfigurationChange = {
  readonly target: Pick<Configuration, "voters" | "learners">;
  /** Opaque bytes stored with the change, for the state machine (names and URLs of new members). */
  readonly context: Uint8Array;
};

export type ConfigurationRefusal =
  | "notLeader"
  /** Also while leadership is handed over, and before the leader's first commit in its term: try again soon. */
  | "changeInProgress"
  /** A wanted voter is not a learner (or voter) yet, or lags too far. `lagging` names them. */
  | "learnerNotReady"
  | "noVoters";
export type ConfigurationResult =
  | { readonly accepted: true; readonly index: LogIndex }
  | { readonly accepted: false; readonly reason: ConfigurationRefusal; readonly lagging: readonly MemberId[] };
