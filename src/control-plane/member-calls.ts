/** The calls that haplan makes to one member, typed: etcd's public API, and the small haplan service beside it. */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import type { Metadata } from "../etcd-client/client-stream.ts";
import {
  AuthenticateRequestSchema,
  AuthenticateResponseSchema,
  AuthUserGetRequestSchema,
  AuthUserGetResponseSchema,
  LeaseGrantRequestSchema,
  LeaseGrantResponseSchema,
  LeaseRevokeRequestSchema,
  LeaseRevokeResponseSchema,
  type Member,
  MemberAddRequestSchema,
  MemberAddResponseSchema,
  MemberListRequestSchema,
  MemberListResponseSchema,
  MemberPromoteRequestSchema,
  MemberPromoteResponseSchema,
  MemberRemoveRequestSchema,
  MemberRemoveResponseSchema,
  MemberUpdateRequestSchema,
  MemberUpdateResponseSchema,
  MoveLeaderRequestSchema,
  MoveLeaderResponseSchema,
  StatusRequestSchema,
  StatusResponseSchema,
} from "../raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import type { Configuration, FactsResponse } from "../raft-agent/api/gen/haplan/v1/haplan_pb.ts";
import {
  decodeHaplan,
  encodeHaplan,
  encodingOf,
  type HaplanEncoding,
  haplanMethods,
  haplanPath,
} from "../raft-agent/api/haplan-messages.ts";
import { decodeKeyValue } from "../raft-agent/api/key-value.ts";
import { decodeLeaseKeepAliveResponse, encodeLeaseKeepAliveRequest } from "../raft-agent/api/lease-keep-alive.ts";
import { encodePutRequest } from "../raft-agent/api/put.ts";
import { decodeRangeResponse, encodeRangeRequest, rangeRequest } from "../raft-agent/api/range.ts";
import { emptyBytes } from "../raft-agent/api/wire.ts";

/** One endpoint: bytes in, bytes out. Rejects with `GrpcError`. */
export type MemberChannel = {
  unary(path: string, request: Uint8Array, timeoutMs: number, metadata?: Metadata): Promise<Uint8Array>;
  /** The database file piece by piece, with the SHA-256 of the rest in its last 32 bytes. */
  snapshot(timeoutMs: number, metadata?: Metadata): AsyncIterable<Uint8Array>;
  close(): void;
};

/** Ids are 16 hex digits, as etcdctl prints them. */
export type MemberListing = {
  readonly clusterId: string;
  readonly members: readonly ListedMember[];
};
export type ListedMember = {
  readonly id: string;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly learner: boolean;
};
export type MemberStatus = {
  readonly memberId: string;
  /** Null when it knows of none. */
  readonly leader: string | null;
  readonly raftIndex: number;
  readonly raftAppliedIndex: number;
  readonly raftTerm: number;
  readonly dbSizeBytes: number;
  readonly version: string;
  /** Alarms and errors, such as `memberID:1 alarm:NOSPACE `. */
  readonly errors: readonly string[];
};
/** What only haplan's own agents tell. */
export type AgentConfiguration = {
  readonly voters: readonly string[];
  readonly votersOutgoing: readonly string[];
  readonly learners: readonly string[];
};
export type KeyAndValue = { readonly key: string; readonly value: string };

export async function listMembers(channel: MemberChannel, timeoutMs: number): Promise<MemberListing> {
  const response = await call(
    channel,
    "Cluster/MemberList",
    MemberListRequestSchema,
    MemberListResponseSchema,
    {},
    timeoutMs,
  );
  return { clusterId: hexId(response.header?.clusterId ?? 0n), members: response.members.map(listedMember) };
}

export async function memberStatus(channel: MemberChannel, timeoutMs: number): Promise<MemberStatus> {
  const status = await call(channel, "Maintenance/Status", StatusRequestSchema, StatusResponseSchema, {}, timeoutMs);
  return {
    memberId: hexId(status.header?.memberId ?? 0n),
    leader: status.leader === 0n ? null : hexId(status.leader),
    raftIndex: Number(status.raftIndex),
    raftAppliedIndex: Number(status.raftAppliedIndex),
    raftTerm: Number(status.raftTerm),
    dbSizeBytes: Number(status.dbSize),
    version: status.version,
    errors: status.errors,
  };
}

