/**
 * etcdserverpb.Cluster. Changes run on the leader (a follower forwards them), after etcd's checks in etcd's order;
 * haplan's additional checks are in `member-rules.ts`.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { formatMemberId, parseMemberId } from "../../base/member-id.ts";
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
import { withVoters } from "../consensus/member-changes.ts";
import {
  checkMemberAdd,
  checkStrictMemberAdd,
  checkStrictMemberRemove,
  isInSync,
  promotableLearners,
} from "../consensus/member-rules.ts";
import type { ServerCall } from "../grpc/call.ts";
import { type EtcdError, EtcdErrors } from "../state-machine/etcd-error.ts";
import { computeMemberId, validateUrls } from "../state-machine/member-id.ts";
import type { Member } from "../state-machine/membership.ts";
import { answerBytes, failCall, unary } from "./answer.ts";
import { type Change, type ChangeHandler, changeOnLeader } from "./change-requests.ts";
import { generatedHeader } from "./generated-header.ts";
import type { ServedMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

export function createClusterMethods(context: ServiceContext): ServedMethod[] {
  const path = (name: string): string => `/etcdserverpb.Cluster/${name}`;
  const change = (name: string, handler: ChangeHandler): ServedMethod =>
    unary(context, { path: path(name), access: "root" }, changeOnLeader(context, handler));
  return [
    unary(context, { path: path("MemberList"), access: "user" }, (request, call) =>
      listMembers(context, request, call),
    ),
    change("MemberAdd", addMember),
    change("MemberRemove", removeMember),
    change("MemberUpdate", updateMember),
    change("MemberPromote", promoteMember),
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
    if (error !== null) failCall(call, error);
    else reply();
  });
}

function addMember(context: ServiceContext, bytes: Uint8Array): Change {
  const request = fromBinary(MemberAddRequestSchema, bytes);
  const peerUrls = [...request.peerURLs].sort();
  const { learnersMax, strictReconfigCheck } = context.limits;
  return {
    decide: (facts) => {
      let error: EtcdError | null = validateUrls(peerUrls) === null ? null : EtcdErrors.badMemberUrls;
      if (strictReconfigCheck) error ??= checkStrictMemberAdd(facts, request.isLearner);
      error ??= checkMemberAdd(facts, peerUrls, request.isLearner);
      const learners = facts.members.filter((member) => member.learner).length;
      if (request.isLearner && learners >= learnersMax) error ??= EtcdErrors.tooManyLearners;
      const id = computeMemberId(peerUrls, context.clusterToken, context.clock.now());
      if (context.machine.membership.get(id) !== undefined) error ??= EtcdErrors.memberIdExists;
      if (error !== null) return error;
      const { voters, learners: others } = facts.configuration;
      const added = [{ id, peerUrls, learner: request.isLearner }];
      return { kind: "configuration", target: { voters, learners: [...others, id].sort() }, added };
    },
    answer: ({ added }) => {
      const member = added.map((one) => memberMessage({ ...one, name: "", clientUrls: [] }))[0];
      const message = create(MemberAddResponseSchema, {
        ...changed(context),
        ...(member === undefined ? {} : { member }),
      });
      return toBinary(MemberAddResponseSchema, message);
    },
  };
}

function removeMember(context: ServiceContext, bytes: Uint8Array): Change {
  const id = formatMemberId(fromBinary(MemberRemoveRequestSchema, bytes).ID);
  const { membership } = context.machine;
  return {
    decide: (facts) => {
      let error: EtcdError | null = membership.get(id) === undefined ? EtcdErrors.memberNotFound : null;
      if (context.limits.strictReconfigCheck) error ??= checkStrictMemberRemove(facts, id);
      if (error !== null) return error;
      const waiting = membership.pendingVoters().filter((member) => member !== id);
      const voters = facts.configuration.voters.filter((voter) => voter !== id);
      const learners = facts.configuration.learners.filter((learner) => learner !== id);
      const admitted = promotableLearners(facts, voters.length, waiting);
      const target = withVoters({ voters, learners, votersOutgoing: [] }, admitted);
      return { kind: "configuration", target, added: [] };
    },
    answer: () => toBinary(MemberRemoveResponseSchema, create(MemberRemoveResponseSchema, changed(context))),
  };
}

function updateMember(context: ServiceContext, bytes: Uint8Array): Change {
  const request = fromBinary(MemberUpdateRequestSchema, bytes);
  const id = formatMemberId(request.ID);
  const peerUrls = [...request.peerURLs].sort();
  return {
    decide: (facts) => {
      const others = facts.members.filter((member) => member.id !== id);
      let error: EtcdError | null = validateUrls(peerUrls) === null ? null : EtcdErrors.badMemberUrls;
      if (context.machine.membership.get(id) === undefined) error ??= EtcdErrors.memberNotFound;
      error ??= checkMemberAdd({ ...facts, members: others }, peerUrls);
      return error ?? { kind: "member", update: { id, peerUrls } };
    },
    answer: () => toBinary(MemberUpdateResponseSchema, create(MemberUpdateResponseSchema, changed(context))),
  };
}

function promoteMember(context: ServiceContext, bytes: Uint8Array): Change {
  const id = formatMemberId(fromBinary(MemberPromoteRequestSchema, bytes).ID);
  return {
    decide: (facts) => {
      const member = context.machine.membership.get(id);
      let error: EtcdError | null = member === undefined ? EtcdErrors.memberNotFound : null;
      if (member?.learner === false) error ??= EtcdErrors.memberNotLearner;
      if (!isInSync(facts, id)) error ??= EtcdErrors.learnerNotReady;
      if (error === null) return { kind: "member", update: { id, learner: false } };
      const { promotionsRejected } = context.counts;
      promotionsRejected.set(error.text, (promotionsRejected.get(error.text) ?? 0) + 1);
      return error;
    },
    answer: () => {
      context.memberChanges.promotePendingVoters();
      return toBinary(MemberPromoteResponseSchema, create(MemberPromoteResponseSchema, changed(context)));
    },
  };
}

function changed(context: ServiceContext): { header: ReturnType<typeof generatedHeader>; members: MemberMessage[] } {
  return { header: generatedHeader(context, 0), members: memberMessages(context) };
}

function memberMessages(context: ServiceContext): MemberMessage[] {
  return context.machine.membership.list().map(memberMessage);
}

function memberMessage(member: Member): MemberMessage {
  return create(MemberSchema, {
    ID: parseMemberId(member.id),
    name: member.name,
    peerURLs: [...member.peerUrls],
    clientURLs: [...member.clientUrls],
    isLearner: member.learner,
  });
}
