/**
 * Members compare what they hold: the leader hashes the keyspace at one revision, asks the others for theirs, and
 * whoever differs from a majority of voters has been damaged below us, by its disk or by its memory. etcd raises the
 * CORRUPT alarm, which stops all writes, and leaves the rest to people. Here the alarm is raised as well, so that
 * nobody can overlook it; then the damaged member gets the leader's state in the place of its own, is compared again,
 * and the alarm is taken back. A leader that differs itself hands leadership to one of the majority first.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { errorText } from "../../../base/haplan-error.ts";
import { majorityOf } from "../../../base/majority.ts";
import { HashKVRequestSchema, HashKVResponseSchema } from "../../api/gen/etcdserverpb/rpc_pb.ts";
import { ExpectStateRequestSchema, ExpectStateResponseSchema } from "../../api/gen/haplan/peer/peer_pb.ts";
import { StatusCode } from "../../api/status-code.ts";
import type { KeyspaceHash } from "../../mvcc/store.ts";
import type { LogIndex, MemberId } from "../../raft/entry.ts";
import { AlarmType } from "../../state-machine/apply-result.ts";
import { CommandKind } from "../../state-machine/command.ts";
import { AlarmAction, encodeAlarm } from "../../state-machine/command-body.ts";
import { EtcdErrors, isEtcdError } from "../../state-machine/etcd-error.ts";
import { answerBytes, fail, unary } from "../answer.ts";
import { answerHash, transferLeadership } from "../maintenance-service.ts";
import { askMember } from "../peer-requests.ts";
import type { UnaryMethod } from "../served-method.ts";
import type { ServiceContext } from "../service-context.ts";

/** How a member's state is replaced; what lies below services does it. */
export type StateReplacement = {
  /** On the damaged member: applies nothing more until the state has come; answers how far it has applied. */
  expect(): LogIndex;
  /** On the leader: sends its state, as of now, to a member that expects it. */
  send(member: MemberId): Promise<void>;
};

export type CorruptionCheckOptions = {
  readonly intervalMs: number;
  readonly replacement: StateReplacement | null;
  readonly onNotice: (level: "warn" | "error", text: string) => void;
};

const hashPath = "/haplan.Peer/HashKv";
const expectPath = "/haplan.Peer/ExpectState";
/** Asked of the leader: compare now. Answered when what differed is repaired. */
export const comparePath = "/haplan.Peer/CompareMembers";
/** A follower may be a little behind the revision that is compared. */
const attemptsMax = 10;
const retryMs = 200;

type Hashed = Omit<KeyspaceHash, "revision">;

/** What the leader asks other members, and what they ask it. */
export function createCorruptionPeerMethods(
  context: ServiceContext,
  replacement: StateReplacement | null,
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
      if (!context.consensus.isLeader()) fail(call, EtcdErrors.notLeader);
      else
        check.check().then(
          () => answerBytes(call, new Uint8Array(0)),
          (error: unknown) => call.finish(StatusCode.internal, `haplan-agent: ${errorText(error)}`),
        );
    }),
  ];
}

