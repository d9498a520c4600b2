/**
 * Every flag of etcd that a unit file or manifest may pass, with its default and what we do with it. `used` flags
 * shape the agent; `ignored` ones are accepted so that an existing unit works with the binary swapped, and the log
 * says that they have no effect; `refused` ones may only say what they say by default, since a member that ignored them
 * would not be what was meant. Names and defaults follow etcd 3.6.
 */
export type FlagKind = "string" | "boolean" | "count" | "integer" | "duration" | "urls" | "list";

export type FlagDefinition = {
  readonly name: string;
  readonly kind: FlagKind;
  readonly defaultValue: string;
  readonly effect: "used" | "ignored" | "refused";
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
      "Size of the database at which writes are refused; 0 means 2 GiB, less than 0 any.",
    ],
    ["max-txn-ops", "count", "128", "Operations permitted in one transaction."],
    ["max-request-bytes", "count", "1572864", "Largest client request in bytes."],
    ["max-concurrent-streams", "count", "4294967295", "Concurrent streams that one client connection may open."],
    ["grpc-keepalive-min-time", "duration", "5s", "Shortest interval at which a client may send pings."],
    ["grpc-keepalive-interval", "duration", "2h", "Idle time after which the server pings a client; 0 never does."],
    ["grpc-keepalive-timeout", "duration", "20s", "How long a ping may stay unanswered; 0 means for ever."],
    ["watch-progress-notify-interval", "duration", "10m", "Interval of progress notifications on idle watches."],
    ["corrupt-check-time", "duration", "0s", "How often members compare their data; 0 means every 10 minutes."],
    [
      "initial-corrupt-check",
      "boolean",
      "false",
      "Compare this member's data with the others' before serving clients.",
    ],
    ["feature-gates", "string", "", "InitialCorruptCheck=true is --initial-corrupt-check; other gates have no effect."],
    ["warning-apply-duration", "duration", "100ms", "Applying for longer than this is logged."],
    ["warning-unary-request-duration", "duration", "300ms", "A unary request that takes longer than this is logged."],
  ],
  Clustering: [
    [
      "initial-advertise-peer-urls",
      "urls",
      "http://localhost:2380",
      "This member's peer URLs, as the others see them.",
    ],
    ["advertise-client-urls", "urls", "http://localhost:2379", "This member's client URLs, as clients see them."],
    [
      "initial-cluster",
      "string",
      "",
      "Initial members, name=url,... (default '<name>=<initial-advertise-peer-urls>').",
    ],
    ["initial-cluster-state", "string", "new", "'new' to bootstrap, 'existing' to join."],
    ["initial-cluster-token", "string", "etcd-cluster", "Keeps clusters with equal URLs apart."],
    ["strict-reconfig-check", "boolean", "true", "Refuse membership changes that would lose the quorum."],
    ["pre-vote", "boolean", "true", "Ask whether an election could be won before starting one."],
    ["max-learners", "count", "1", "Learners that etcd's own member API may add at once."],
    ["auto-compaction-mode", "string", "periodic", "'periodic' or 'revision'."],
    ["auto-compaction-retention", "string", "0", "What automatic compaction keeps; 0 turns it off."],
  ],
  Security: [
    ["cert-file", "string", "", "Server certificate for clients."],
    ["key-file", "string", "", "Key of the server certificate."],
    ["trusted-ca-file", "string", "", "CA that client certificates are checked against."],
    ["client-cert-auth", "boolean", "false", "Require client certificates."],
    ["peer-cert-file", "string", "", "Certificate for peer traffic, both as server and as client."],
    ["peer-key-file", "string", "", "Key of the peer certificate."],
    ["peer-trusted-ca-file", "string", "", "CA that peer certificates are checked against."],
    ["peer-client-cert-auth", "boolean", "false", "Require certificates from peers."],
    ["client-crl-file", "string", "", "Revocation list that client certificates are checked against."],
    ["client-cert-allowed-hostname", "list", "", "Host names, one of which a client's certificate must be for."],
    ["auto-tls", "boolean", "false", "Make a certificate for clients that signs itself, if none is given."],
    ["peer-client-cert-file", "string", "", "Certificate to call peers with (default the peer certificate)."],
    ["peer-client-key-file", "string", "", "Key of the certificate to call peers with."],
    ["peer-crl-file", "string", "", "Revocation list that peers' certificates are checked against."],
    ["peer-cert-allowed-cn", "list", "", "Common names, one of which a peer's certificate must have."],
    ["peer-cert-allowed-hostname", "list", "", "Host names, one of which a peer's certificate must be for."],
    [
      "peer-skip-client-san-verification",
      "boolean",
      "false",
      "Let peers call from addresses that their certificate is not for.",
    ],
    ["peer-auto-tls", "boolean", "false", "Make a certificate for peers that signs itself, if none is given."],
    ["self-signed-cert-validity", "count", "1", "Years that certificates of --auto-tls are valid."],
    ["cipher-suites", "list", "", "Suites for TLS 1.2, by their IANA names (default Node's)."],
    ["tls-min-version", "string", "TLS1.2", "Oldest TLS version accepted."],
    ["tls-max-version", "string", "", "Newest TLS version accepted."],
    [
      "auth-token",
      "string",
      "simple",
      "'simple', or 'jwt' with pub-key=FILE,priv-key=FILE,sign-method=METHOD,ttl=DURATION.",
    ],
    ["auth-token-ttl", "count", "300", "Seconds without use after which a simple token ends."],
    ["bcrypt-cost", "count", "10", "Cost of a password's hash, as a power of two."],
  ],
  "HTTP and logging": [
    ["cors", "list", "*", "Origins allowed to call the JSON gateway."],
    ["host-whitelist", "list", "*", "Host names allowed in plaintext HTTP requests."],
    ["log-level", "string", "info", "debug, info, warn, error, panic or fatal."],
    ["log-outputs", "list", "default", "stderr, stdout or file paths."],
    ["metrics", "string", "basic", "'basic' or 'extensive'."],
    ["enable-pprof", "boolean", "false", "Serve V8's profiles at /debug/pprof/profile and /debug/pprof/heap."],
  ],
  Unsafe: [
    [
      "force-new-cluster",
      "boolean",
      "false",
      "Once: go on as a cluster of one, with this member's data, when the majority is lost for good.",
    ],
  ],
};

