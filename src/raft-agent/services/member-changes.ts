/**
 * Carries out changes of the configuration on the leader, one at a time, and tells the caller when the change is
 * complete: applied here, and not joint any more.
 */
import type { Configuration } from "../raft/configuration.ts";
import type { LogIndex, MemberId } from "../raft/entry.ts";
import type { ConfigurationRefusal } from "../raft/event.ts";
import { type EtcdError, EtcdErrors } from "../state-machine/etcd-error.ts";
import { type AddedMember, encodeMembershipContext } from "../state-machine/membership.ts";
import type { MembershipStore } from "../state-machine/membership-store.ts";
import type { ConsensusPort } from "./consensus-port.ts";
import { type MemberFacts, votersToAdmit } from "./member-rules.ts";

/** Derives the wanted configuration from the one in force when the change gets its turn. */
export type ChangeDecision = (configuration: Configuration) => Pick<Configuration, "voters" | "learners">;

type Waiting = {
  readonly decide: ChangeDecision;
  readonly added: readonly AddedMember[];
  readonly deadlineMs: number;
  readonly done: (error: EtcdError | null) => void;
  /** Null until consensus has taken the change. */
  index: LogIndex | null;
};

export type MemberChangesOptions = {
  readonly consensus: ConsensusPort;
  readonly membership: MembershipStore;
  readonly clock: { monotonicMs(): number };
  readonly requestTimeoutMs: number;
};

/** Changes that wait for their turn; more are refused. */
const WAITING_MAX = 64;

export class MemberChanges {
  readonly #options: MemberChangesOptions;
  readonly #waiting: Waiting[] = [];

  constructor(options: MemberChangesOptions) {
    this.#options = options;
  }

  facts(): MemberFacts {
    const { consensus, membership } = this.#options;
    return {
      self: consensus.memberId,
      members: membership.list(),
      configuration: membership.configuration,
      progress: consensus.status().progress,
      connectedMs: (member) => consensus.connectedMs(member),
    };
  }

  /** `done` is called exactly once. Only the leader gets further than `notLeader`. */
  change(decide: ChangeDecision, added: readonly AddedMember[], done: (error: EtcdError | null) => void): void {
    if (this.#waiting.length >= WAITING_MAX) {
      done(EtcdErrors.tooManyRequests);
      return;
    }
    const deadlineMs = this.#options.clock.monotonicMs() + this.#options.requestTimeoutMs;
    this.#waiting.push({ decide, added, deadlineMs, done, index: null });
    this.tick();
  }

  /** To be called after a configuration was applied, when leadership changed, and a few times a second. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const outcome = first.deadlineMs <= nowMs ? EtcdErrors.timeout : this.#advance(first);
      if (outcome === "waits") break;
      this.#waiting.shift();
      first.done(outcome);
    }
  }

  /** Gives votes to members that wait for one, when that can be done. Only on the leader. */
  admitWaitingVoters(): void {
    const { consensus, membership } = this.#options;
    const { configuration } = membership;
    const waitingVoters = membership.waitingVoters();
    if (this.#waiting.length > 0 || waitingVoters.length === 0 || configuration.votersOutgoing.length > 0) return;
    if (consensus.leader() !== consensus.memberId) return;
    const admitted = votersToAdmit(this.facts(), configuration.voters.length, waitingVoters);
    if (admitted.length > 0)
      this.change(
        (current) => withVoters(current, admitted),
        [],
        () => {},
      );
  }

  #advance(change: Waiting): EtcdError | null | "waits" {
    const { consensus, membership } = this.#options;
    if (change.index !== null) {
      const complete = consensus.appliedIndex() >= change.index && membership.configuration.votersOutgoing.length === 0;
      return complete ? null : "waits";
    }
    const context = change.added.length === 0 ? new Uint8Array(0) : encodeMembershipContext({ added: change.added });
    const result = consensus.changeConfiguration({ target: change.decide(membership.configuration), context });
    if (!result.accepted) return errorOfRefusal(result.reason);
    change.index = result.index;
    return this.#advance(change);
  }
}

/** Moves learners among the voters. */
export function withVoters(
  configuration: Configuration,
  admitted: readonly MemberId[],
): Pick<Configuration, "voters" | "learners"> {
  return {
    voters: [...new Set([...configuration.voters, ...admitted])].sort(),
    learners: configuration.learners.filter((id) => !admitted.includes(id)),
  };
}

function errorOfRefusal(reason: ConfigurationRefusal): EtcdError | "waits" {
  switch (reason) {
    case "notLeader":
      return EtcdErrors.notLeader;
    case "changeInProgress":
      return "waits";
    case "learnerNotReady":
      return EtcdErrors.learnerNotReady;
    case "noVoters":
      return EtcdErrors.notEnoughStarted;
  }
}
