/** Maps the agent's configuration to the parts of a member. */
import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import { systemClock } from "../../base/clock.ts";
import { errorText } from "../../base/haplan-error.ts";
import type { Random } from "../../base/random.ts";
import { readTokenKeys } from "../auth/token-options.ts";
import type { AgentConfig } from "../config/agent-config.ts";
import { GrpcServer } from "../grpc/grpc-server.ts";
import type { MethodCounters } from "../grpc/method-counters.ts";
import { defaultHttp2Limits } from "../http2/connection-options.ts";
import type { MemberId } from "../raft/entry.ts";
import type { RaftOptions } from "../raft/options.ts";
import type { AuthSettings } from "../services/access.ts";
import { MemberServices, type MemberServicesOptions } from "../services/member-services.ts";
import type { AgentEvents } from "./agent-events.ts";
import { RequestStats } from "./clients/request-stats.ts";
import { responseMemoryBytes } from "./clients/response-memory-bytes.ts";

/** The etcd version reported to clients: the one whose API this member implements. */
export const reportedEtcdVersion = "3.6.1";
/**
 * The interval of the core's ticks. Fine enough that an election after a broken connection takes tens of milliseconds.
 */
export const tickMs = 10;

export function createServices(
  config: AgentConfig,
  parts: Pick<MemberServicesOptions, "consensus" | "machine" | "clusterId">,
  callbacks: Pick<
    MemberServicesOptions,
    "onNotice" | "stateRepair" | "onMembershipChanged" | "onLeaseGranted" | "drainClients"
  >,
): MemberServices {
  return new MemberServices({
    ...parts,
    clock: systemClock,
    clusterToken: config.initialClusterToken,
    version: reportedEtcdVersion,
    quotaBytes: config.quotaBackendBytes,
    autoCompaction: config.autoCompaction,
    limits: {
      txnOpsMax: config.maxTxnOps,
      learnersMax: config.maxLearners,
      strictReconfigCheck: config.strictReconfigCheck,
      watchProgressIntervalMs: config.watchProgressNotifyIntervalMs,
    },
    proposerLimits: { requestBytesMax: config.maxRequestBytes },
    auth: authSettings(config),
    corruptionCheckMs: config.corruptCheckMs,
    ...callbacks,
  });
}

/** @throws HaplanError `agent/auth-token` naming a key file that cannot be used. */
function authSettings({ auth, clientTls }: AgentConfig): AuthSettings {
  const { bcryptCost, simpleTokenTtlMs, tokens } = auth;
  return {
    bcryptCost,
    loginByCertificate: clientTls?.loginByCertificate === true,
    tokens:
      tokens.kind === "simple"
        ? { kind: "simple", ttlMs: simpleTokenTtlMs }
        : { kind: "jwt", ttlMs: tokens.ttlMs, keys: readTokenKeys(tokens, (path) => readFileSync(path)) },
  };
}

export function createGrpcServer(
  config: AgentConfig,
  services: MemberServices,
  events: AgentEvents,
  logger: Logger,
): GrpcServer {
  const messageOverheadBytes = 512 * 1024;
  const onHandled = (method: MethodCounters, seconds: number): unknown => events.emit("callHandled", method, seconds);
  const server = new GrpcServer({
    methods: services.methods,
    onHttp1: (socket) => events.emit("http1Connection", socket),
    maxReceiveBytes: config.maxRequestBytes + messageOverheadBytes,
    limits: { maxConcurrentStreams: Math.min(config.maxConcurrentStreams, defaultHttp2Limits.maxConcurrentStreams) },
    keepalive: config.keepalive,
    ...(config.extensiveMetrics ? { onHandled } : {}),
    slow: new RequestStats(config.warningUnaryRequestDurationMs, logger),
    maxResponseBytes: responseMemoryBytes(),
    onCutOff: (remoteAddress, heldBytes) =>
      logger.warn({ remoteAddress, heldBytes }, "closed a client's connection: it does not read its responses"),
    onHandlerError: (error, path) =>
      logger.error({ path, error: errorText(error) }, "a request failed because of a bug"),
  });
  events.on("turnEnded", () => server.flush());
  return server;
}

export function raftOptions(config: AgentConfig, id: MemberId, random: Random): RaftOptions {
  return {
    id,
    random,
    preVote: config.preVote,
    electionTimeoutTicks: Math.ceil(config.electionTimeoutMs / tickMs),
    heartbeatTicks: Math.ceil(config.heartbeatIntervalMs / tickMs),
  };
}

/** Members, and restarts of a member, must not draw the same random numbers. */
export function seedOf(memberId: MemberId): number {
  return (Number.parseInt(memberId.slice(0, 8), 16) ^ Date.now()) >>> 0;
}
