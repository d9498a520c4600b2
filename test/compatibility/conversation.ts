/**
 * A conversation with a cluster, as data: unary calls, streams and `etcdctl` invocations in order. When it is run
 * against a real etcd and against ours, the replies must be equal except for ids and times.
 */
import { execFile } from "node:child_process";
import {
  type DescMessage,
  type DescService,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import type { ClientStream, Metadata } from "../../src/etcd-client/client-stream.ts";
import { connect, type GrpcClient } from "../../src/etcd-client/grpc-client.ts";
import { GrpcError } from "../../src/etcd-client/grpc-error.ts";
import {
  Auth,
  Cluster,
  KV,
  Lease,
  Maintenance,
  type Member,
  MemberListRequestSchema,
  type MemberListResponse,
  MemberListResponseSchema,
  RangeRequestSchema,
  StatusRequestSchema,
  StatusResponseSchema,
  Watch,
} from "../../src/raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { Health } from "../../src/raft-agent/api/gen/health/health_pb.ts";
import { Election } from "../../src/raft-agent/api/gen/v3electionpb/v3election_pb.ts";
import { Lock } from "../../src/raft-agent/api/gen/v3lockpb/v3lock_pb.ts";
import type { DifferenceId } from "./differences.ts";

/** What a request may need to know about the cluster that it is sent to. */
export type ClusterFacts = {
  /** Decimal ids by member name. */
  readonly memberIds: ReadonlyMap<string, string>;
  readonly leaderId: string;
  readonly peerUrls: readonly string[];
  /** What replaces what in replies: ids and addresses are replaced by the member that they belong to; longest first. */
  readonly names: readonly (readonly [string, string])[];
  /** Members by role: the leader first. */
  readonly clients: readonly GrpcClient[];
  readonly endpoints: readonly string[];
  /** Replies that later requests use, by the name under which they were kept. */
  readonly kept: Map<string, JsonValue>;
};

export type Body = Readonly<Record<string, unknown>>;
export type BodyFrom = Body | ((facts: ClusterFacts) => Body);

export type StreamAction =
  | { readonly send: BodyFrom }
  /** Reads this many messages. */
  | { readonly read: number }
  /** Reads messages until this many events have arrived; how they are spread over messages is the server's choice. */
  | { readonly readEvents: number }
  | { readonly call: CallStep }
  /** Half-closes the stream, and reads what arrives until the end. */
  | { readonly finish: true };

type StepOptions = {
  /** Which member the request is sent to: 0 is the leader. Without it, they take turns. */
  readonly member?: number;
  readonly metadata?: Metadata | ((facts: ClusterFacts) => Metadata);
  readonly differs?: DifferenceId;
  /** Only sent to single members: several members of an etcd 3.4 diverge afterwards. */
  readonly divides?: true;
  /** Keeps the reply under this name. */
  readonly keep?: string;
};

export type CallStep = StepOptions & { readonly kind: "call"; readonly method: string; readonly body: BodyFrom };
export type StreamStep = StepOptions & {
  readonly kind: "stream";
  readonly method: string;
  readonly actions: readonly StreamAction[];
};
export type CommandStep = StepOptions & {
  readonly kind: "etcdctl";
  readonly words: readonly string[];
  /** Lines come in the order of ids. */
  readonly anyOrder?: true;
};
export type Step = CallStep | StreamStep | CommandStep;

const services: readonly DescService[] = [KV, Watch, Lease, Cluster, Maintenance, Auth, Lock, Election, Health];
const replyMs = 10_000;
const quietMs = 2_000;

/** Finds out the members and their roles. Close the clients with `closeFacts`. */
export async function learnFacts(urls: readonly string[]): Promise<ClusterFacts> {
  const clients = urls.map((url) => connect({ endpoints: [url] }));
  const [{ header, members }, statuses] = await settled(clients);
  const leaderId = statuses[0]!.leader;
  const order = urls.map((_, at) => at).sort((a, b) => rank(statuses[a]!, leaderId) - rank(statuses[b]!, leaderId));
  return {
    memberIds: new Map(members.map(({ name, ID }) => [name, String(ID)])),
    leaderId: String(leaderId),
    peerUrls: members.flatMap(({ peerURLs }) => peerURLs),
    names: [
      [String(header?.clusterId), "<id of the cluster>"] as const,
      ...members.flatMap((member) =>
        namesOf(
          member,
          order.findIndex((at) => member.clientURLs.includes(urls[at]!)),
        ),
      ),
    ].sort(([x], [y]) => y.length - x.length),
    clients: order.map((at) => clients[at]!),
    endpoints: order.map((at) => urls[at]!),
    kept: new Map(),
  };
}

type Settled = readonly [list: MemberListResponse, statuses: readonly Status[]];

/** Waits until all members have published their names and know the leader. */
async function settled(clients: readonly GrpcClient[]): Promise<Settled> {
  const request = toBinary(MemberListRequestSchema, fromJson(MemberListRequestSchema, {}));
  for (;;) {
    const bytes = await clients[0]!.unary("/etcdserverpb.Cluster/MemberList", request);
    const list = fromBinary(MemberListResponseSchema, bytes);
    const statuses = await Promise.all(clients.map(statusOf));
    const leaders = new Set(statuses.map(({ leader }) => leader));
    if (leaders.size === 1 && !leaders.has(0n) && list.members.every(({ name }) => name !== ""))
      return [list, statuses];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A member is identified by its role, since a different one may lead the other cluster. */
function namesOf({ name, ID, clientURLs, peerURLs }: Member, part: number): (readonly [string, string])[] {
  const who = part === 0 ? "the leader" : `follower ${part}`;
  const urls = [...clientURLs, ...peerURLs].map((url, at) => [new URL(url).host, `<url ${at} of ${who}>`] as const);
  return [[name, `<name of ${who}>`], [String(ID), `<id of ${who}>`], [ID.toString(16), `<id of ${who}>`], ...urls];
}

type Status = ReturnType<typeof fromBinary<typeof StatusResponseSchema>>;

async function statusOf(client: GrpcClient): Promise<Status> {
  const request = toBinary(StatusRequestSchema, fromJson(StatusRequestSchema, {}));
  return fromBinary(StatusResponseSchema, await client.unary("/etcdserverpb.Maintenance/Status", request));
}

function rank(status: Status, leader: bigint): number {
  return status.header?.memberId === leader ? 0 : 1;
}

export async function closeFacts(facts: ClusterFacts): Promise<void> {
  await Promise.all(facts.clients.map((client) => client.close()));
}

/** Sends the step to the member and returns its reply, with ids and times removed. */
export async function speak(step: Step, member: number, facts: ClusterFacts): Promise<JsonValue> {
  const raw = await speakRaw(step, member, facts);
  if (step.keep !== undefined) facts.kept.set(step.keep, raw);
  const reply = comparable(raw, facts);
  if (step.kind !== "etcdctl" || !step.anyOrder) return reply;
  const output = reply as { stdout: string };
  return { ...output, stdout: output.stdout.split("\n").toSorted() };
}

function speakRaw(step: Step, member: number, facts: ClusterFacts): Promise<JsonValue> {
  if (step.kind === "call") return callOnce(step, member, facts);
  if (step.kind === "stream") return followStream(step, member, facts);
  return runEtcdctl(step, member, facts);
}

/** Makes sure that a member has applied everything that the others were sent before. */
export async function catchUp(facts: ClusterFacts, member: number): Promise<void> {
  const request = toBinary(RangeRequestSchema, fromJson(RangeRequestSchema, { key: "YQ==", limit: "1" }));
  await facts.clients[member]!.unary("/etcdserverpb.KV/Range", request, { timeoutMs: replyMs }).catch(() => {});
}

export type Method = { readonly path: string; readonly input: DescMessage; readonly output: DescMessage };

export function methodOf(name: string): Method {
  const [serviceName, methodName] = name.split("/");
  const service = services.find((one) => one.name === serviceName);
  const method = service?.methods.find((one) => one.name === methodName);
  if (service === undefined || method === undefined) throw new Error(`no method ${name}`);
  return { path: `/${service.typeName}/${methodName}`, input: method.input, output: method.output };
}

export function encode(method: Method, body: BodyFrom, facts: ClusterFacts): Uint8Array {
  const json = typeof body === "function" ? body(facts) : body;
  return toBinary(method.input, fromJson(method.input, json as JsonValue));
}

export function decode(method: Method, bytes: Uint8Array): JsonValue {
  return toJson(method.output, fromBinary(method.output, bytes), { useProtoFieldName: true });
}

function metadataOf({ metadata }: StepOptions, facts: ClusterFacts): Metadata {
  return typeof metadata === "function" ? metadata(facts) : (metadata ?? {});
}

export function errorReply(error: unknown): JsonValue {
  if (!(error instanceof GrpcError)) throw error;
  return { code: error.code, text: error.message };
}

async function callOnce(step: CallStep, member: number, facts: ClusterFacts): Promise<JsonValue> {
  const method = methodOf(step.method);
  const options = { timeoutMs: replyMs, metadata: metadataOf(step, facts) };
  try {
    return decode(method, await facts.clients[member]!.unary(method.path, encode(method, step.body, facts), options));
  } catch (error) {
    return errorReply(error);
  }
}

async function followStream(step: StreamStep, member: number, facts: ClusterFacts): Promise<JsonValue> {
  const method = methodOf(step.method);
  const stream = await facts.clients[member]!.stream(method.path, { metadata: metadataOf(step, facts) });
  const messages = stream[Symbol.asyncIterator]();
  const replies: JsonValue[] = [];
  try {
    for (const action of step.actions) replies.push(await act(action, { method, stream, messages, member, facts }));
  } catch (error) {
    replies.push(errorReply(error));
  }
  stream.cancel();
  return replies;
}

type StreamScene = {
  readonly method: Method;
  readonly stream: ClientStream;
  readonly messages: AsyncIterator<Buffer>;
  readonly member: number;
  readonly facts: ClusterFacts;
};

async function act(action: StreamAction, scene: StreamScene): Promise<JsonValue> {
  const { method, stream, member, facts } = scene;
  if ("send" in action) {
    await stream.send(encode(method, action.send, facts));
    return null;
  }
  if ("call" in action) return callOnce(action.call, action.call.member ?? member, facts);
  if ("read" in action) return takeMessages(scene, action.read);
  if ("readEvents" in action) return takeEvents(scene, action.readEvents);
  stream.end();
  return takeMessages(scene, Number.POSITIVE_INFINITY);
}

async function takeMessages(scene: StreamScene, count: number): Promise<JsonValue> {
  const taken: JsonValue[] = [];
  while (taken.length < count) {
    const message = await nextMessage(scene);
    if (message === null) break;
    taken.push(message);
  }
  return taken;
}

async function takeEvents(scene: StreamScene, count: number): Promise<JsonValue> {
  const events: JsonValue[] = [];
  while (events.length < count) {
    const message = (await nextMessage(scene)) as { events?: JsonValue[]; watch_id?: string } | null;
    if (message === null) break;
    for (const event of message.events ?? []) events.push({ watch: message.watch_id ?? "0", event });
  }
  return events;
}

/** Null at the end, or when nothing comes for a while. */
async function nextMessage({ method, messages }: StreamScene): Promise<JsonValue> {
  let timer: NodeJS.Timeout | undefined;
  const quiet = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), quietMs);
  });
  const next = await Promise.race([messages.next(), quiet]);
  clearTimeout(timer);
  return next === null || next.done === true ? null : decode(method, next.value);
}