/** Accepted for the sake of existing units; each has no meaning here, or is a way of working that cannot be turned off. */
const ignored: readonly Row[] = [
  ["max-snapshots", "count", "5", "Snapshots live in the database."],
  ["max-wals", "count", "5", "Old log segments are recycled."],
  ["initial-election-tick-advance", "boolean", "true", "The first election does not wait."],
  ["logger", "string", "zap", "One logger."],
  ["log-format", "string", "json", "The log is JSON."],
  ["enable-log-rotation", "boolean", "false", "Rotation is the system's."],
  ["log-rotation-config-json", "string", "", "Rotation is the system's."],
  ["debug", "boolean", "false", "Use --log-level=debug."],
  ["backend-batch-interval", "duration", "0s", "The store chooses its batches."],
  ["backend-batch-limit", "count", "0", "The store chooses its batches."],
  ["backend-bbolt-freelist-type", "string", "map", "The store is not bbolt."],
  ["socket-reuse-port", "boolean", "false", "Not needed: restarts are quick."],
  ["socket-reuse-address", "boolean", "false", "Always on."],
  ["enable-v2", "boolean", "false", "The v2 API is gone."],
  ["enable-grpc-gateway", "boolean", "true", "The gateway is always on."],
  ["v2-deprecation", "string", "", "The v2 API is gone."],
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
  ["raft-read-timeout", "duration", "5s", "Peers find out by themselves when a connection is dead."],
  ["raft-write-timeout", "duration", "5s", "Peers find out by themselves when a connection is dead."],
  ["discovery-proxy", "string", "", "Use --initial-cluster."],
  ["discovery-fallback", "string", "exit", "Use --initial-cluster."],
  ["discovery-srv-name", "string", "", "Use --initial-cluster."],
  ["proxy-failure-wait", "count", "5000", "No proxy mode."],
  ["proxy-refresh-interval", "count", "30000", "No proxy mode."],
  ["proxy-dial-timeout", "count", "1000", "No proxy mode."],
  ["proxy-write-timeout", "count", "5000", "No proxy mode."],
  ["proxy-read-timeout", "count", "0", "No proxy mode."],
];

/** What they would have found or done, nobody else here does. */
const refused: readonly Row[] = [
  ["discovery", "string", "", "there is no discovery; name the members with --initial-cluster"],
  ["discovery-srv", "string", "", "there is no discovery; name the members with --initial-cluster"],
  ["discovery-endpoints", "string", "", "there is no discovery; name the members with --initial-cluster"],
  ["discovery-token", "string", "", "there is no discovery; name the members with --initial-cluster"],
  ["proxy", "string", "off", "there is no proxy mode; let clients call the members, or a load balancer"],
];

function toDefinitions(group: string, effect: FlagDefinition["effect"], rows: readonly Row[]): FlagDefinition[] {
  return rows.map(([name, kind, defaultValue, help]) => ({ name, kind, defaultValue, effect, group, help }));
}

export const flagDefinitions: readonly FlagDefinition[] = [
  ...Object.entries(used).flatMap(([group, rows]) => toDefinitions(group, "used", rows)),
  ...toDefinitions("Accepted and ignored", "ignored", ignored),
  ...toDefinitions("Refused unless they say what they say by default", "refused", refused),
];

export const flagsByName: ReadonlyMap<string, FlagDefinition> = new Map(
  flagDefinitions.map((definition) => [definition.name, definition]),
);
