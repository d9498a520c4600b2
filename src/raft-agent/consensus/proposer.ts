/**
 * Submits commands to the log and delivers each result to its waiting caller: numbers them, tracks the callers, and
 * makes sure that each of them gets exactly one response, at the latest after `requestTimeoutMs`.
 *
 * Commands without a leader are parked and offered again until one is elected or they time out, as in etcd's raft
 * loop. Bounded: above `pendingMax` waiting callers the response is `tooManyRequests`.
 */
import { majorityOf } from "../../base/majority.ts";
import { StatusCode } from "../api/status-code.ts";
import type { Term } from "../raft/entry.ts";
import type { ProposalRejection } from "../raft/event.ts";
import type { ApplyResult } from "../state-machine/apply-result.ts";
import type { Caller } from "../state-machine/caller.ts";
import { type CommandCodec, CommandKind, createCommandCodec } from "../state-machine/command.ts";
import { type AppliedBy, commandTable } from "../state-machine/command-table.ts";
import { type EntryVersions, entryVersions, kindName } from "../state-machine/entry-versions.ts";
import { type EtcdError, EtcdErrors, etcdError, isEtcdError } from "../state-machine/etcd-error.ts";
import type { ConsensusPort } from "./consensus-port.ts";

/** Called exactly once. */
export type ProposalDone<Kind extends CommandKind> = (result: AppliedBy<Kind> | EtcdError) => void;

export type Requester = {
  /** The user, while authentication is enabled. */
  readonly caller: Caller | null;
  /** The client's call, if there is one: once it is closed, the command is applied without a response. */
  readonly call: { readonly open: boolean } | null;
  /** False for a command that is not offered again if no leader accepts it now; true by default. */
  readonly isParked?: boolean;
};

export type ProposerLimits = {
  readonly requestTimeoutMs: number;
  /** The largest command body; etcd's `--max-request-bytes`. */
  readonly requestBytesMax: number;
  /** etcd rejects writes while more entries than this are committed but not applied. */
  readonly applyLagMax: number;
  readonly pendingMax: number;
};

/** etcd's overhead of a large request that counts: number and length of the field, and 13 or 14 for the header. */
const etcdEnvelopeBytes = 17;

/** etcd's defaults; the timeout is 5 s + 2 × election timeout. */
export function defaultProposerLimits(electionTimeoutMs: number): ProposerLimits {
  return {
    requestTimeoutMs: 5_000 + 2 * electionTimeoutMs,
    requestBytesMax: 1_572_864,
    applyLagMax: 5_000,
    pendingMax: 100_000,
  };
}

type Waiter = {
  readonly sinceMs: number;
  deadlineMs: number;
  /** The command until a leader accepts it, else null. */
  parked: Uint8Array | null;
  /** The term of the leader that accepted the command. */
  acceptedInTerm: Term;
  /** An entry of a later term is applied, and the command is not. */
  isOvertaken: boolean;
  /** Whether it is parked when no leader accepts it. */
  readonly isParked: boolean;
  readonly kind: CommandKind;
  readonly call: Requester["call"];
  readonly done: (result: ApplyResult) => void;
};

export type ProposerClock = { now(): number; monotonicMs(): number };

export type ProposerOptions = {
  readonly consensus: ConsensusPort;
  readonly clock: ProposerClock;
  readonly limits: ProposerLimits;
  /** The term of the last applied entry. */
  readonly appliedTerm: () => Term;
  /** The protocol version agreed on by the cluster. */
  readonly agreedVersion: () => number;
  readonly versions?: EntryVersions | undefined;
};

export class Proposer {
  /** In numeric order, which is nearly the order of their deadlines. */
  readonly #waiting = new Map<number, Waiter>();
  readonly #parkedNumbers = new Set<number>();
  readonly #consensus: ConsensusPort;
  readonly #clock: ProposerClock;
  readonly #appliedTerm: () => Term;
  readonly #agreedVersion: () => number;
  readonly #versions: EntryVersions;
  readonly #codec: CommandCodec;
  #nextNumber: number;
  #failedTotal = 0;
  #stopped = false;
  readonly limits: ProposerLimits;

