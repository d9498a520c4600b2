/**
 * Every flag of etcd that a unit file or manifest may pass, with its default and its effect. `used` flags configure
 * the agent; `ignored` ones are accepted so that an existing unit works with the binary swapped, and the log says that
 * they have no effect; `unsupported` ones may only have their default, since a member that ignored them would not do
 * what was asked. Names and defaults follow etcd 3.6.
 */
export type FlagKind = "string" | "boolean" | "count" | "integer" | "duration" | "urls" | "list";

export type FlagDefinition = {
  readonly name: string;
  readonly kind: FlagKind;
  readonly defaultValue: string;
  readonly effect: "used" | "ignored" | "unsupported";
  readonly group: string;
  readonly help: string;
};

type Row = readonly [name: string, kind: FlagKind, defaultValue: string, help: string];

const used: Readonly<Record<string, readonly Row[]>> = {
  Member: [
    ["name", "string", "default", "Human-readable name for this member."],
    ["data-dir", "string", "", "Path to the data directory (default '<name>.etcd')."],
    ["wal-dir", "string", "", "Path to a dedicated directory for the log."],
    ["listen-client-urls", "urls", "http://localhost:2379", "URLs to listen on for client traffic."],
    ["listen-client-http-urls", "urls", "", "URLs for HTTP alone; the client URLs then serve gRPC alone."],
    ["listen-peer-urls", "urls", "http://localhost:2380", "URLs to listen on for peer traffic."],
    ["listen-metrics-urls", "urls", "", "URLs that serve only metrics and health checks."],
    ["snapshot-count", "count", "10000", "Applied entries after which the log is compacted."],
    ["snapshot-catchup-entries", "count", "5000", "Entries kept for slow followers when the log is compacted."],
    ["heartbeat-interval", "count", "100", "Time in milliseconds between heartbeats."],
    ["election-timeout", "count", "1000", "Time in milliseconds without a heartbeat until an election."],
    [
      "quota-backend-bytes",
      "integer",
      "0",
      "Size of the database at which writes are rejected; 0 means 2 GiB, negative no limit.",
    ],
    ["max-txn-ops", "count", "128", "Operations permitted in one transaction."],
    ["max-request-bytes", "count", "1572864", "Largest client request in bytes."],
    ["max-concurrent-streams", "count", "4294967295", "Concurrent streams that one client connection may open."],
    ["grpc-keepalive-min-time", "duration", "5s", "Shortest interval at which a client may send pings."],
    ["grpc-keepalive-interval", "duration", "2h", "Idle time after which the server pings a client; 0 never does."],
    ["grpc-keepalive-timeout", "duration", "20s", "Time limit for the response to a ping; 0 means none."],
    ["watch-progress-notify-interval", "duration", "10m", "Interval of progress notifications on idle watches."],
    ["corrupt-check-time", "duration", "0s", "How often members compare their data; 0 means every 10 minutes."],
    ["initial-corrupt-check", "boolean", "false", "Compare this member's data with its peers' before serving clients."],
    ["feature-gates", "string", "", "InitialCorruptCheck=true is --initial-corrupt-check; other gates have no effect."],
    ["warning-apply-duration", "duration", "100ms", "Log entries that take longer than this to apply."],
    ["warning-unary-request-duration", "duration", "300ms", "Log unary requests that take longer than this."],
  ],
  Clustering: [
    [
      "initial-advertise-peer-urls",
      "urls",
      "http://localhost:2380",
      "This member's peer URLs, as advertised to its peers.",
    ],
    ["advertise-client-urls", "urls", "http://localhost:2379", "This member's client URLs, as advertised to clients."],
    [
      "initial-cluster",
      "string",
      "",
      "Initial members, name=url,... (default '<name>=<initial-advertise-peer-urls>').",
    ],
    ["initial-cluster-state", "string", "new", "'new' to bootstrap, 'existing' to join."],
    ["initial-cluster-token", "string", "etcd-cluster", "Distinguishes clusters with equal URLs."],
    ["strict-reconfig-check", "boolean", "true", "Reject membership changes that would lose the quorum."],
    ["pre-vote", "boolean", "true", "Run a pre-vote before starting an election."],
    ["max-learners", "count", "1", "Maximum number of learners added through etcd's member API."],
    ["auto-compaction-mode", "string", "periodic", "'periodic' or 'revision'."],
    ["auto-compaction-retention", "string", "0", "Retention of automatic compaction; 0 disables it."],
  ],
  Security: [
    ["cert-file", "string", "", "Server certificate for clients."],
    ["key-file", "string", "", "Key of the server certificate."],
    ["trusted-ca-file", "string", "", "CA that client certificates are verified against."],
    ["client-cert-auth", "boolean", "false", "Require client certificates."],
    ["peer-cert-file", "string", "", "Certificate for peer traffic, both as server and as client."],
    ["peer-key-file", "string", "", "Key of the peer certificate."],
    ["peer-trusted-ca-file", "string", "", "CA that peer certificates are verified against."],
    ["peer-client-cert-auth", "boolean", "false", "Require certificates from peers."],
    ["client-crl-file", "string", "", "Revocation list for client certificates."],
    ["client-cert-allowed-hostname", "list", "", "Host names, one of which a client certificate must have."],
    ["auto-tls", "boolean", "false", "Generate a self-signed client certificate if none is given."],
    ["peer-client-cert-file", "string", "", "Certificate to call peers with (default the peer certificate)."],
    ["peer-client-key-file", "string", "", "Key of the certificate to call peers with."],
    ["peer-crl-file", "string", "", "Revocation list for peer certificates."],
    ["peer-cert-allowed-cn", "list", "", "Common names, one of which a peer certificate must have."],
    ["peer-cert-allowed-hostname", "list", "", "Host names, one of which a peer certificate must have."],
    [
      "peer-skip-client-san-verification",
      "boolean",
      "false",
      "Do not verify that a peer's certificate covers its address.",
    ],
    ["peer-auto-tls", "boolean", "false", "Generate a self-signed peer certificate if none is given."],
    ["self-signed-cert-validity", "count", "1", "Validity of the certificates of --auto-tls, in years."],
    ["cipher-suites", "list", "", "Cipher suites for TLS 1.2, by IANA name (default Node's)."],
    ["tls-min-version", "string", "TLS1.2", "Oldest TLS version accepted."],
    ["tls-max-version", "string", "", "Newest TLS version accepted."],
    [
      "auth-token",
      "string",
      "simple",
      "'simple', or 'jwt' with pub-key=FILE,priv-key=FILE,sign-method=METHOD,ttl=DURATION.",
    ],
    ["auth-token-ttl", "count", "300", "Seconds without use after which a simple token expires."],
    ["bcrypt-cost", "count", "10", "Cost of password hashes, as a power of two."],
  ],
  "HTTP and logging": [
    ["cors", "list", "*", "Origins allowed to call the JSON gateway."],
    ["host-whitelist", "list", "*", "Host names allowed in plaintext HTTP requests."],
    ["log-level", "string", "info", "debug, info, warn, error, panic or fatal."],
    ["log-outputs", "list", "default", "stderr, stdout or file paths."],
    ["metrics", "string", "basic", "'basic' or 'extensive'."],
    ["enable-pprof", "boolean", "false", "Serve V8's profiles at /debug/pprof/profile and /debug/pprof/heap."],
  ],
  "Not etcd's": [
    ["listen-health-urls", "urls", "", "URLs that serve only health checks, and ask for no client certificate."],
    ["backup-interval", "duration", "0s", "How often the members take a backup, in turn; 0 never."],
    ["backup-dir", "string", "", "Directory of this member's backups."],
    ["backup-cluster", "string", "", "Name of the cluster in the list of backups."],
    ["backup-key-file", "string", "", "File with a key of 64 hexadecimal digits, which encrypts backups."],
    ["backup-s3-bucket", "string", "", "Bucket of the backups, in place of a directory."],
    ["backup-s3-prefix", "string", "", "Prefix of their names in the bucket."],
    ["backup-s3-region", "string", "", "Region of the bucket; empty means the environment's."],
    ["backup-s3-endpoint", "string", "", "URL of a store with S3's protocol; empty means Amazon's."],
    ["backup-s3-path-style", "boolean", "false", "Name the bucket in the path of URLs."],
    ["backup-s3-credentials-file", "string", "", "File with credentials; empty means the instance's."],
    ["backup-retention-count", "count", "0", "Backups that are kept; 0 keeps all."],
    ["backup-retention-days", "count", "0", "Days after which a backup is removed; 0 keeps all."],
  ],
  Unsafe: [
    [
      "force-new-cluster",
      "boolean",
      "false",
      "Once: continue as a cluster of one with this member's data, when the majority is permanently lost.",
    ],
  ],
};

