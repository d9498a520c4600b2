/** For tests: the client ports of a member that has its store in memory and no peers. */
import { pino } from "pino";
import { createAgentConfig } from "../config/agent-config.ts";
import { readSettings } from "../config/read-settings.ts";
import { GrpcServer } from "../grpc/grpc-server.ts";
import { memberValues } from "../metrics/member-values.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { createWorld, self } from "../services/single-member-world.ts";
import { ClientFront } from "./serve-clients.ts";

/** Listens at the places that `flags` name. */
export async function listeningFront(flags: readonly string[]): Promise<ClientFront> {
  const { services } = await createWorld();
  const grpc = new GrpcServer({ methods: services.methods });
  const metrics = createMetrics({
    version: "3.6.1",
    memberId: self,
    values: () => memberValues(services),
    grpcMethods: () => grpc.counters,
    clusterVersion: () => "3.6.0",
    extensive: false,
    promotionsRefused: new Map(),
  });
  const config = createAgentConfig(readSettings(flags, {}, () => ""));
  const front = new ClientFront({ config, services, metrics, grpc, logger: pino({ level: "silent" }) });
  await front.listen();
  return front;
}
