/**
 * etcdserverpb.Cluster. Changes run on the leader (a follower forwards them), after etcd's checks in etcd's order;
 * what haplan adds to them is in `member-rules.ts`.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  MemberAddRequestSchema,
  MemberAddResponseSchema,
  MemberListRequestSchema,
  MemberListResponseSchema,
  type Member as MemberMessage,
  MemberPromoteRequestSchema,
  MemberPromoteResponseSchema,
  MemberRemoveRequestSchema,
  MemberRemoveResponseSchema,
  MemberSchema,
  MemberUpdateRequestSchema,
  MemberUpdateResponseSchema,
} from "../api/gen/etcdserverpb/rpc_pb.ts";
import type { Method, ServerCall } from "../grpc/call.ts";
import type { MemberId } from "../raft/entry.ts";
import { CommandKind } from "../state-machine/command.ts";
import { encodeJson } from "../state-machine/command-body.ts";
import { type EtcdError, EtcdErrors, isEtcdError } from "../state-machine/etcd-error.ts";
import { computeMemberId, urlListFault } from "../state-machine/member-id.ts";
import type { AddedMember, Member } from "../state-machine/membership.ts";
import { answerBytes, fail, type UnaryHandler, unary } from "./answer.ts";
import { generatedHeader } from "./generated-header.ts";
import { withVoters } from "./member-changes.ts";
import { addFault, isInSync, strictAddFault, strictRemoveFault, votersToAdmit } from "./member-rules.ts";
import { forwardToLeader } from "./peer-requests.ts";
import { memberIdFromBigInt, memberIdToBigInt, type ServiceContext } from "./service-context.ts";

type LeaderHandler = (context: ServiceContext, request: Uint8Array, call: ServerCall) => void;

export function createClusterMethods(context: ServiceContext): Method[] {
  const onLeader =
    (handler: LeaderHandler): UnaryHandler =>
    (request, call) => {
      if (context.consensus.leader() === context.consensus.memberId) handler(context, request, call);
      else forwardToLeader(context, request.slice(), call);
    };
  const path = (name: string): string => `/etcdserverpb.Cluster/${name}`;
  return [
    unary(context, path("MemberList"), (request, call) => listMembers(context, request, call)),
    unary(context, path("MemberAdd"), onLeader(addMember)),
    unary(context, path("MemberRemove"), onLeader(removeMember)),
    unary(context, path("MemberUpdate"), onLeader(updateMember)),
    unary(context, path("MemberPromote"), onLeader(promoteMember)),
  ];
}

function listMembers(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { linearizable } = fromBinary(MemberListRequestSchema, bytes);
  const reply = (): void => {
    const message = create(MemberListResponseSchema, {
      header: generatedHeader(context, 0),
      members: memberMessages(context),
    });
    answerBytes(call, toBinary(MemberListResponseSchema, message));
  };
  if (!linearizable) {
    reply();
    return;
  }
  context.reads.request((error) => {
    if (!call.open) return;
    if (error !== null) fail(call, error);
    else reply();
  });
}

function addMember(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const request = fromBinary(MemberAddRequestSchema, bytes);
  const peerUrls = [...request.peerURLs].sort();
  const facts = context.memberChanges.facts();
  const { learnersMax, strictReconfigCheck } = context.limits;
  let fault: EtcdError | null = urlListFault(peerUrls) === null ? null : EtcdErrors.badMemberUrls;
  if (strictReconfigCheck && !request.isLearner) fault ??= strictAddFault(facts);
  fault ??= addFault(facts, peerUrls, request.isLearner);
  const learners = facts.members.filter((member) => member.learner).length;
  if (request.isLearner && learners >= learnersMax) fault ??= EtcdErrors.tooManyLearners;
  const id = computeMemberId(peerUrls, context.clusterToken, context.clock.now());
  if (context.machine.membership.get(id) !== undefined) fault ??= EtcdErrors.memberIdExists;
  if (fault !== null) {
    fail(call, fault);
    return;
  }
  const added: AddedMember = { id, peerUrls, learner: request.isLearner };
  const decide = (current: { voters: readonly MemberId[]; learners: readonly MemberId[] }) => ({
    voters: current.voters,
    learners: [...current.learners, id].sort(),
  });
  context.memberChanges.change(decide, [added], (error) => {
    answerChange(call, error, () => {
      const member = memberMessage({ ...added, name: "", clientUrls: [] });
      const message = create(MemberAddResponseSchema, { ...changed(context), member });
      return toBinary(MemberAddResponseSchema, message);
    });
  });
}

function removeMember(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const id = memberIdFromBigInt(fromBinary(MemberRemoveRequestSchema, bytes).ID);
  const facts = context.memberChanges.facts();
  let fault: EtcdError | null = context.machine.membership.get(id) === undefined ? EtcdErrors.memberNotFound : null;
  if (context.limits.strictReconfigCheck) fault ??= strictRemoveFault(facts, id);
  if (fault !== null) {
    fail(call, fault);
    return;
  }
  const waiting = context.machine.membership.waitingVoters().filter((member) => member !== id);
  context.memberChanges.change(
    (current) => {
      const voters = current.voters.filter((voter) => voter !== id);
      const learners = current.learners.filter((learner) => learner !== id);
      const admitted = votersToAdmit(facts, voters.length, waiting);
      return withVoters({ voters, learners, votersOutgoing: [] }, admitted);
    },
    [],
    (error) => {
      answerChange(call, error, () =>
        toBinary(MemberRemoveResponseSchema, create(MemberRemoveResponseSchema, changed(context))),
      );
    },
  );
}

function updateMember(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const request = fromBinary(MemberUpdateRequestSchema, bytes);
  const id = memberIdFromBigInt(request.ID);
  const peerUrls = [...request.peerURLs].sort();
  const facts = context.memberChanges.facts();
  const others = facts.members.filter((member) => member.id !== id);
  let fault: EtcdError | null = urlListFault(peerUrls) === null ? null : EtcdErrors.badMemberUrls;
  if (context.machine.membership.get(id) === undefined) fault ??= EtcdErrors.memberNotFound;
  fault ??= addFault({ ...facts, members: others }, peerUrls);
  if (fault !== null) {
    fail(call, fault);
    return;
  }
  context.proposer.propose(CommandKind.memberUpdate, encodeJson({ id, peerUrls }), (result) => {
    answerChange(call, isEtcdError(result) ? result : null, () =>
      toBinary(MemberUpdateResponseSchema, create(MemberUpdateResponseSchema, changed(context))),
    );
  });
}

function promoteMember(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const id = memberIdFromBigInt(fromBinary(MemberPromoteRequestSchema, bytes).ID);
  const facts = context.memberChanges.facts();
  const member = context.machine.membership.get(id);
  let fault: EtcdError | null = member === undefined ? EtcdErrors.memberNotFound : null;
  if (member?.learner === false) fault ??= EtcdErrors.memberNotLearner;
  if (!isInSync(facts, id)) fault ??= EtcdErrors.learnerNotReady;
  if (fault !== null) {
    const { promotionsRefused } = context.counts;
    promotionsRefused.set(fault.text, (promotionsRefused.get(fault.text) ?? 0) + 1);
    fail(call, fault);
    return;
  }
  context.proposer.propose(CommandKind.memberUpdate, encodeJson({ id, learner: false }), (result) => {
    context.memberChanges.admitWaitingVoters();
    answerChange(call, isEtcdError(result) ? result : null, () =>
      toBinary(MemberPromoteResponseSchema, create(MemberPromoteResponseSchema, changed(context))),
    );
  });
}

function answerChange(call: ServerCall, error: EtcdError | null, encode: () => Uint8Array): void {
  if (!call.open) return;
  if (error !== null) fail(call, error);
  else answerBytes(call, encode());
}

function changed(context: ServiceContext): { header: ReturnType<typeof generatedHeader>; members: MemberMessage[] } {
  return { header: generatedHeader(context, 0), members: memberMessages(context) };
}

function memberMessages(context: ServiceContext): MemberMessage[] {
  return context.machine.membership.list().map(memberMessage);
}

function memberMessage(member: Member): MemberMessage {
  return create(MemberSchema, {
    ID: memberIdToBigInt(member.id),
    name: member.name,
    peerURLs: [...member.peerUrls],
    clientURLs: [...member.clientUrls],
    isLearner: member.learner,
  });
}