/** The release before asks for, and answers, a decimal number. */
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
  /** The revision of the last comparison that found nothing. */
  #cleanRevision = 0;

  constructor(context: ServiceContext, options: CorruptionCheckOptions) {
    this.#context = context;
    this.#options = options;
    this.#nextMs = context.clock.monotonicMs() + options.intervalMs;
  }

  /** To be called a few times a second. */
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

  /** Compares once, and repairs what differs; while that goes on, nothing else is begun. */
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
        const theirs = await askHash(this.#context, id, revision, attemptsMax);
        if (theirs !== null && theirs.compactRevision === own.compactRevision) hashes.set(id, theirs.hash);
      }),
    );
    const verdict = judgeHashes(hashes, machine.membership.configuration.voters);
    if (verdict.damaged.length === 0) {
      if (hashes.size < others.length + 1) return;
      this.#cleanRevision = revision;
      await this.#takeBack(revision);
      return;
    }
    await this.#act(verdict, revision);
  }

  async #act({ damaged, majority }: Verdict, revision: number): Promise<void> {
    const { consensus } = this.#context;
    const { onNotice } = this.#options;
    for (const member of damaged) {
      onNotice("error", `member ${member} holds other data than the others at revision ${revision}: raising CORRUPT`);
      await this.#alarm(member, AlarmAction.activate);
    }
    if (majority.length === 0) {
      onNotice("error", "no majority of members agrees about the data: nothing can be repaired from it");
    } else if (damaged.includes(consensus.memberId)) {
      const [healthy] = majority;
      onNotice(
        "error",
        `this leader is the damaged one: handing leadership to member ${healthy}, which will repair it`,
      );
      this.#cleanRevision = 0;
      await transferLeadership(this.#context, healthy!);
    } else for (const member of damaged) await this.#repair(member, revision);
  }

  /** A leader that repaired a member may have been lost before it took the alarm back, and nobody can write until then. */
  async #takeBack(revision: number): Promise<void> {
    for (const { member } of this.#context.machine.alarms.list(AlarmType.corrupt)) {
      await this.#alarm(member, AlarmAction.deactivate);
      this.#options.onNotice(
        "warn",
        `all members agree at revision ${revision}: CORRUPT of member ${member} is taken back`,
      );
    }
  }

  async #repair(member: MemberId, revision: number): Promise<void> {
    const { replacement, onNotice } = this.#options;
    if (replacement === null) return;
    const request = toBinary(ExpectStateRequestSchema, create(ExpectStateRequestSchema, { asMessage: true }));
    const answer = await askMember(this.#context, member, expectPath, request);
    if (answer?.code !== StatusCode.ok) throw new Error(`member ${member} does not take a new state`);
    await this.#waitUntilApplied(decodeAppliedIndex(answer.message));
    await replacement.send(member);
    const { store } = this.#context.machine;
    const asked = askHash(this.#context, member, revision, attemptsMax);
    const [own, theirs] = await Promise.all([store.hashKv(revision, "members"), asked]);
    if (theirs?.hash !== own.hash) throw new Error(`member ${member} still differs after it got a new state`);
    await this.#alarm(member, AlarmAction.deactivate);
    onNotice("warn", `member ${member} was repaired from this leader's state and agrees again; CORRUPT is taken back`);
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

export type Verdict = {
  readonly damaged: readonly MemberId[];
  /** The voters that agree, when they are a majority of all voters; else empty. */
  readonly majority: readonly MemberId[];
};

/** Who differs. Without a majority everybody who differs from somebody is suspect. */
export function judgeHashes(hashes: ReadonlyMap<MemberId, number>, voters: readonly MemberId[]): Verdict {
  if (new Set(hashes.values()).size < 2) return { damaged: [], majority: [] };
  const right = majorityHash(hashes, voters);
  return {
    damaged: [...hashes.keys()].filter((id) => hashes.get(id) !== right),
    majority: right === null ? [] : voters.filter((id) => hashes.get(id) === right),
  };
}

/** What more than half of the voters hold; null when there is no such hash. */
export function majorityHash(hashes: ReadonlyMap<MemberId, number>, voters: readonly MemberId[]): number | null {
  for (const hash of hashes.values()) {
    if (voters.filter((id) => hashes.get(id) === hash).length >= majorityOf(voters.length)) return hash;
  }
  return null;
}

/** A member's hash at `revision`; null when it cannot say, or not within `attempts`, because it is behind. */
export async function askHash(
  context: ServiceContext,
  member: MemberId,
  revision: number,
  attempts = 1,
): Promise<Hashed | null> {
  const request = toBinary(HashKVRequestSchema, create(HashKVRequestSchema, { revision: BigInt(revision) }));
  for (let attempt = 1; ; attempt++) {
    const answer = await askMember(context, member, hashPath, request);
    if (answer?.code === StatusCode.ok) {
      const { hash, compactRevision } = fromBinary(HashKVResponseSchema, answer.message);
      return { hash, compactRevision: Number(compactRevision) };
    }
    if (answer?.code !== StatusCode.outOfRange || attempt >= attempts) return null;
    await context.clock.sleep(retryMs);
  }
}
