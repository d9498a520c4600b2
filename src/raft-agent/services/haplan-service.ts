/**
 * haplan.v1.Haplan: the haplan tool's calls to an agent beside etcd's API. `api/haplan-messages.ts` has the encodings.
 */
import type { DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import type {
  ChangeMembersRequest,
  ConfigurationSchema,
  FactsResponseSchema,
  MemberSchema,
} from "../api/gen/haplan/v1/haplan_pb.ts";
import { decodeHaplan, encodeHaplan, encodingOf, haplanMethods, haplanPath } from "../api/haplan-messages.ts";
import { StatusCode } from "../api/status-code.ts";
import type { ServerCall } from "../grpc/call.ts";
import type { KeyspaceHash } from "../mvcc/store.ts";
import type { Configuration } from "../raft/configuration.ts";
import type { MemberId } from "../raft/entry.ts";
import { alarmName } from "../state-machine/apply-result.ts";
import { etcdError } from "../state-machine/etcd-error.ts";
import { computeMemberId, validateUrls } from "../state-machine/member-id.ts";
import type { AddedMember, Member } from "../state-machine/membership.ts";
import { answerBytes, failCall, unary } from "./answer.ts";
import { type Change, changeOnLeader } from "./change-requests.ts";
import { hashForClient, transferLeadership } from "./maintenance-service.ts";
import type { AccessLevel, MethodDeclaration, ServedMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

export function createHaplanMethods(context: ServiceContext): ServedMethod[] {
  const rpc = (access: AccessLevel, method: DescMethod): MethodDeclaration => ({
    path: haplanPath(method),
    access,
    learner: true,
  });
  const { changeMembers, facts, drain } = haplanMethods;
  return [
    unary(context, rpc("root", changeMembers), (request, call) => answerChange(context, request, call)),
    unary(context, rpc("user", facts), (request, call) => answerFacts(context, request, call)),
    unary(context, rpc("root", drain), (request, call) => answerDrain(context, request, call)),
  ];
}

/** The leader may run the previous release: it is called in JSON, and the client gets its own encoding. */
function answerChange(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { input, output } = haplanMethods.changeMembers;
  if (call.changeId !== undefined) {
    changeOnLeader(context, changeMembers)(bytes, call);
    return;
  }
  const encoding = encodingOf(bytes);
  const forwarded = encodeHaplan(input, decodeHaplan(input, bytes), "json");
  const convertAnswer = (answer: Uint8Array): Uint8Array =>
    encodeHaplan(output, decodeHaplan(output, answer), encoding);
  changeOnLeader(context, changeMembers, { convertAnswer })(forwarded, call);
}

function changeMembers(context: ServiceContext, bytes: Uint8Array): Change {
  const request = decodeHaplan(haplanMethods.changeMembers.input, bytes);
  return {
    decide: () => {
      const error = validateChange(context, request);
      if (error !== null) return etcdError(StatusCode.failedPrecondition, error);
      const added = request.add.map(({ peerUrls }): AddedMember => {
        const sorted = [...peerUrls].sort();
        const id = computeMemberId(sorted, context.clusterToken, context.clock.now());
        return { id, peerUrls: sorted, learner: true };
      });
      const learners = [...request.learners, ...added.map(({ id }) => id)].sort();
      return { kind: "configuration", target: { voters: [...request.voters].sort(), learners }, added };
    },
    answer: () => {
      const { membership } = context.machine;
      const { configuration } = membership;
      const members = membership.list().map(memberMessage);
      const response = { configuration: configurationMessage(configuration), members };
      return encodeHaplan(haplanMethods.changeMembers.output, response, encodingOf(bytes));
    },
  };
}

/** What is wrong with a requested configuration, or null. */
function validateChange(context: ServiceContext, request: ChangeMembersRequest): string | null {
  if (request.voters.length === 0 || ![...request.voters, ...request.learners].every(isMemberId)) {
    return 'voters and learners must be lists of member ids, for example {"voters":["8e9e05c52164694d"],"learners":[]}';
  }
  if (request.voters.length % 2 === 0) {
    return `${request.voters.length} voters are rejected: an even number tolerates no more failures than one voter less; use an odd number`;
  }
  const known = new Set(context.machine.membership.list().map((member) => member.id));
  const named = [...request.voters, ...request.learners];
  const unknown = named.find((id) => !known.has(id));
  if (unknown !== undefined) return `member ${unknown} is unknown: add it with "add" and its peer URLs first`;
  const twice = named.find((id, at) => named.indexOf(id) !== at);
  if (twice !== undefined) return `member ${twice} is listed twice: a member is either a voter or a learner`;
  const used = new Set(context.machine.membership.list().flatMap((member) => member.peerUrls));
  for (const { peerUrls } of request.add) {
    const urlFault = validateUrls(peerUrls);
    if (urlFault !== null) return urlFault;
    const taken = peerUrls.find((url) => used.has(url));
    if (taken !== undefined) return `peer URL ${taken} already belongs to a member`;
  }
  return null;
}

function isMemberId(id: string): boolean {
  return /^[0-9a-f]{16}$/.test(id);
}

function answerFacts(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { input, output } = haplanMethods.facts;
  const request = decodeHaplan(input, bytes);
  const encoding = encodingOf(bytes);
  const encode = (hash: KeyspaceHash | null): Uint8Array => encodeHaplan(output, collectFacts(context, hash), encoding);
  if (!request.hash) {
    answerBytes(call, encode(null));
    return;
  }
  // Hashes at two revisions reveal whether anything was written in between, so they need root as well.
  const denied = context.access.authorize(call, "root");
  if (denied !== null) {
    failCall(call, denied);
    return;
  }
  hashForClient(context, call, Number(request.revision), encode);
}

function collectFacts(
  context: ServiceContext,
  hash: KeyspaceHash | null,
): MessageInitShape<typeof FactsResponseSchema> {
  const { consensus, machine } = context;
  const { membership, store } = machine;
  const raft = consensus.status();
  const size = store.size();
  return {
    memberId: consensus.memberId,
    clusterId: context.clusterId,
    version: context.version,
    role: raft.role,
    term: BigInt(raft.term),
    ...(raft.leader === null ? {} : { leader: raft.leader }),
    lastIndex: BigInt(raft.lastIndex),
    commitIndex: BigInt(raft.commitIndex),
    appliedIndex: BigInt(raft.appliedIndex),
    configuration: configurationMessage(membership.configuration),
    configurationIndex: BigInt(membership.configurationIndex),
    members: membership.list().map(memberMessage),
    progress: raft.progress.map(({ member, matchIndex, active }) => ({
      member,
      matchIndex: BigInt(matchIndex),
      lagEntries: BigInt(Math.max(0, raft.lastIndex - matchIndex)),
      active,
    })),
    revision: BigInt(store.revision),
    dbSizeBytes: BigInt(size.totalBytes),
    dbSizeInUseBytes: BigInt(size.inUseBytes),
    alarms: machine.alarms.list(0).map(({ member, type }) => ({ member, type: alarmName(type) })),
    ...(hash === null
      ? {}
      : {
          hash: {
            hash: hash.hash,
            revision: BigInt(hash.revision),
            compactRevision: BigInt(hash.compactRevision),
          },
        }),
  };
}

/** A message may be modified by its owner, but these lists may not: it gets copies. */
function configurationMessage({
  voters,
  votersOutgoing,
  learners,
}: Configuration): MessageInitShape<typeof ConfigurationSchema> {
  return { voters: [...voters], votersOutgoing: [...votersOutgoing], learners: [...learners] };
}

function memberMessage({ peerUrls, clientUrls, ...member }: Member): MessageInitShape<typeof MemberSchema> {
  return { ...member, peerUrls: [...peerUrls], clientUrls: [...clientUrls] };
}

/**
 * Transfers leadership to the most up-to-date voter; does nothing on a member that is not the leader. Then drains the
 * clients.
 */
function answerDrain(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { consensus } = context;
  const { input, output } = haplanMethods.drain;
  const { clients } = decodeHaplan(input, bytes);
  const encoding = encodingOf(bytes);
  const reply = (): void => {
    const answer = (): void => {
      const leader = consensus.leader();
      answerBytes(call, encodeHaplan(output, leader === null ? {} : { leader }, encoding));
    };
    if (clients) void context.drainClients().then(answer);
    else answer();
  };
  const successor = chooseSuccessor(context);
  if (!consensus.isLeader()) {
    reply();
    return;
  }
  if (successor === null) {
    failCall(call, etcdError(StatusCode.failedPrecondition, "no other voter is connected to transfer leadership to"));
    return;
  }
  void transferLeadership(context, successor).then((error) => {
    if (!call.open) return;
    if (error !== null) failCall(call, error);
    else reply();
  });
}

/** The connected voter with the longest log; null when there is none beside this member. */
function chooseSuccessor(context: ServiceContext): MemberId | null {
  const { consensus, machine } = context;
  const candidates = consensus
    .status()
    .progress.filter(({ member, active }) => active && member !== consensus.memberId)
    .filter(({ member }) => machine.membership.configuration.voters.includes(member))
    .sort((a, b) => b.matchIndex - a.matchIndex);
  return candidates[0]?.member ?? null;
}
