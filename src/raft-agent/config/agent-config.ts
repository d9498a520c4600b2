/** The agent's configuration: settings with defaults filled in, checked against each other. */

import { isSocketUrl, isTlsUrl, urlsByPlace } from "../../base/listen-place.ts";
import { bcryptCostMax, bcryptCostMin } from "../auth/password-hasher.ts";
import { parseTokenOptions, type TokenOptions } from "../auth/token-options.ts";
import { type BackupSchedule, readBackupSchedule } from "./backup-schedule.ts";
import { type FeatureGates, featureGateNotices, initialCorruptCheckGate, readFeatureGates } from "./feature-gates.ts";
import { parseDurationMs, urlText } from "./flag-values.ts";
import { type InitialMember, readInitialCluster } from "./initial-cluster.ts";
import { type Settings, SettingsError } from "./read-settings.ts";
import { SettingReader } from "./setting-reader.ts";
import { readTls, type TlsFiles } from "./tls-settings.ts";

export type AutoCompaction =
  | { readonly mode: "off" }
  | { readonly mode: "periodic"; readonly retentionMs: number }
  | { readonly mode: "revision"; readonly revisions: number };

/** How users authenticate, once authentication is enabled. */
export type AuthOptions = {
  readonly tokens: TokenOptions;
  readonly simpleTokenTtlMs: number;
  readonly bcryptCost: number;
};

export type AgentConfig = {
  readonly name: string;
  readonly dataDir: string;
  readonly walDir: string;
  readonly listenClientUrls: readonly URL[];
  /** Empty when HTTP shares the client URLs with gRPC. */
  readonly listenClientHttpUrls: readonly URL[];
  readonly listenPeerUrls: readonly URL[];
  readonly listenMetricsUrls: readonly URL[];
  /** For load balancers that have no client certificate. */
  readonly listenHealthUrls: readonly URL[];
  readonly advertiseClientUrls: readonly string[];
  readonly advertisePeerUrls: readonly string[];
  readonly initialCluster: readonly InitialMember[];
  readonly initialClusterState: "new" | "existing";
  readonly initialClusterToken: string;
  readonly forceNewCluster: boolean;
  readonly heartbeatIntervalMs: number;
  readonly electionTimeoutMs: number;
  readonly snapshotCount: number;
  readonly snapshotCatchupEntries: number;
  readonly quotaBackendBytes: number;
  readonly maxTxnOps: number;
  readonly maxRequestBytes: number;
  readonly maxConcurrentStreams: number;
  readonly keepalive: { readonly minTimeMs: number; readonly intervalMs: number; readonly timeoutMs: number };
  readonly watchProgressNotifyIntervalMs: number;
  readonly warningApplyDurationMs: number;
  readonly warningUnaryRequestDurationMs: number;
  /** How often members compare their data. */
  readonly corruptCheckMs: number;
  /** Compare before serving clients. */
  readonly initialCorruptCheck: boolean;
  readonly featureGates: FeatureGates;
  readonly strictReconfigCheck: boolean;
  readonly preVote: boolean;
  readonly maxLearners: number;
  readonly autoCompaction: AutoCompaction;
  readonly clientTls: TlsFiles | null;
  readonly peerTls: TlsFiles | null;
  readonly auth: AuthOptions;
  readonly corsOrigins: readonly string[];
  readonly hostWhitelist: readonly string[];
  readonly logLevel: string;
  readonly logOutputs: readonly string[];
  readonly extensiveMetrics: boolean;
  readonly enablePprof: boolean;
  /** Null: the members take no backups. */
  readonly backups: BackupSchedule | null;
};

const gibibyte = 1024 ** 3;
const defaultCorruptCheckMs = 600_000;

