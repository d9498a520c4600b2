/**
 * haplan.v1.Haplan: the door through which the planning tool works on an agent beside etcd's API. Messages are JSON
 * texts in gRPC frames: these calls are rare, and people read them.
 */

import { StatusCode } from "../api/status-code.ts";
import { WireError } from "../api/wire.ts";
import type { ServerCall } from "../grpc/call.ts";
import type { KeyspaceHash } from "../mvcc/store.ts";
import type { Configuration } from "../raft/configuration.ts";
import type { LogIndex, MemberId } from "../raft/entry.ts";
import { alarmName } from "../state-machine/apply-result.ts";
import { etcdError } from "../state-machine/etcd-error.ts";
import { computeMemberId, urlListFault } from "../state-machine/member-id.ts";
import type { AddedMember, Member } from "../state-machine/membership.ts";
import { answerBytes, fail, unary } from "./answer.ts";
import { type Change, changeOnLeader } from "./change-requests.ts";
import { hashForClient, transferLeadership } from "./maintenance-service.ts";
import type { AccessLevel, MethodDeclaration, ServedMethod } from "./served-method.ts";
import type { ServiceContext } from "./service-context.ts";

const haplanService = "/haplan.v1.Haplan";

/**
 * The wanted members. New ones are named by their peer URLs and come in as learners; then a second call, once they
 * have caught up, names them among the voters. All votes move in one joint change.
 */
type ChangeMembersRequest = {
  /** Ids that shall vote: an odd number. */
  readonly voters: readonly MemberId[];
  /** Ids that shall follow without a vote; members in neither list leave for good. */
  readonly learners: readonly MemberId[];
  /** Members to bring in as learners. */
  readonly add?: readonly { readonly peerUrls: readonly string[] }[];
};
type ChangeMembersResponse = { readonly configuration: Configuration; readonly members: readonly Member[] };

type FactsRequest = {
  /** Also hash the keyspace, which reads all of it; at `revision`, or the current one. */
  readonly hash?: boolean;
  readonly revision?: number;
};

export type Facts = {
  readonly memberId: MemberId;
  readonly clusterId: string;
  readonly version: string;
  readonly role: string;
  readonly term: number;
  readonly leader: MemberId | null;
  readonly lastIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly configuration: Configuration;
  /** The entry that brought it. */
  readonly configurationIndex: LogIndex;
  readonly members: readonly Member[];
  /** Only the leader knows; `lagEntries` counts what a member has still to receive. */
  readonly progress: readonly {
    readonly member: MemberId;
    readonly matchIndex: LogIndex;
    readonly lagEntries: number;
    readonly active: boolean;
  }[];
  readonly revision: number;
  readonly dbSizeBytes: number;
  readonly dbSizeInUseBytes: number;
  readonly alarms: readonly { readonly member: MemberId; readonly type: string }[];
  readonly hash: KeyspaceHash | null;
};

type DrainRequest = {
  /** Also ask the clients to go elsewhere: the member is to leave. */
  readonly clients?: boolean;
};
type DrainResponse = { readonly leader: MemberId | null };

export function createHaplanMethods(context: ServiceContext): ServedMethod[] {
  const rpc = (access: AccessLevel, name: string): MethodDeclaration => ({
    path: `${haplanService}/${name}`,
    access,
    learner: true,
  });
  return [
    unary(context, rpc("root", "ChangeMembers"), changeOnLeader(context, changeMembers, { header: false })),
    unary(context, rpc("user", "Facts"), (request, call) => facts(context, request, call)),
    unary(context, rpc("root", "Drain"), (request, call) => drain(context, request, call)),
  ];
}

function changeMembers(context: ServiceContext, bytes: Uint8Array): Change {
  const request = parseJson<ChangeMembersRequest>(bytes);
  return {
    decide: () => {
      const fault = changeFault(context, request);
      if (fault !== null) return etcdError(StatusCode.failedPrecondition, fault);
      const added = (request.add ?? []).map(({ peerUrls }): AddedMember => {
        const sorted = [...peerUrls].sort();
        const id = computeMemberId(sorted, context.clusterToken, context.clock.now());
        return { id, peerUrls: sorted, learner: true };
      });
      const learners = [...request.learners, ...added.map(({ id }) => id)].sort();
      return { kind: "configuration", target: { voters: [...request.voters].sort(), learners }, added };
    },
    answer: () => {
      const { membership } = context.machine;
      return encodeJson({
        configuration: membership.configuration,
        members: membership.list(),
      } satisfies ChangeMembersResponse);
    },
  };
}

