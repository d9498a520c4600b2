/** etcdserverpb.Maintenance: status, alarms, hashes, snapshots, leadership transfer. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { errorText } from "../../base/haplan-error.ts";
import { formatMemberId, parseMemberId } from "../../base/member-id.ts";
import {
  AlarmMemberSchema,
  AlarmType as AlarmMessage,
  AlarmRequest_AlarmAction,
  AlarmRequestSchema,
  AlarmResponseSchema,
  DefragmentResponseSchema,
  HashKVRequestSchema,
  HashKVResponseSchema,
  HashResponseSchema,
  MoveLeaderRequestSchema,
  MoveLeaderResponseSchema,
  StatusResponseSchema,
} from "../api/gen/etcdserverpb/rpc_pb.ts";
import { StatusCode } from "../api/status-code.ts";
import type { ServerCall } from "../grpc/call.ts";
import { type HashReader, type KeyspaceHash, RevisionError } from "../mvcc/store.ts";
import type { MemberId } from "../raft/entry.ts";
import { type Alarm, AlarmType, alarmName } from "../state-machine/apply-result.ts";
import { CommandKind } from "../state-machine/command.ts";
import { type EtcdError, EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import { revisionError } from "../state-machine/txn.ts";
import { answerBytes, failCall, unary } from "./answer.ts";
import { generatedHeader } from "./generated-header.ts";
import { createSnapshotMethod } from "./send-snapshot.ts";
import type { AccessLevel, MethodDeclaration, ServedMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

const transferPollMs = 10;
/** For clients, concurrently. */
const hashScansMax = 4;

export function createMaintenanceMethods(context: ServiceContext): ServedMethod[] {
  const rpc = (access: AccessLevel, name: string): MethodDeclaration => ({
    path: `/etcdserverpb.Maintenance/${name}`,
    access,
  });
  return [
    unary(context, { ...rpc("user", "Status"), learner: true }, (_request, call) => status(context, call)),
    unary(context, rpc("user", "Alarm"), (request, call) => alarm(context, request, call)),
    unary(context, rpc("root", "Defragment"), (_request, call) => defragment(context, call)),
    unary(context, rpc("root", "Hash"), (_request, call) => hash(context, call)),
    unary(context, rpc("root", "HashKV"), (request, call) => hashKv(context, request, call)),
    unary(context, rpc("root", "MoveLeader"), (request, call) => moveLeader(context, request, call)),
    createSnapshotMethod(context),
  ];
}

function status(context: ServiceContext, call: ServerCall): void {
  const { consensus, machine, quota, version } = context;
  const raft = consensus.status();
  const size = machine.store.size();
  const { downgradeTarget } = machine.membership;
  const message = create(StatusResponseSchema, {
    header: generatedHeader(context, machine.store.revision),
    version,
    dbSize: BigInt(size.totalBytes),
    dbSizeInUse: BigInt(size.inUseBytes),
    dbSizeQuota: BigInt(quota.quotaBytes),
    leader: raft.leader === null ? 0n : parseMemberId(raft.leader),
    raftIndex: BigInt(raft.commitIndex),
    raftTerm: BigInt(raft.term),
    raftAppliedIndex: BigInt(raft.appliedIndex),
    errors: statusErrors(context),
    isLearner: machine.membership.isReportedAsLearner(consensus.memberId),
    downgradeInfo: { enabled: downgradeTarget !== "", targetVersion: downgradeTarget },
    storageVersion: version.split(".").slice(0, 2).concat("0").join("."),
  });
  answerBytes(call, toBinary(StatusResponseSchema, message));
}

/** etcd's texts: a missing leader, and each alarm in protobuf's text format. */
function statusErrors(context: ServiceContext): string[] {
  const errors = context.consensus.leader() === null ? [EtcdErrors.noLeader.text] : [];
  for (const { member, type } of context.machine.alarms.list(AlarmType.none)) {
    errors.push(`memberID:${parseMemberId(member)} alarm:${alarmName(type)} `);
  }
  return errors;
}

function alarm(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { action, alarm: type } = fromBinary(AlarmRequestSchema, bytes);
  const denied = action === AlarmRequest_AlarmAction.GET ? null : context.access.authorize(call, "root");
  if (denied !== null) {
    failCall(call, denied);
    return;
  }
  // There is no such alarm, and as in etcd it cannot be activated.
  if (action === AlarmRequest_AlarmAction.ACTIVATE && type === AlarmMessage.NONE) {
    answerAlarms(context, call, context.machine.store.revision, []);
    return;
  }
  context.proposer.propose(CommandKind.alarm, bytes, (result) => {
    if (!call.open) return;
    if (isEtcdError(result)) failCall(call, result);
    else answerAlarms(context, call, result.revision, result.alarms);
  });
}