export async function addLearnerMember(channel: MemberChannel, peerUrl: string, timeoutMs: number): Promise<string> {
  const wanted = { peerURLs: [peerUrl], isLearner: true };
  const response = await call(
    channel,
    "Cluster/MemberAdd",
    MemberAddRequestSchema,
    MemberAddResponseSchema,
    wanted,
    timeoutMs,
  );
  return hexId(response.member?.ID ?? 0n);
}

export async function removeMember(channel: MemberChannel, memberId: string, timeoutMs: number): Promise<void> {
  const wanted = { ID: numericId(memberId) };
  await call(channel, "Cluster/MemberRemove", MemberRemoveRequestSchema, MemberRemoveResponseSchema, wanted, timeoutMs);
}

export async function updateMemberPeers(
  channel: MemberChannel,
  memberId: string,
  peerUrl: string,
  timeoutMs: number,
): Promise<void> {
  const wanted = { ID: numericId(memberId), peerURLs: [peerUrl] };
  await call(channel, "Cluster/MemberUpdate", MemberUpdateRequestSchema, MemberUpdateResponseSchema, wanted, timeoutMs);
}

export async function promoteMember(channel: MemberChannel, memberId: string, timeoutMs: number): Promise<void> {
  const wanted = { ID: numericId(memberId) };
  await call(
    channel,
    "Cluster/MemberPromote",
    MemberPromoteRequestSchema,
    MemberPromoteResponseSchema,
    wanted,
    timeoutMs,
  );
}

/** Only the leader takes this. */
export async function moveLeaderTo(channel: MemberChannel, memberId: string, timeoutMs: number): Promise<void> {
  const wanted = { targetID: numericId(memberId) };
  await call(channel, "Maintenance/MoveLeader", MoveLeaderRequestSchema, MoveLeaderResponseSchema, wanted, timeoutMs);
}

/** A token for the user, to be shown as `token` in the metadata. */
export async function authenticate(
  channel: MemberChannel,
  name: string,
  password: string,
  timeoutMs: number,
): Promise<string> {
  const user = { name, password };
  return (
    await call(channel, "Auth/Authenticate", AuthenticateRequestSchema, AuthenticateResponseSchema, user, timeoutMs)
  ).token;
}

/** Everybody may ask for their own. */
export async function rolesOf(channel: MemberChannel, name: string, timeoutMs: number): Promise<readonly string[]> {
  return (await call(channel, "Auth/UserGet", AuthUserGetRequestSchema, AuthUserGetResponseSchema, { name }, timeoutMs))
    .roles;
}

/** Reads one key. A serializable read is answered by the member alone; a linearizable one needs a majority. */
export async function readKey(
  channel: MemberChannel,
  key: string,
  options: { readonly serializable: boolean },
  timeoutMs: number,
): Promise<KeyAndValue | null> {
  return (await range(channel, encodeRangeRequest(rangeRequest(Buffer.from(key), options)), timeoutMs))[0] ?? null;
}

export async function readPrefix(channel: MemberChannel, prefix: string, timeoutMs: number): Promise<KeyAndValue[]> {
  const key = Buffer.from(prefix);
  const rangeEnd = Buffer.from(key);
  rangeEnd[rangeEnd.length - 1]! += 1;
  return range(channel, encodeRangeRequest(rangeRequest(key, { rangeEnd, serializable: true })), timeoutMs);
}

async function range(channel: MemberChannel, request: Uint8Array, timeoutMs: number): Promise<KeyAndValue[]> {
  const response = decodeRangeResponse(await channel.unary("/etcdserverpb.KV/Range", request, timeoutMs));
  return response.kvs.map((encoded) => {
    const { key, value } = decodeKeyValue(encoded);
    return { key: Buffer.from(key).toString(), value: Buffer.from(value).toString() };
  });
}

/** `lease` 0n attaches none. */
export async function putKey(
  channel: MemberChannel,
  write: { readonly key: string; readonly value: string; readonly lease: bigint },
  timeoutMs: number,
): Promise<void> {
  const request = encodePutRequest({
    key: Buffer.from(write.key),
    value: Buffer.from(write.value),
    lease: write.lease,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  });
  await channel.unary("/etcdserverpb.KV/Put", request, timeoutMs);
}

/** Returns the lease's id. */
export async function grantLease(channel: MemberChannel, ttlSeconds: number, timeoutMs: number): Promise<bigint> {
  const wanted = { TTL: BigInt(ttlSeconds) };
  return (await call(channel, "Lease/LeaseGrant", LeaseGrantRequestSchema, LeaseGrantResponseSchema, wanted, timeoutMs))
    .ID;
}

