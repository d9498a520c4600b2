/**
 * Carries out changes of the members on the leader, one at a time: decides each when it gets its turn, on the members
 * as they are then, and tells the caller when it is complete (applied here, and not joint any more).
 *
 * A change carries the id that the member gave it which its client had asked (`change-requests.ts`). It is carried out
 * once, whichever member leads: an id that is under way here is waited for, and one that is complete is answered from
 * the replicated data. A new leader knows both only when it has applied all that its predecessors may have committed,
 * so that nothing is decided before an entry of its own term is applied.
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
import { type MemberFacts, votersToAdmit } from "./member-rules.ts";
import type { Proposer } from "./proposer.ts";

/** What is to be done: another configuration, or other fields of one member. */
export type PlannedChange =
  | {
      readonly kind: "configuration";
      readonly target: Pick<Configuration, "voters" | "learners">;
      readonly added: readonly AddedMember[];
    }
  | { readonly kind: "member"; readonly update: MemberUpdateBody };

/** Decides on the members as they are when the change gets its turn; asked again while the turn has to wait. */
export type ChangeDecision = (facts: MemberFacts) => PlannedChange | EtcdError;

export type ChangeDone = (result: EtcdError | CompletedChange) => void;

type Waiting = {
  readonly id: ChangeId;
  readonly decide: ChangeDecision;
  readonly deadlineMs: number;
  /** More than one when the change was asked again meanwhile. */
  readonly done: ChangeDone[];
  /** The term in which it was proposed, 0 before; `result` is what applying a change of a member's fields said. */
  step: { readonly term: Term; result: ApplyResult | null };
};

export type MemberChangesOptions = {
  readonly consensus: ConsensusPort;
  readonly membership: MembershipStore;
  readonly proposer: Pick<Proposer, "propose">;
  /** The term of the last entry that was applied. */
  readonly appliedTerm: () => Term;
  readonly clock: { monotonicMs(): number };
  readonly requestTimeoutMs: number;
  /** Never gives the same id twice, on whatever member. */
  readonly createChangeId: () => ChangeId;
};

/** Changes that wait for their turn; more are refused. */
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

  /** `done` is called exactly once. Only the leader gets further than `notLeader`. */
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

  /** To be called after a configuration was applied, when leadership changed, and a few times a second. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const outcome = this.#advance(first);
      if (outcome === "waits" && nowMs < first.deadlineMs) break;
      this.#waiting.shift();
      for (const done of first.done) done(outcome === "waits" ? EtcdErrors.timeout : outcome);
    }
  }

  /** Gives votes to members that wait for one, when that can be done. Only on the leader. */
  admitWaitingVoters(): void {
    const { consensus, membership } = this.#options;
    const { configuration } = membership;
    const pendingVoters = membership.pendingVoters();
    if (this.#waiting.length > 0 || pendingVoters.length === 0 || configuration.votersOutgoing.length > 0) return;
    if (!consensus.isLeader()) return;
    const admitted = votersToAdmit(this.facts(), configuration.voters.length, pendingVoters);
    if (admitted.length === 0) return;
    const target = withVoters(configuration, admitted);
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
    // Whether the entry survives is for the next leader to tell, to which the change is taken.
    if (!consensus.isLeader()) return EtcdErrors.notLeader;
    if (completed !== undefined || !this.#isUpToDate()) return "waits";
    const { step } = change;
    // In a later term, an entry that is not applied by now never will be.
    if (step.term !== consensus.term()) return this.#begin(change);
    return isEtcdError(step.result) ? step.result : "waits";
  }

  /** All that earlier leaders may have committed is applied here, and the last change of the configuration. */
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
      if (!answer.accepted) return errorOfRefusal(answer.reason);
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

function isSame(one: Configuration, other: Configuration): boolean {
  const lists = ({ voters, votersOutgoing, learners }: Configuration): string =>
    [voters, votersOutgoing, learners].map((list) => list.join()).join(";");
  return lists(one) === lists(other);
}

function errorOfRefusal(reason: ConfigurationRejection): EtcdError | "waits" {
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
