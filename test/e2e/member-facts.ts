/** What members say of their stores, and whether they say the same. */
import type { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import type { FactsResponse } from "../../src/raft-agent/api/gen/haplan/v1/haplan_pb.ts";
import { decodeHaplan, encodeHaplan, haplanMethods, haplanPath } from "../../src/raft-agent/api/haplan-messages.ts";
import { until } from "./cluster-fixture.ts";

export async function memberFacts(client: EtcdClient, timeoutMs = 5_000): Promise<FactsResponse> {
  const { facts } = haplanMethods;
  const request = encodeHaplan(facts.input, { hash: true }, "protobuf");
  return decodeHaplan(
    facts.output,
    await client.grpc.unary(haplanPath(facts), request, { timeoutMs, idempotent: true }),
  );
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
      return { revision: Number(revision), hashes: facts.map(({ hash }) => hash?.hash) };
    },
    timeoutMs,
  );
}