/** Accepted for existing units; each has no meaning here, or is behavior that cannot be disabled. */
const ignored: readonly Row[] = [
  ["max-snapshots", "count", "5", "Snapshots are in the database."],
  ["max-wals", "count", "5", "Old log segments are recycled."],
  ["initial-election-tick-advance", "boolean", "true", "The first election does not wait."],
  ["logger", "string", "zap", "There is one logger."],
  ["log-format", "string", "json", "The log is JSON."],
  ["enable-log-rotation", "boolean", "false", "Rotation is left to the system."],
  ["log-rotation-config-json", "string", "", "Rotation is left to the system."],
  ["debug", "boolean", "false", "Use --log-level=debug."],
  ["backend-batch-interval", "duration", "0s", "The store chooses its batches."],
  ["backend-batch-limit", "count", "0", "The store chooses its batches."],
  ["backend-bbolt-freelist-type", "string", "map", "The store is not bbolt."],
  ["socket-reuse-port", "boolean", "false", "Not needed: restarts are fast."],
  ["socket-reuse-address", "boolean", "false", "Always on."],
  ["enable-v2", "boolean", "false", "The v2 API was removed."],
  ["enable-grpc-gateway", "boolean", "true", "The gateway is always on."],
  ["v2-deprecation", "string", "", "The v2 API was removed."],
  ["compaction-batch-limit", "count", "1000", "Compaction never blocks."],
  ["compaction-sleep-interval", "duration", "10ms", "Compaction never blocks."],
  ["memory-mlock", "boolean", "false", "Memory is not locked."],
  ["bootstrap-defrag-threshold-megabytes", "count", "0", "Freed space is reused."],
  ["downgrade-check-time", "duration", "5s", "No downgrades."],
  ["compact-hash-check-time", "duration", "1m", "See --corrupt-check-time."],
  ["enable-distributed-tracing", "boolean", "false", "No tracing."],
  ["distributed-tracing-address", "string", "", "No tracing."],
  ["distributed-tracing-service-name", "string", "", "No tracing."],
  ["distributed-tracing-instance-id", "string", "", "No tracing."],
  ["distributed-tracing-sampling-rate", "count", "0", "No tracing."],
  ["client-cert-file", "string", "", "The gateway does not call its own port."],
  ["client-key-file", "string", "", "The gateway does not call its own port."],
  ["unsafe-no-fsync", "boolean", "false", "An acknowledged write is always on disk."],
  ["log-package-levels", "string", "", "Use --log-level."],
  ["raft-read-timeout", "duration", "5s", "Peers detect dead connections by themselves."],
  ["raft-write-timeout", "duration", "5s", "Peers detect dead connections by themselves."],
  ["discovery-proxy", "string", "", "Use --initial-cluster."],
  ["discovery-fallback", "string", "exit", "Use --initial-cluster."],
  ["discovery-srv-name", "string", "", "Use --initial-cluster."],
  ["proxy-failure-wait", "count", "5000", "No proxy mode."],
  ["proxy-refresh-interval", "count", "30000", "No proxy mode."],
  ["proxy-dial-timeout", "count", "1000", "No proxy mode."],
  ["proxy-write-timeout", "count", "5000", "No proxy mode."],
  ["proxy-read-timeout", "count", "0", "No proxy mode."],
];

/** Nothing here replaces what they would do. */
const unsupported: readonly Row[] = [
  ["discovery", "string", "", "there is no discovery; list the members with --initial-cluster"],
  ["discovery-srv", "string", "", "there is no discovery; list the members with --initial-cluster"],
  ["discovery-endpoints", "string", "", "there is no discovery; list the members with --initial-cluster"],
  ["discovery-token", "string", "", "there is no discovery; list the members with --initial-cluster"],
  ["proxy", "string", "off", "there is no proxy mode; clients use the members or a load balancer"],
];

function toDefinitions(group: string, effect: FlagDefinition["effect"], rows: readonly Row[]): FlagDefinition[] {
  return rows.map(([name, kind, defaultValue, help]) => ({ name, kind, defaultValue, effect, group, help }));
}

export const flagDefinitions: readonly FlagDefinition[] = [
  ...Object.entries(used).flatMap(([group, rows]) => toDefinitions(group, "used", rows)),
  ...toDefinitions("Accepted and ignored", "ignored", ignored),
  ...toDefinitions("Unsupported: only the default is accepted", "unsupported", unsupported),
];

export const flagsByName: ReadonlyMap<string, FlagDefinition> = new Map(
  flagDefinitions.map((definition) => [definition.name, definition]),
);
