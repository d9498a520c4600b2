/**
 * Compares the data of members: the leader hashes the keyspace at one revision and requests the hashes of the others;
 * a member that differs from a majority of voters was corrupted below us, by its disk or its memory. etcd raises the
 * CORRUPT alarm, which stops all writes, and leaves the rest to the operator. Here the alarm is raised as well, so
 * that it cannot be overlooked; then the corrupt member receives the leader's state in place of its own, is compared
 * again, and the alarm is disarmed. A leader that itself differs first transfers leadership to a member of the
 * majority.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { errorText } from "../../../base/haplan-error.ts";
import { majorityOf } from "../../../base/majority.ts";
import { formatMemberId } from "../../../base/member-id.ts";
import { freezeAlarmId } from "../../api/freeze-alarm.ts";
import { HashKVRequestSchema, HashKVResponseSchema } from "../../api/gen/etcdserverpb/rpc_pb.ts";
import { ExpectStateRequestSchema, ExpectStateResponseSchema } from "../../api/gen/haplan/peer/peer_pb.ts";
import { StatusCode } from "../../api/status-code.ts";
import type { KeyspaceHash } from "../../mvcc/store.ts";
import type { LogIndex, MemberId } from "../../raft/entry.ts";
import { AlarmType } from "../../state-machine/apply-result.ts";
import { CommandKind } from "../../state-machine/command.ts";
import { AlarmAction, encodeAlarm } from "../../state-machine/command-body.ts";
import { EtcdErrors, isEtcdError } from "../../state-machine/etcd-error.ts";
import { answerBytes, failCall, unary } from "../answer.ts";
import { answerHash, transferLeadership } from "../maintenance-service.ts";
import { callMember } from "../peer-requests.ts";
import type { UnaryMethod } from "../served-method.ts";
import type { ServiceContext } from "../service-context.ts";

const frozen = formatMemberId(freezeAlarmId);

/** How a member's state is replaced; implemented below the services. */
export type StateRepair = {
  /** On the corrupt member: suspends applying until the state has arrived; returns its applied index. */
  expect(): LogIndex;
  /** On the leader: sends its current state to a member that is prepared for it. */
  send(member: MemberId): Promise<void>;
};

export type CorruptionCheckOptions = {
  readonly intervalMs: number;
  readonly replacement: StateRepair | null;
  readonly onNotice: (level: "warn" | "error", text: string) => void;
};

const hashPath = "/haplan.Peer/HashKv";
const expectPath = "/haplan.Peer/ExpectState";
/** Sent to the leader: compare now. The response follows when all differences are repaired. */
export const comparePath = "/haplan.Peer/CompareMembers";
/** A follower may be slightly behind the compared revision. */
const attemptsMax = 10;
const retryMs = 200;

type Hashed = Omit<KeyspaceHash, "revision">;

/** The requests of the leader to other members, and vice versa. */
export function createCorruptionPeerMethods(
  context: ServiceContext,
  replacement: StateRepair | null,
  check: CorruptionCheck,
): UnaryMethod[] {
  return [
    unary(context, { path: hashPath, access: "member", learner: true }, (request, call) => {
      const { revision } = fromBinary(HashKVRequestSchema, request);
      const encode = ({ hash, compactRevision }: KeyspaceHash): Uint8Array => {
        const message = create(HashKVResponseSchema, { hash, compactRevision: BigInt(compactRevision) });
        return toBinary(HashKVResponseSchema, message);
      };
      void answerHash(context, call, { revision: Number(revision), reader: "members" }, encode);
    }),
    unary(context, { path: expectPath, access: "member", learner: true }, (request, call) => {
      const { asMessage } = fromBinary(ExpectStateRequestSchema, request);
      if (replacement === null) call.finish(StatusCode.unimplemented, "haplan-agent: this member cannot be repaired");
      else answerBytes(call, encodeAppliedIndex(replacement.expect(), asMessage));
    }),
    unary(context, { path: comparePath, access: "member", learner: true }, (_request, call) => {
      if (!context.consensus.isLeader()) failCall(call, EtcdErrors.notLeader);
      else
        check.check().then(
          () => answerBytes(call, new Uint8Array(0)),
          (error: unknown) => call.finish(StatusCode.internal, `haplan-agent: ${errorText(error)}`),
        );
    }),
  ];
}