  constructor({ consensus, clock, limits, appliedTerm, agreedVersion, versions = entryVersions }: ProposerOptions) {
    this.#agreedVersion = agreedVersion;
    this.#versions = versions;
    this.#consensus = consensus;
    this.#clock = clock;
    this.#appliedTerm = appliedTerm;
    this.#codec = createCommandCodec(consensus.memberId);
    this.limits = limits;
    // A restarted member must not mistake one of its old entries for the result of a new request: numbers start from
    // the wall clock and leave room for 4 million requests per second; 2^53 is reached in 2039 and then wraps.
    this.#nextNumber = (clock.now() % 2 ** 41) * 4096;
  }

  get pendingCount(): number {
    return this.#waiting.size;
  }

  get failedTotal(): number {
    return this.#failedTotal;
  }

  /** `body` may be reused as soon as this returns. */
  propose<Kind extends CommandKind>(
    kind: Kind,
    body: Uint8Array,
    done: ProposalDone<Kind>,
    { caller, call, isParked = true }: Requester = { caller: null, call: null },
  ): void {
    const rejection = this.#rejection(kind, body);
    if (rejection !== null) {
      this.#fail(done, rejection);
      return;
    }
    const number = this.#nextNumber++;
    const payload = this.#codec.encode(kind, number, body, caller);
    const nowMs = this.#clock.monotonicMs();
    const waiter: Waiter = {
      sinceMs: nowMs,
      deadlineMs: nowMs + this.limits.requestTimeoutMs,
      parked: null,
      acceptedInTerm: 0,
      isOvertaken: false,
      isParked,
      call,
      kind,
      // `complete` admits only results of this kind.
      done: done as (result: ApplyResult) => void,
    };
    this.#waiting.set(number, waiter);
    this.#offer(number, waiter, payload);
  }

  /** False when the caller has given up. */
  isAwaited(requestNumber: number): boolean {
    const waiter = this.#waiting.get(requestNumber);
    return waiter !== undefined && (waiter.call?.open ?? true);
  }

  /** An entry of this member was applied. Does nothing when its caller has given up. */
  complete(requestNumber: number, result: ApplyResult): void {
    const waiter = this.#waiting.get(requestNumber);
    if (waiter === undefined) return;
    this.#waiting.delete(requestNumber);
    waiter.done(isResultOf(waiter.kind, result) ? result : unexpectedResult(waiter.kind, result));
  }

  /** Role, term or leader changed: commands that no leader has accepted are offered again. */
  leaderChanged(): void {
    this.#offerParked();
  }

