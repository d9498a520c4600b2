/** What members say of their stores, and whether they say the same. */
import type { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import type { Facts } from "../../src/raft-agent/services/haplan-service.ts";
import { until } from "./cluster-fixture.ts";

export async function memberFacts(client: EtcdClient, timeoutMs = 5_000): Promise<Facts> {
  const request = Buffer.from(JSON.stringify({ hash: true }));
  const answer = await client.grpc.unary("/haplan.v1.Haplan/Facts", request, { timeoutMs, idempotent: true });
  return JSON.parse(answer.toString()) as Facts;
}

/** Waits until all members stand at one revision; tells it and every member's hash of the keyspace there. */
export function settledHashes(
  members: readonly EtcdClient[],
  timeoutMs?: number,
): Promise<{ readonly revision: number; readonly hashes: readonly (number | undefined)[] }> {
  return until(
    "all members are at the same revision",
    async () => {
      const facts = await Promise.all(members.map((member) => memberFacts(member)));
      const revision = facts[0]!.revision;
      if (facts.some((each) => each.revision !== revision || each.hash?.revision !== revision)) return false;
      return { revision, hashes: facts.map(({ hash }) => hash?.hash) };
    },
    timeoutMs,
  );
}
