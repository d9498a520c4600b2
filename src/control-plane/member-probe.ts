/** One query of one member: its identity, and whether it answers reads with and without a majority. */
import { HaplanError } from "../base/haplan-error.ts";
import type { MemberListing } from "../etcd-client/cluster-client.ts";
import type { EtcdClient } from "../etcd-client/etcd-client.ts";
import type { MemberStatus } from "../etcd-client/maintenance-client.ts";
import { type Refusal, refusedFor } from "./access-refusal.ts";
import { type AgentConfiguration, agentConfiguration } from "./haplan-calls.ts";

export type ProbeResult = {
  readonly endpoint: string;
  readonly status: MemberStatus;
  /** The members as it knows them; they may be outdated. */
  readonly listing: MemberListing;
  /** Null for a real etcd, which has no joint configurations. */
  readonly configuration: (AgentConfiguration & { readonly index: number | null }) | null;
  readonly serializableRead: boolean;
  readonly linearizableRead: boolean;
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
  const [status, listing, configuration, serializableRead, linearizableRead] = await Promise.all([
    client.maintenance.status().catch(() => null),
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
    succeeds(client.range(probeKey)),
  ]);
  if (status === null) return null;
  return { endpoint, status, listing, configuration, serializableRead, linearizableRead, refused };
}