function answerAlarms(context: ServiceContext, call: ServerCall, revision: number, on: readonly Alarm[]): void {
  const alarms = on.map(({ member, type }) =>
    // Protobuf enums are open: a type without a name is returned as it was set.
    create(AlarmMemberSchema, { memberID: parseMemberId(member), alarm: type as number as AlarmMessage }),
  );
  const message = create(AlarmResponseSchema, { header: generatedHeader(context, revision), alarms });
  answerBytes(call, toBinary(AlarmResponseSchema, message));
}

/** The backend reuses freed pages by itself: the member need not be stopped, only the free space be measured. */
function defragment(context: ServiceContext, call: ServerCall): void {
  const reply = (): void => {
    context.quota.tick();
    answerBytes(call, toBinary(DefragmentResponseSchema, create(DefragmentResponseSchema)));
  };
  // A store that cannot be written has reported that to the member, which stops.
  context.machine.store.flush().then(reply, () => failCall(call, EtcdErrors.stopped));
}

/** etcd hashes its whole database file here; ours has another format, so the keyspace is what members can compare. */
function hash(context: ServiceContext, call: ServerCall): void {
  hashForClient(context, call, 0, (hashed, current) => {
    const message = create(HashResponseSchema, {
      header: generatedHeader(context, current),
      hash: hashed.hash,
    });
    return toBinary(HashResponseSchema, message);
  });
}

function hashKv(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { revision } = fromBinary(HashKVRequestSchema, bytes);
  hashForClient(context, call, Number(revision), (hashed, current) => {
    const message = create(HashKVResponseSchema, {
      header: generatedHeader(context, current),
      hash: hashed.hash,
      compactRevision: BigInt(hashed.compactRevision),
      hashRevision: BigInt(hashed.revision),
    });
    return toBinary(HashKVResponseSchema, message);
  });
}

/** `current`: the latest revision when the hash began, for the response's header. */
type HashEncoder = (hashed: KeyspaceHash, current: number) => Uint8Array;

/** Like `answerHash`, but limits concurrent scans of clients: each reads the whole keyspace. */
export function hashForClient(context: ServiceContext, call: ServerCall, revision: number, encode: HashEncoder): void {
  const { counts } = context;
  if (counts.hashScans >= hashScansMax) {
    failCall(call, EtcdErrors.tooManyRequests);
    return;
  }
  counts.hashScans++;
  void answerHash(context, call, { revision, reader: "clients" }, encode).finally(() => {
    counts.hashScans--;
  });
}

/** `revision` 0 is the latest one. Resolves once the call is answered. */
export function answerHash(
  context: ServiceContext,
  call: ServerCall,
  { revision, reader }: { readonly revision: number; readonly reader: HashReader },
  encode: HashEncoder,
): Promise<void> {
  const current = context.machine.store.revision;
  return context.machine.store.hashKv(revision, reader).then(
    (hashed) => {
      if (call.open) answerBytes(call, encode(hashed, current));
    },
    (error: unknown) => {
      if (error instanceof RevisionError) failCall(call, revisionError(error.reason)!);
      else call.finish(StatusCode.internal, `haplan-agent: cannot hash the keyspace: ${errorText(error)}`);
    },
  );
}

function moveLeader(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const target = formatMemberId(fromBinary(MoveLeaderRequestSchema, bytes).targetID);
  void transferLeadership(context, target).then((error) => {
    if (!call.open) return;
    if (error !== null) failCall(call, error);
    else answerBytes(call, toBinary(MoveLeaderResponseSchema, create(MoveLeaderResponseSchema)));
  });
}

/** Resolves with null once `target` leads. */
export async function transferLeadership(context: ServiceContext, target: MemberId): Promise<EtcdError | null> {
  const { consensus, clock, machine, proposer } = context;
  if (!consensus.isLeader()) return EtcdErrors.notLeader;
  if (!machine.membership.configuration.voters.includes(target)) return EtcdErrors.badLeaderTransferee;
  if (target === consensus.memberId) return null;
  const deadlineMs = clock.monotonicMs() + proposer.limits.requestTimeoutMs;
  consensus.transferLeadership(target);
  while (consensus.leader() !== target) {
    if (clock.monotonicMs() >= deadlineMs) return EtcdErrors.timeoutLeaderTransfer;
    await clock.sleep(transferPollMs);
  }
  return null;
}