  /**
   * Called a few times per second: times out callers, and offers parked commands again. The loss of a leader alone
   * ends no call: it may come back, and a new one may have the command. Once an entry of a later term is applied, the
   * log has no place for it any more, except for one that the former leader still forwards; its caller is notified
   * soon.
   */
  tick(): void {
    const nowMs = this.#clock.monotonicMs();
    const appliedTerm = this.#appliedTerm();
    for (const [number, waiter] of this.#waiting) {
      if (waiter.parked === null && !waiter.isOvertaken && waiter.acceptedInTerm < appliedTerm) {
        waiter.isOvertaken = true;
        waiter.deadlineMs = Math.min(waiter.deadlineMs, nowMs + this.#consensus.electionTimeoutMs);
      }
      if (waiter.deadlineMs > nowMs) continue;
      this.#drop(number);
      this.#fail(waiter.done, this.#timeoutOf(waiter, nowMs));
    }
    this.#offerParked();
  }

  /** The member is stopping: every waiting caller gets `stopped`. */
  stop(): void {
    this.#stopped = true;
    const waiters = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#parkedNumbers.clear();
    for (const waiter of waiters) waiter.done(EtcdErrors.stopped);
  }

  /** The most likely cause: the leader failed, or the connection to it did (etcd v3_server.go, parseProposeCtxErr). */
  #timeoutOf(waiter: Waiter, nowMs: number): EtcdError {
    if (waiter.isOvertaken) return EtcdErrors.timeoutLeaderFailure;
    const { memberId } = this.#consensus;
    const leader = this.#consensus.leader();
    if (leader === null) return EtcdErrors.timeout;
    const isAccepted = waiter.parked === null;
    if (isAccepted && waiter.acceptedInTerm < this.#consensus.term()) return EtcdErrors.timeoutLeaderFailure;
    const wasConnected = (member: string): boolean =>
      member === memberId || (this.#consensus.connectedMs(member) ?? -1) >= nowMs - waiter.sinceMs;
    if (leader !== memberId) return wasConnected(leader) ? EtcdErrors.timeout : EtcdErrors.timeoutConnectionLost;
    const { voters } = this.#consensus.status().configuration;
    const connected = voters.filter(wasConnected).length;
    return connected >= majorityOf(voters.length) ? EtcdErrors.timeout : EtcdErrors.timeoutConnectionLost;
  }

  #rejection(kind: CommandKind, body: Uint8Array): EtcdError | null {
    if (this.#stopped) return EtcdErrors.stopped;
    const tooNew = this.#notAgreedOn(kind);
    if (tooNew !== null) return tooNew;
    if (body.length + etcdEnvelopeBytes > this.limits.requestBytesMax) return EtcdErrors.requestTooLarge;
    if (this.#consensus.commitIndex() - this.#consensus.appliedIndex() > this.limits.applyLagMax) {
      return EtcdErrors.tooManyRequests;
    }
    return this.#waiting.size >= this.limits.pendingMax ? EtcdErrors.tooManyRequests : null;
  }

  /** Not every member may support the kind: one that does not has to stop. */
  #notAgreedOn(kind: CommandKind): EtcdError | null {
    const needed = this.#versions.since(kind);
    const agreed = this.#agreedVersion();
    // The command that raises the version is proposed once all members support it: see `ProtocolAgreement`.
    if (needed <= agreed || kind === CommandKind.protocolVersion) return null;
    return etcdError(
      StatusCode.failedPrecondition,
      `${kindName(kind)} requires version ${needed} of the peer protocol, but the cluster has agreed on ${agreed}: ` +
        "upgrade the other members first",
    );
  }

  #offer(number: number, waiter: Waiter, payload: Uint8Array): void {
    const result = this.#consensus.propose(payload);
    if (result.accepted) {
      waiter.parked = null;
      waiter.acceptedInTerm = this.#consensus.term();
      this.#parkedNumbers.delete(number);
      return;
    }
    const error = errorOfRejection(result.reason);
    if (error === null && waiter.isParked) {
      waiter.parked = payload;
      this.#parkedNumbers.add(number);
      return;
    }
    this.#drop(number);
    this.#fail(waiter.done, error ?? EtcdErrors.notLeader);
  }

  #offerParked(): void {
    if (this.#consensus.leader() === null) return;
    for (const number of [...this.#parkedNumbers]) {
      const waiter = this.#waiting.get(number);
      if (waiter?.parked) this.#offer(number, waiter, waiter.parked);
    }
  }

  #drop(number: number): void {
    this.#waiting.delete(number);
    this.#parkedNumbers.delete(number);
  }

  #fail(done: (error: EtcdError) => void, error: EtcdError): void {
    this.#failedTotal++;
    done(error);
  }
}

/** Null: no final result, the command may be offered again. */
function errorOfRejection(reason: ProposalRejection): EtcdError | null {
  switch (reason) {
    case "noLeader":
    case "leadershipTransferring":
      return null;
    case "tooManyInFlight":
      return EtcdErrors.tooManyRequests;
    case "tooLarge":
      return EtcdErrors.requestTooLarge;
  }
}

function isResultOf(kind: CommandKind, result: ApplyResult): boolean {
  return result.kind === commandTable[kind].result || isEtcdError(result);
}

/** A bug. The command was applied, so the caller gets this error instead of waiting for its deadline. */
function unexpectedResult(kind: CommandKind, result: ApplyResult): EtcdError {
  return etcdError(
    StatusCode.internal,
    `haplan-agent: the command of kind ${kind} was applied, but its result is of kind ${result.kind}`,
  );
}