/** The previous release requests, and responds with, a decimal number. */
function encodeAppliedIndex(index: LogIndex, asMessage: boolean): Uint8Array {
  if (!asMessage) return Buffer.from(String(index));
  return toBinary(ExpectStateResponseSchema, create(ExpectStateResponseSchema, { appliedIndex: BigInt(index) }));
}

/** @throws Error when the bytes are neither: then nothing is repaired. */
function decodeAppliedIndex(bytes: Uint8Array): LogIndex {
  const text = Buffer.from(bytes).toString("latin1");
  if (/^\d+$/.test(text)) return Number(text);
  return Number(fromBinary(ExpectStateResponseSchema, bytes).appliedIndex);
}

export class CorruptionCheck {
  readonly #context: ServiceContext;
  readonly #options: CorruptionCheckOptions;
  #nextMs: number;
  #running: Promise<void> | null = null;
  /** The revision of the last comparison without differences. */
  #cleanRevision = 0;

  constructor(context: ServiceContext, options: CorruptionCheckOptions) {
    this.#context = context;
    this.#options = options;
    this.#nextMs = context.clock.monotonicMs() + options.intervalMs;
  }

  /** Called a few times per second. */
  tick(): void {
    const { clock, consensus, machine } = this.#context;
    const nowMs = clock.monotonicMs();
    if (!consensus.isLeader()) this.#nextMs = nowMs + this.#options.intervalMs;
    if (nowMs < this.#nextMs || this.#running !== null) return;
    this.#nextMs = nowMs + this.#options.intervalMs;
    const isClean = machine.store.revision === this.#cleanRevision && !machine.alarms.corrupt;
    if (isClean || machine.membership.list().length < 2) return;
    this.check().catch((error: unknown) =>
      this.#options.onNotice("warn", `cannot compare the members: ${errorText(error)}`),
    );
  }

  /** Compares once, and repairs differences; meanwhile nothing else is started. */
  check(): Promise<void> {
    this.#running ??= this.#compare().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #compare(): Promise<void> {
    const { consensus, machine } = this.#context;
    const { revision } = machine.store;
    const own = await machine.store.hashKv(revision, "members");
    const hashes = new Map<MemberId, number>([[consensus.memberId, own.hash]]);
    const others = machine.membership.list().filter(({ id }) => id !== consensus.memberId);
    await Promise.all(
      others.map(async ({ id }) => {
        const theirs = await fetchHash(this.#context, id, revision, attemptsMax);
        if (theirs !== null && theirs.compactRevision === own.compactRevision) hashes.set(id, theirs.hash);
      }),
    );
    const comparison = compareHashes(hashes, machine.membership.configuration.voters);
    if (comparison.damaged.length === 0) {
      if (hashes.size < others.length + 1) return;
      this.#cleanRevision = revision;
      await this.#disarm(revision);
      return;
    }
    await this.#act(comparison, revision);
  }

  async #act({ damaged, majority }: HashComparison, revision: number): Promise<void> {
    const { consensus } = this.#context;
    const { onNotice } = this.#options;
    for (const member of damaged) {
      onNotice("error", `the data of member ${member} differs at revision ${revision}: raising CORRUPT`);
      await this.#alarm(member, AlarmAction.activate);
    }
    if (majority.length === 0) {
      onNotice("error", "no majority of members agrees on the data: nothing can be repaired");
    } else if (damaged.includes(consensus.memberId)) {
      const [healthy] = majority;
      onNotice("error", `this leader is corrupt: transferring leadership to member ${healthy}, which will repair it`);
      this.#cleanRevision = 0;
      await transferLeadership(this.#context, healthy!);
    } else for (const member of damaged) await this.#repair(member, revision);
  }

  /**
   * The leader that repaired a member may have been lost before it disarmed the alarm, which blocks all writes until
   * then. A cluster that a migration has frozen stays so: another one has its clients.
   */
  async #disarm(revision: number): Promise<void> {
    for (const { member } of this.#context.machine.alarms.list(AlarmType.corrupt)) {
      if (member === frozen) continue;
      await this.#alarm(member, AlarmAction.deactivate);
      this.#options.onNotice(
        "warn",
        `all members agree at revision ${revision}: disarming CORRUPT of member ${member}`,
      );
    }
  }

