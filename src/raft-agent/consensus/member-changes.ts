/**
 * Executes membership changes on the leader, one at a time: decides each one when it is next, based on the membership
 * at that time, and notifies the caller when it is complete (applied here, and no longer joint).
 *
 * A change has the id assigned by the member that its client called (`change-requests.ts`). It is applied once,
 * whichever member leads: an id that is in progress here is waited for, and a complete one is answered from the
 * replicated data. A new leader knows both only when it has applied everything that its predecessors may have
 * committed, so nothing is decided before an entry of its own term is applied.
 */
import type { Configuration } from "../raft/configuration.ts";
import type { MemberId, Term } from "../raft/entry.ts";
import type { ConfigurationRejection } from "../raft/event.ts";
import type { ApplyResult } from "../state-machine/apply-result.ts";
import type { ChangeId } from "../state-machine/change-id.ts";
import { CommandKind } from "../state-machine/command.ts";
import { encodeJson, type MemberUpdateBody } from "../state-machine/command-body.ts";
import type { CompletedChange } from "../state-machine/completed-changes.ts";
import { type EtcdError, EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import { type AddedMember, encodeMembershipContext } from "../state-machine/membership.ts";
import type { MembershipStore } from "../state-machine/membership-store.ts";
import type { ConsensusPort } from "./consensus-port.ts";
import { type MemberFacts, promotableLearners } from "./member-rules.ts";
import type { Proposer } from "./proposer.ts";

/** The change to make: another configuration, or other fields of one member. */
export type PlannedChange =
  | {
      readonly kind: "configuration";
      readonly target: Pick<Configuration, "voters" | "learners">;
      readonly added: readonly AddedMember[];
    }
  | { readonly kind: "member"; readonly update: MemberUpdateBody };

/** Decides based on the membership when the change is next; called again while it has to wait. */
export type ChangeDecision = (facts: MemberFacts) => PlannedChange | EtcdError;

export type ChangeDone = (result: EtcdError | CompletedChange) => void;

type Waiting = {
  readonly id: ChangeId;
  readonly decide: ChangeDecision;
  readonly deadlineMs: number;
  /** More than one when the change was retried meanwhile. */
  readonly done: ChangeDone[];
  /** The term in which it was proposed, 0 before; `result` is the result of applying a change of a member's fields. */
  step: { readonly term: Term; result: ApplyResult | null };
};

export type MemberChangesOptions = {
  readonly consensus: ConsensusPort;
  readonly membership: MembershipStore;
  readonly proposer: Pick<Proposer, "propose">;
  /** The term of the last applied entry. */
  readonly appliedTerm: () => Term;
  readonly clock: { monotonicMs(): number };
  readonly requestTimeoutMs: number;
  /** Never returns the same id twice, on any member. */
  readonly createChangeId: () => ChangeId;
};

/** Changes that wait; more are rejected. */
const waitingMax = 64;

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

  /** `done` is called exactly once. On any member but the leader the result is `notLeader`. */
  change(id: ChangeId, decide: ChangeDecision, done: ChangeDone): void {
    const same = this.#waiting.find((waiting) => waiting.id === id);
    if (same !== undefined) {
      same.done.push(done);
      return;
    }
    if (this.#waiting.length >= waitingMax) {
      done(EtcdErrors.tooManyRequests);
      return;
    }
    const deadlineMs = this.#options.clock.monotonicMs() + this.#options.requestTimeoutMs;
    this.#waiting.push({ id, decide, deadlineMs, done: [done], step: { term: 0, result: null } });
    this.tick();
  }

  /** Called after a configuration was applied, when leadership changed, and a few times per second. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const outcome = this.#advance(first);
      if (outcome === "waits" && nowMs < first.deadlineMs) break;
      this.#waiting.shift();
      for (const done of first.done) done(outcome === "waits" ? EtcdErrors.timeout : outcome);
    }
  }

  /** Promotes pending voters when possible. Only on the leader. */
  promotePendingVoters(): void {
    const { consensus, membership } = this.#options;
    const { configuration } = membership;
    const pendingVoters = membership.pendingVoters();
    if (this.#waiting.length > 0 || pendingVoters.length === 0 || configuration.votersOutgoing.length > 0) return;
    if (!consensus.isLeader()) return;
    const promoted = promotableLearners(this.facts(), configuration.voters.length, pendingVoters);
    if (promoted.length === 0) return;
    const target = withVoters(configuration, promoted);
    this.change(
      this.#options.createChangeId(),
      () => ({ kind: "configuration", target, added: [] }),
      () => {},
    );
  }

  #advance(change: Waiting): EtcdError | CompletedChange | "waits" {
    const { consensus, membership } = this.#options;
    const completed = membership.completed.get(change.id);
    if (completed !== undefined && membership.configuration.votersOutgoing.length === 0) return completed;
    // Only the next leader knows whether the entry survives; the change is retried there.
    if (!consensus.isLeader()) return EtcdErrors.notLeader;
    if (completed !== undefined || !this.#isUpToDate()) return "waits";
    const { step } = change;
    // In a later term, an entry that is not applied by now never will be.
    if (step.term !== consensus.term()) return this.#begin(change);
    return isEtcdError(step.result) ? step.result : "waits";
  }

  /**
   * Everything that earlier leaders may have committed is applied here, and so is the last change of the
   * configuration.
   */
  #isUpToDate(): boolean {
    const { consensus, membership, appliedTerm } = this.#options;
    if (appliedTerm() !== consensus.term()) return false;
    return isSame(consensus.status().configuration, membership.configuration);
  }

  #begin(change: Waiting): EtcdError | "waits" {
    const { consensus, proposer } = this.#options;
    const planned = change.decide(this.facts());
    if (isEtcdError(planned)) return planned;
    if (planned.kind === "configuration") {
      const context = encodeMembershipContext({ added: planned.added, changeId: change.id });
      const answer = consensus.changeConfiguration({ target: planned.target, context });
      if (!answer.accepted) return errorOfRejection(answer.reason);
      change.step = { term: consensus.term(), result: null };
    } else {
      const step: Waiting["step"] = { term: consensus.term(), result: null };
      change.step = step;
      const body = encodeJson({ ...planned.update, changeId: change.id });
      proposer.propose(CommandKind.memberUpdate, body, (result) => {
        step.result = result;
      });
    }
    return "waits";
  }
}

/** Moves learners to the voters. */
export function withVoters(
  configuration: Configuration,
  promoted: readonly MemberId[],
): Pick<Configuration, "voters" | "learners"> {
  return {
    voters: [...new Set([...configuration.voters, ...promoted])].sort(),
    learners: configuration.learners.filter((id) => !promoted.includes(id)),
  };
}

function isSame(one: Configuration, other: Configuration): boolean {
  const lists = ({ voters, votersOutgoing, learners }: Configuration): string =>
    [voters, votersOutgoing, learners].map((list) => list.join()).join(";");
  return lists(one) === lists(other);
}

function errorOfRejection(reason: ConfigurationRejection): EtcdError | "waits" {
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