/** @throws SettingsError naming the wrong flag and what to write instead. */
export function createAgentConfig(settings: Settings): AgentConfig {
  const { values } = settings;
  if (values.has("listen-client-urls") && !values.has("advertise-client-urls")) {
    throw new SettingsError(
      "--advertise-client-urls is required when --listen-client-urls is set explicitly: these URLs are advertised to clients and members",
    );
  }
  const read = new SettingReader(settings.values);
  const name = read.text("name");
  const dataDir = read.text("data-dir") || `${name}.etcd`;
  const advertisePeerUrls = advertisedUrls(readPeerUrls(read, "initial-advertise-peer-urls"));
  const featureGates = readFeatureGates(read.text("feature-gates"));
  const config: AgentConfig = {
    name,
    dataDir,
    walDir: read.text("wal-dir") || defaultWalDir(dataDir),
    listenClientUrls: once(read.urls("listen-client-urls")),
    listenClientHttpUrls: once(read.urls("listen-client-http-urls")),
    listenPeerUrls: once(readPeerUrls(read, "listen-peer-urls")),
    listenMetricsUrls: once(read.urls("listen-metrics-urls")),
    listenHealthUrls: once(read.urls("listen-health-urls")),
    advertiseClientUrls: advertisedUrls(read.urls("advertise-client-urls")),
    advertisePeerUrls,
    initialCluster: values.has("initial-cluster")
      ? readInitialCluster(read.text("initial-cluster"))
      : [{ name, peerUrls: advertisePeerUrls }],
    initialClusterState: read.oneOf("initial-cluster-state", ["new", "existing"]),
    initialClusterToken: read.text("initial-cluster-token"),
    forceNewCluster: read.flag("force-new-cluster"),
    heartbeatIntervalMs: read.number("heartbeat-interval"),
    electionTimeoutMs: read.number("election-timeout"),
    snapshotCount: read.atLeastOne("snapshot-count"),
    snapshotCatchupEntries: read.number("snapshot-catchup-entries"),
    quotaBackendBytes: read.number("quota-backend-bytes") || 2 * gibibyte,
    maxTxnOps: read.atLeastOne("max-txn-ops"),
    maxRequestBytes: read.atLeastOne("max-request-bytes"),
    maxConcurrentStreams: read.within("max-concurrent-streams", 2 ** 32 - 1),
    keepalive: readKeepalive(read),
    watchProgressNotifyIntervalMs: read.number("watch-progress-notify-interval"),
    warningApplyDurationMs: read.number("warning-apply-duration"),
    warningUnaryRequestDurationMs: read.number("warning-unary-request-duration"),
    corruptCheckMs: read.number("corrupt-check-time") || defaultCorruptCheckMs,
    initialCorruptCheck: read.flag("initial-corrupt-check") || featureGates.get(initialCorruptCheckGate) === true,
    featureGates,
    strictReconfigCheck: read.flag("strict-reconfig-check"),
    preVote: read.flag("pre-vote"),
    maxLearners: read.number("max-learners"),
    autoCompaction: readAutoCompaction(read),
    clientTls: readTls(read, "", { directory: `${dataDir}/fixtures/client`, urls: read.urls("listen-client-urls") }),
    peerTls: readTls(read, "peer-", { directory: `${dataDir}/fixtures/peer`, urls: read.urls("listen-peer-urls") }),
    auth: readAuth(read),
    corsOrigins: read.list("cors"),
    hostWhitelist: read.list("host-whitelist"),
    logLevel: readLogLevel(read),
    logOutputs: read.list("log-outputs"),
    extensiveMetrics: read.oneOf("metrics", ["basic", "extensive"]) === "extensive",
    enablePprof: read.flag("enable-pprof"),
    backups: readBackupSchedule(read, dataDir),
  };
  checkTogether(config);
  return config;
}

/** The directory of the log without --wal-dir. */
export function defaultWalDir(dataDir: string): string {
  return `${dataDir}/member/wal`;
}

/** Case-insensitive; `dpanic` is a panic that only development builds have. */
function readLogLevel(read: SettingReader): string {
  const level = read.oneOf(
    "log-level",
    ["debug", "info", "warn", "warning", "error", "dpanic", "panic", "fatal"],
    "any-case",
  );
  if (level === "warning") return "warn";
  return level === "dpanic" ? "panic" : level;
}

/** For `periodic` a bare number is hours, for `revision` it is revisions. */
function readAutoCompaction(read: SettingReader): AutoCompaction {
  const mode = read.oneOf("auto-compaction-mode", ["periodic", "revision"]);
  const retention = read.text("auto-compaction-retention") || "0";
  const bare = /^\d+$/.test(retention) ? Number(retention) : null;
  if (bare === 0) return { mode: "off" };
  if (mode === "revision") {
    if (bare === null)
      throw new SettingsError(`--auto-compaction-retention="${retention}" is wrong: expected a number`);
    return { mode, revisions: bare };
  }
  const retentionMs = bare === null ? parseDurationMs(retention) : bare * 3_600_000;
  if (retentionMs === null || retentionMs < 0) {
    throw new SettingsError(
      `--auto-compaction-retention="${retention}" is wrong: expected hours or a duration such as 30m`,
    );
  }
  return retentionMs === 0 ? { mode: "off" } : { mode, retentionMs };
}

/** A ping that may stay unanswered forever need not be sent. */
function readKeepalive(read: SettingReader): AgentConfig["keepalive"] {
  const timeoutMs = read.number("grpc-keepalive-timeout");
  const intervalMs = timeoutMs === 0 ? 0 : read.number("grpc-keepalive-interval");
  return { minTimeMs: read.number("grpc-keepalive-min-time"), intervalMs, timeoutMs };
}