  async #repair(member: MemberId, revision: number): Promise<void> {
    const { replacement, onNotice } = this.#options;
    if (replacement === null) return;
    const request = toBinary(ExpectStateRequestSchema, create(ExpectStateRequestSchema, { asMessage: true }));
    const answer = await callMember(this.#context, member, expectPath, request);
    if (answer?.code !== StatusCode.ok) throw new Error(`member ${member} does not accept a new state`);
    await this.#waitUntilApplied(decodeAppliedIndex(answer.message));
    await replacement.send(member);
    const { store } = this.#context.machine;
    const asked = fetchHash(this.#context, member, revision, attemptsMax);
    const [own, theirs] = await Promise.all([store.hashKv(revision, "members"), asked]);
    if (theirs?.hash !== own.hash) throw new Error(`member ${member} still differs after receiving a new state`);
    await this.#alarm(member, AlarmAction.deactivate);
    onNotice("warn", `member ${member} was repaired with this leader's state and agrees again; disarming CORRUPT`);
  }

  /** The state that is sent must not be older than what the other member has applied. */
  async #waitUntilApplied(index: LogIndex): Promise<void> {
    const { consensus, clock } = this.#context;
    for (let attempt = 0; consensus.appliedIndex() < index; attempt++) {
      if (attempt === attemptsMax) throw new Error(`entry ${index} is not applied here`);
      await clock.sleep(retryMs);
    }
  }

  #alarm(member: MemberId, action: number): Promise<void> {
    const body = encodeAlarm({ action, alarm: { member, type: AlarmType.corrupt } });
    return new Promise((resolve, reject) => {
      this.#context.proposer.propose(CommandKind.alarm, body, (result) => {
        if (isEtcdError(result)) reject(new Error(result.text));
        else resolve();
      });
    });
  }
}

export type HashComparison = {
  readonly damaged: readonly MemberId[];
  /** The voters that agree, when they are a majority of all voters; else empty. */
  readonly majority: readonly MemberId[];
};

/** Members whose hash disagrees with the majority; without a majority, all that disagree. */
export function compareHashes(hashes: ReadonlyMap<MemberId, number>, voters: readonly MemberId[]): HashComparison {
  if (new Set(hashes.values()).size < 2) return { damaged: [], majority: [] };
  const right = majorityHash(hashes, voters);
  return {
    damaged: [...hashes.keys()].filter((id) => hashes.get(id) !== right),
    majority: right === null ? [] : voters.filter((id) => hashes.get(id) === right),
  };
}

/** The hash of more than half of the voters; null when there is none. */
export function majorityHash(hashes: ReadonlyMap<MemberId, number>, voters: readonly MemberId[]): number | null {
  for (const hash of hashes.values()) {
    if (voters.filter((id) => hashes.get(id) === hash).length >= majorityOf(voters.length)) return hash;
  }
  return null;
}

/** A member's hash at `revision`; null when it cannot provide one, or not within `attempts` because it is behind. */
export async function fetchHash(
  context: ServiceContext,
  member: MemberId,
  revision: number,
  attempts = 1,
): Promise<Hashed | null> {
  const request = toBinary(HashKVRequestSchema, create(HashKVRequestSchema, { revision: BigInt(revision) }));
  for (let attempt = 1; ; attempt++) {
    const answer = await callMember(context, member, hashPath, request);
    if (answer?.code === StatusCode.ok) {
      const { hash, compactRevision } = fromBinary(HashKVResponseSchema, answer.message);
      return { hash, compactRevision: Number(compactRevision) };
    }
    if (answer?.code !== StatusCode.outOfRange || attempt >= attempts) return null;
    await context.clock.sleep(retryMs);
  }
}
