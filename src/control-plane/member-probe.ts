/** One query of one member: its identity, and whether it answers reads with and without a majority. */
import { systemClock } from "../base/clock.ts";
import { HaplanError } from "../base/haplan-error.ts";
import type { MemberListing } from "../etcd-client/cluster-client.ts";
import type { EtcdClient } from "../etcd-client/etcd-client.ts";
import type { MemberStatus } from "../etcd-client/maintenance-client.ts";
import { type Refusal, refusedFor } from "./access-refusal.ts";
import { agentConfiguration, type KnownConfiguration } from "./haplan-calls.ts";

export type ProbeResult = {
  readonly endpoint: string;
  readonly status: MemberStatus;
  /** The members as it knows them; they may be outdated. */
  readonly listing: MemberListing;
  /** Null for a real etcd, which has no joint configurations. */
  readonly configuration: KnownConfiguration | null;
  readonly serializableRead: boolean;
  readonly linearizableRead: boolean;
  /** How long the linearizable read took; null if it failed. */
  readonly readLatencyMs: number | null;
  /** It answers, but requires a user, or another one; null if not. */
  readonly refused: Refusal;
};

/** Never written: reading it costs a member next to nothing. */
const probeKey = "/haplan/probe";

/**
 * Null if it does not answer. Takes at most `timeoutMs`.
 * @throws HaplanError `control-plane/unknown-answer` if it is an agent that this haplan does not understand.
 */
export async function probeMember(
  endpoint: string,
  member: EtcdClient,
  timeoutMs: number,
): Promise<ProbeResult | null> {
  const succeeds = (call: Promise<unknown>): Promise<boolean> =>
    call.then(
      () => true,
      () => false,
    );
  const client = member.within(timeoutMs);
  let refused: Refusal = null;
  const startedMs = systemClock.monotonicMs();
  const statusAnswer = client.maintenance.status().catch(() => null);
  const [status, listing, configuration, serializableRead, readLatencyMs] = await Promise.all([
    statusAnswer,
    // A learner of etcd 3.4 refuses to list the members; its own status still counts.
    client.cluster.memberList({ linearizable: false }).catch((): MemberListing => ({ clusterId: "", members: [] })),
    agentConfiguration(client, timeoutMs).catch((error: unknown) => {
      // An agent with an unknown answer is not an etcd.
      if (error instanceof HaplanError) throw error;
      return null;
    }),
    succeeds(
      client.range(probeKey, { serializable: true }).catch((error: unknown) => {
        refused = refusedFor(error);
        throw error;
      }),
    ),
    // By then there is a connection, which is not a part of the latency.
    statusAnswer.then((status) => (status === null ? null : linearizableReadMs(member, startedMs + timeoutMs))),
  ]);
  if (status === null) return null;
  return {
    endpoint,
    status,
    listing,
    configuration,
    serializableRead,
    linearizableRead: readLatencyMs !== null,
    readLatencyMs,
    refused,
  };
}

/** How long a linearizable read takes; null if it fails, or is not done by `deadlineMs`. */
async function linearizableReadMs(member: EtcdClient, deadlineMs: number): Promise<number | null> {
  const startedMs = systemClock.monotonicMs();
  const timeoutMs = Math.max(1, Math.floor(deadlineMs - startedMs));
  try {
    await member.within(timeoutMs).range(probeKey);
    return systemClock.monotonicMs() - startedMs;
  } catch {
    return null;
  }
}