function readAuth(read: SettingReader): AuthOptions {
  const text = read.text("auth-token") || "simple";
  const tokens = parseTokenOptions(text, parseDurationMs);
  if ("problem" in tokens) throw new SettingsError(`--auth-token="${text}" is wrong: ${tokens.problem}`);
  const ttlSeconds = read.atLeastOne("auth-token-ttl");
  const bcryptCost = read.number("bcrypt-cost");
  if (bcryptCost < bcryptCostMin || bcryptCost > bcryptCostMax) {
    throw new SettingsError(`--bcrypt-cost=${bcryptCost} must be between ${bcryptCostMin} and ${bcryptCostMax}`);
  }
  return { tokens, simpleTokenTtlMs: ttlSeconds * 1_000, bcryptCost };
}

/** Warnings for the log about likely mistakes, as in etcd. */
export function configNotices(config: AgentConfig): string[] {
  const { clientTls, listenClientUrls, peerTls, listenPeerUrls } = config;
  const ports = [
    [clientTls, listenClientUrls, "--listen-client-urls"],
    [peerTls, listenPeerUrls, "--listen-peer-urls"],
  ] as const;
  const plainPorts = ports.flatMap(([tls, urls, flag]) => {
    const plain = tls === null ? undefined : urls.find((url) => !isTlsUrl(url) && !isSocketUrl(url));
    return plain === undefined
      ? []
      : [`${flag} has ${plain.href}: it is served without TLS, although a certificate is given`];
  });
  return [...plainPorts, ...featureGateNotices(config.featureGates)];
}

/** Members reach each other over addresses: a Unix socket is for clients on the same machine. */
function readPeerUrls(read: SettingReader, flag: string): readonly URL[] {
  const urls = read.urls(flag);
  const socket = urls.find(isSocketUrl);
  if (socket === undefined) return urls;
  throw new SettingsError(
    `--${flag} has ${socket.href}, which is for clients: expected http://HOST:PORT or https://HOST:PORT`,
  );
}

/** Deduplicates URLs, as etcd does. */
function once(urls: readonly URL[]): readonly URL[] {
  return urls.filter(({ href }, at) => urls.findIndex((url) => url.href === href) === at);
}

/** In etcd's order, without duplicates. */
function advertisedUrls(urls: readonly URL[]): readonly string[] {
  return [...new Set(urls.map(urlText))].sort();
}

/** gRPC and HTTP share a URL by default, and must have separate ones when both are set (etcd's text). */
function assertHttpApart({ listenClientUrls, listenClientHttpUrls }: AgentConfig): void {
  const isTaken = (url: URL): boolean => urlsByPlace([...listenClientUrls, url]).length === listenedPlaces;
  const listenedPlaces = urlsByPlace(listenClientUrls).length;
  const same = listenClientHttpUrls.find(isTaken);
  if (same === undefined) return;
  throw new SettingsError(
    `cannot bind both --listen-client-urls and --listen-client-http-urls on the same url ${urlText(same)}; give HTTP a separate port, or omit --listen-client-http-urls`,
  );
}

function checkTogether(config: AgentConfig): void {
  const { heartbeatIntervalMs, electionTimeoutMs } = config;
  if (config.name === "") throw new SettingsError("--name must not be empty");
  if (heartbeatIntervalMs < 10) throw new SettingsError("--heartbeat-interval must be at least 10 ms");
  if (electionTimeoutMs < 5 * heartbeatIntervalMs) {
    throw new SettingsError(
      `--election-timeout=${electionTimeoutMs} must be at least five times --heartbeat-interval=${heartbeatIntervalMs}`,
    );
  }
  if (electionTimeoutMs > 50_000) throw new SettingsError("--election-timeout must be at most 50000 ms");
  assertHttpApart(config);
  for (const [flag, urls, tls] of [
    ["listen-client-urls", config.listenClientUrls, config.clientTls],
    ["listen-client-http-urls", config.listenClientHttpUrls, config.clientTls],
    ["listen-metrics-urls", config.listenMetricsUrls, config.clientTls],
    ["listen-health-urls", config.listenHealthUrls, config.clientTls],
    ["listen-peer-urls", config.listenPeerUrls, config.peerTls],
  ] as const) {
    const secure = urls.find(isTlsUrl);
    if (tls === null && secure !== undefined) {
      const prefix = flag === "listen-peer-urls" ? "peer-" : "";
      const files = `--${prefix}cert-file and --${prefix}key-file`;
      throw new SettingsError(`--${flag} has ${secure.href}, which needs a certificate: give ${files}`);
    }
  }
}