function runEtcdctl(step: CommandStep, member: number, facts: ClusterFacts): Promise<JsonValue> {
  const env = { PATH: process.env["PATH"], ETCDCTL_API: "3" };
  const words = ["--endpoints", facts.endpoints[member]!, ...step.words];
  return new Promise((resolve) => {
    const child = execFile("etcdctl", words, { env, timeout: replyMs }, (error, stdout, stderr) => {
      // The client library's warnings carry the time and the address of the server.
      const errors = stderr.split("\n").filter((line) => line.startsWith("Error:"));
      resolve({ exit: error === null ? 0 : Number(error.code ?? 1), stdout, errors });
    });
    child.stdin?.end();
  });
}

/** Ids in requests are small; a server's are 63 random bits. */
const idsOfOursMax = 1n << 40n;
/** The member that replied, and the term that its elections have reached. */
const ids = new Set(["cluster_id", "member_id", "raft_term"]);

export function comparable(value: JsonValue, facts: ClusterFacts): JsonValue {
  if (typeof value === "string") return nameMembers(value, facts);
  if (Array.isArray(value)) return value.map((one) => comparable(one, facts));
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([name]) => !ids.has(name));
  const isRemainingTime = "grantedTTL" in value;
  return Object.fromEntries(
    fields.map(([name, inner]) => {
      if (name === "TTL" && isRemainingTime && Number(inner) > 0) return [name, "what remains"];
      if (name === "keys" && isRemainingTime && Array.isArray(inner)) return [name, inner.toSorted()];
      if (name === "ID" && "peerURLs" in value && !("name" in value)) return [name, "<id of a new member>"];
      if (name === "token") return [name, "a token"];
      if (name === "ID" && BigInt(String(inner)) > idsOfOursMax) return [name, "<an id that the server chose>"];
      if (name === "alarms" && Array.isArray(inner)) return [name, inner.map((one) => JSON.stringify(one)).toSorted()];
      if (name === "members" && Array.isArray(inner)) return [name, byName(inner.map((one) => comparable(one, facts)))];
      return [name, comparable(inner, facts)];
    }),
  );
}

/** Members are listed by id, which differ. */
function byName(members: JsonValue[]): JsonValue {
  const key = (member: JsonValue): string => JSON.stringify((member as { name?: string }).name ?? "");
  return members.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function nameMembers(text: string, { names }: ClusterFacts): string {
  return names.reduce((named, [one, name]) => named.replaceAll(one, name), text);
}