/** What is wrong with a wanted configuration, in words, or null. */
function changeFault(context: ServiceContext, request: ChangeMembersRequest): string | null {
  if (!isIdList(request.voters) || !isIdList(request.learners)) {
    return 'voters and learners must be lists of member ids, for example {"voters":["8e9e05c52164694d"],"learners":[]}';
  }
  if (request.voters.length % 2 === 0) {
    return `refusing ${request.voters.length} voters: an even number tolerates no more failures than one less; name an odd number`;
  }
  const known = new Set(context.machine.membership.list().map((member) => member.id));
  const named = [...request.voters, ...request.learners];
  const stranger = named.find((id) => !known.has(id));
  if (stranger !== undefined) return `member ${stranger} is not known: bring it in with "add" and its peer URLs first`;
  const twice = named.find((id, at) => named.indexOf(id) !== at);
  if (twice !== undefined) return `member ${twice} is named twice: a member either votes or learns`;
  const used = new Set(context.machine.membership.list().flatMap((member) => member.peerUrls));
  for (const { peerUrls } of request.add ?? []) {
    const urlFault = urlListFault(peerUrls);
    if (urlFault !== null) return urlFault;
    const taken = peerUrls.find((url) => used.has(url));
    if (taken !== undefined) return `peer URL ${taken} already belongs to a member`;
  }
  return null;
}

function isIdList(value: unknown): boolean {
  return Array.isArray(value) && value.every((id) => typeof id === "string" && /^[0-9a-f]{16}$/.test(id));
}

function facts(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const request = parseJson<FactsRequest>(bytes);
  if (request.hash !== true) {
    answerJson(call, collectFacts(context, null));
    return;
  }
  // Hashes at two revisions tell what was written between them, to those who may not read it as well.
  const denied = context.access.fault(call, "root");
  if (denied !== null) {
    fail(call, denied);
    return;
  }
  hashForClient(context, call, request.revision ?? 0, (hash) => encodeJson(collectFacts(context, hash)));
}

function collectFacts(context: ServiceContext, hash: KeyspaceHash | null): Facts {
  const { consensus, machine } = context;
  const raft = consensus.status();
  const size = machine.store.size();
  return {
    memberId: consensus.memberId,
    clusterId: context.clusterId,
    version: context.version,
    role: raft.role,
    term: raft.term,
    leader: raft.leader,
    lastIndex: raft.lastIndex,
    commitIndex: raft.commitIndex,
    appliedIndex: raft.appliedIndex,
    configuration: machine.membership.configuration,
    configurationIndex: machine.membership.configurationIndex,
    members: machine.membership.list(),
    progress: raft.progress.map((peer) => ({
      ...peer,
      lagEntries: Math.max(0, raft.lastIndex - peer.matchIndex),
    })),
    revision: machine.store.revision,
    dbSizeBytes: size.totalBytes,
    dbSizeInUseBytes: size.inUseBytes,
    alarms: machine.alarms.list(0).map(({ member, type }) => ({ member, type: alarmName(type) })),
    hash,
  };
}

/** Hands leadership to the voter that is furthest; does not on a member that does not lead. Then sends the clients away. */
function drain(context: ServiceContext, bytes: Uint8Array, call: ServerCall): void {
  const { consensus } = context;
  const { clients = false } = parseJson<DrainRequest>(bytes);
  const reply = (): void => {
    const answer = (): void => answerJson(call, { leader: consensus.leader() } satisfies DrainResponse);
    if (clients) void context.sendClientsAway().then(answer);
    else answer();
  };
  const successor = chooseSuccessor(context);
  if (consensus.leader() !== consensus.memberId) {
    reply();
    return;
  }
  if (successor === null) {
    fail(call, etcdError(StatusCode.failedPrecondition, "no other voter is connected that leadership could go to"));
    return;
  }
  void transferLeadership(context, successor).then((error) => {
    if (!call.open) return;
    if (error !== null) fail(call, error);
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

/** An empty message is an empty object. */
function parseJson<Message>(bytes: Uint8Array): Message {
  if (bytes.length === 0) return {} as Message;
  try {
    return asObject(JSON.parse(Buffer.from(bytes).toString("utf8"))) as Message;
  } catch (error) {
    throw new WireError(`the message is not JSON: ${String(error)}`);
  }
}

function asObject(value: unknown): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new TypeError("expected an object");
}

function answerJson(call: ServerCall, message: ChangeMembersResponse | Facts | DrainResponse): void {
  answerBytes(call, encodeJson(message));
}

function encodeJson(message: object): Buffer {
  return Buffer.from(JSON.stringify(message));
}
