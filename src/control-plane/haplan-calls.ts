/** The calls of haplan's own service beside etcd's API: what only its agents serve. */
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import type { EtcdClient } from "../etcd-client/etcd-client.ts";
import type { Configuration, FactsResponse } from "../raft-agent/api/gen/haplan/v1/haplan_pb.ts";
import {
  decodeHaplan,
  encodeHaplan,
  encodingOf,
  type HaplanEncoding,
  haplanMethods,
  haplanPath,
} from "../raft-agent/api/haplan-messages.ts";
import { emptyBytes } from "../raft-agent/api/wire.ts";

export type AgentConfiguration = {
  readonly voters: readonly string[];
  readonly votersOutgoing: readonly string[];
  readonly learners: readonly string[];
};

export type KnownConfiguration = AgentConfiguration & {
  readonly index: number | null;
  /** Ids of members that have answered it lately; only a leader has any. */
  readonly heard: readonly string[];
};

/** Also tells which encoding the agent speaks: an empty request is the same in both. */
async function haplanState(
  client: EtcdClient,
  timeoutMs: number,
): Promise<{ readonly facts: FactsResponse; readonly encoding: HaplanEncoding }> {
  const { facts } = haplanMethods;
  const answer = await client.within(timeoutMs).unary(haplanPath(facts), emptyBytes);
  return { facts: readAnswer(facts, answer), encoding: encodingOf(answer) };
}

export async function agentConfiguration(client: EtcdClient, timeoutMs: number): Promise<KnownConfiguration> {
  const { configuration, configurationIndex, progress } = (await haplanState(client, timeoutMs)).facts;
  const index = configurationIndex === undefined ? null : Number(configurationIndex);
  const heard = progress.filter(({ active }) => active).map(({ member }) => member);
  return { ...plainConfiguration(configuration), index, heard };
}

/** Asks the member to hand leadership over, and its clients to go elsewhere: it is to leave. */
export async function drainMember(client: EtcdClient, timeoutMs: number): Promise<void> {
  await haplanCall(client, haplanMethods.drain, { clients: true }, timeoutMs);
}

/** Moves all votes in one joint change; members in neither list leave for good. */
export async function changeMembers(
  client: EtcdClient,
  wanted: { readonly voters: readonly string[]; readonly learners: readonly string[] },
  timeoutMs: number,
): Promise<AgentConfiguration> {
  const request = { voters: [...wanted.voters], learners: [...wanted.learners] };
  const { configuration } = await haplanCall(client, haplanMethods.changeMembers, request, timeoutMs);
  return plainConfiguration(configuration);
}

async function haplanCall<Request extends DescMessage, Response extends DescMessage>(
  client: EtcdClient,
  method: DescMethodUnary<Request, Response>,
  request: MessageInitShape<Request>,
  timeoutMs: number,
): Promise<MessageShape<Response>> {
  const deadline = performance.now() + timeoutMs;
  const { encoding } = await haplanState(client, timeoutMs);
  const leftMs = Math.max(1, Math.ceil(deadline - performance.now()));
  const answer = await client.within(leftMs).unary(haplanPath(method), encodeHaplan(method.input, request, encoding));
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