/** Renews once; false when there is no such lease any more. A stream of one message behaves like a plain call. */
export async function keepLeaseAlive(channel: MemberChannel, lease: bigint, timeoutMs: number): Promise<boolean> {
  const request = encodeLeaseKeepAliveRequest({ id: lease });
  return (
    decodeLeaseKeepAliveResponse(await channel.unary("/etcdserverpb.Lease/LeaseKeepAlive", request, timeoutMs)).ttl > 0
  );
}

export async function revokeLease(channel: MemberChannel, lease: bigint, timeoutMs: number): Promise<void> {
  const wanted = { ID: lease };
  await call(channel, "Lease/LeaseRevoke", LeaseRevokeRequestSchema, LeaseRevokeResponseSchema, wanted, timeoutMs);
}

/** Also tells which encoding the agent speaks: an empty request is the same in both. */
async function haplanFacts(
  channel: MemberChannel,
  timeoutMs: number,
): Promise<{ readonly facts: FactsResponse; readonly encoding: HaplanEncoding }> {
  const { facts } = haplanMethods;
  const answer = await channel.unary(haplanPath(facts), emptyBytes, timeoutMs);
  return { facts: readAnswer(facts, answer), encoding: encodingOf(answer) };
}

export async function agentConfiguration(
  channel: MemberChannel,
  timeoutMs: number,
): Promise<AgentConfiguration & { readonly index: number | null }> {
  const { configuration, configurationIndex } = (await haplanFacts(channel, timeoutMs)).facts;
  const index = configurationIndex === undefined ? null : Number(configurationIndex);
  return { ...plainConfiguration(configuration), index };
}

/** Asks the member to hand leadership over, and its clients to go elsewhere: it is to leave. */
export async function drainMember(channel: MemberChannel, timeoutMs: number): Promise<void> {
  await haplanCall(channel, haplanMethods.drain, { clients: true }, timeoutMs);
}

/** Moves all votes in one joint change; members in neither list leave for good. */
export async function changeMembers(
  channel: MemberChannel,
  wanted: { readonly voters: readonly string[]; readonly learners: readonly string[] },
  timeoutMs: number,
): Promise<AgentConfiguration> {
  const request = { voters: [...wanted.voters], learners: [...wanted.learners] };
  const { configuration } = await haplanCall(channel, haplanMethods.changeMembers, request, timeoutMs);
  return plainConfiguration(configuration);
}

async function haplanCall<Request extends DescMessage, Response extends DescMessage>(
  channel: MemberChannel,
  method: DescMethodUnary<Request, Response>,
  request: MessageInitShape<Request>,
  timeoutMs: number,
): Promise<MessageShape<Response>> {
  const deadline = performance.now() + timeoutMs;
  const { encoding } = await haplanFacts(channel, timeoutMs);
  const leftMs = Math.max(1, Math.ceil(deadline - performance.now()));
  const answer = await channel.unary(haplanPath(method), encodeHaplan(method.input, request, encoding), leftMs);
  return readAnswer(method, answer);
}

function readAnswer<Response extends DescMessage>(
  method: DescMethodUnary<DescMessage, Response>,
  bytes: Uint8Array,
): MessageShape<Response> {
  try {
    return decodeHaplan(method.output, bytes);
  } catch (error) {
    throw new HaplanError(
      "control-plane/unknown-answer",
      `Cannot read the agent's answer to ${method.name}: ${errorText(error)}. Use the haplan of the agents' release, or of the one after it`,
      { cause: error },
    );
  }
}

function plainConfiguration(configuration: Configuration | undefined): AgentConfiguration {
  const { voters = [], votersOutgoing = [], learners = [] } = configuration ?? {};
  return { voters, votersOutgoing, learners };
}

async function call<Request extends DescMessage, Response extends DescMessage>(
  channel: MemberChannel,
  method: string,
  requestSchema: Request,
  responseSchema: Response,
  request: MessageInitShape<Request>,
  timeoutMs: number,
): Promise<MessageShape<Response>> {
  const bytes = toBinary(requestSchema, create(requestSchema, request));
  return fromBinary(responseSchema, await channel.unary(`/etcdserverpb.${method}`, bytes, timeoutMs));
}

function listedMember(member: Member): ListedMember {
  return {
    id: hexId(member.ID),
    name: member.name,
    peerUrls: member.peerURLs,
    clientUrls: member.clientURLs,
    learner: member.isLearner,
  };
}

function hexId(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16).padStart(16, "0");
}

function numericId(id: string): bigint {
  return BigInt(`0x${id}`);
}
