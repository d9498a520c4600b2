/** For tests: the client ports of a member that has its store in memory and no peers. */
import { pino } from "pino";
import { ClientListeners } from "../../src/raft-agent/agent/clients/client-listeners.ts";
import { createAgentConfig } from "../../src/raft-agent/config/agent-config.ts";
import { readSettings } from "../../src/raft-agent/config/read-settings.ts";
import { GrpcServer } from "../../src/raft-agent/grpc/grpc-server.ts";
import { memberValues } from "../../src/raft-agent/metrics/member-values.ts";
import { createMetrics } from "../../src/raft-agent/metrics/metrics.ts";
import { createHarness, self } from "./single-member.ts";

/** Listens at the addresses in `flags`. */
export async function listenForTestClients(flags: readonly string[]): Promise<ClientListeners> {
  const { services } = await createHarness();
  const grpc = new GrpcServer({ methods: services.methods });
  const metrics = createMetrics({
    version: "3.6.1",
    memberId: self,
    values: () => memberValues(services),
    grpcMethods: () => grpc.counters,
    clusterVersion: () => "3.6.0",
    extensive: false,
    promotionsRejected: new Map(),
  });
  const config = createAgentConfig(readSettings(flags, {}, () => ""));
  const front = new ClientListeners({ config, services, metrics, grpc, logger: pino({ level: "silent" }) });
  await front.listen();
  return front;
}
