/**
 * Starts that end differently from those of an etcd. Each is described in docs/etcd-differences.md under its id, with
 * the versions to which it applies.
 */
import type { FlagEtcd } from "./member-start.ts";
import type { Comparison } from "./start-comparison.ts";

export type FlagDifference = {
  readonly id: string;
  /**
   * How the start ends: ours accepts it and etcd does not, the other way round, or both accept it with different
   * settings.
   */
  readonly is: Exclude<Comparison["is"], "equal">;
  readonly titles: RegExp;
  /** All compared versions, unless set. */
  readonly versions?: readonly FlagEtcd[];
};

const urls = "--[a-z-]+-urls=";
const laterThan34 = [
  ...["backend-bbolt-freelist-type", "bootstrap-defrag-threshold-megabytes", "client-cert-file", "client-key-file"],
  ...["compaction-sleep-interval", "corrupt-check-time", "distributed-tracing-[a-z-]+", "downgrade-check-time"],
  ...["enable-distributed-tracing", "listen-client-http-urls", "max-learners", "memory-mlock", "peer-client-cert-file"],
  ...[
    "peer-client-key-file",
    "peer-skip-client-san-verification",
    "raft-(read|write)-timeout",
    "tls-(max|min)-version",
  ],
  ...["self-signed-cert-validity", "snapshot-catchup-entries", "socket-reuse-(address|port)"],
  ...["warning-(apply|unary-request)-duration", "watch-progress-notify-interval"],
];
/** The first that fits counts. */
export const flagDifferences: readonly FlagDifference[] = [
  {
    id: "flag-of-other-version",
    is: "accepted",
    titles: /^--(initial-corrupt-check|enable-v2|debug|log-package-levels|proxy|proxy-[a-z-]+|experimental-[a-z-]+)=/,
  },
  {
    id: "flag-of-other-version",
    is: "different",
    titles: /^(experimental-max-learners: |--feature-gates= ?InitialCorruptCheck)/,
    versions: ["3.6", "3.7"],
  },
  {
    id: "flag-of-other-version",
    is: "accepted",
    titles: new RegExp(`^--(${laterThan34.join("|")})=|^--log-level=(INFO|Info|warning)$`),
    versions: ["3.4"],
  },
  { id: "flag-of-other-version", is: "rejected", titles: /^--proxy=(on|readonly)$/, versions: ["3.4"] },
  { id: "flag-url-twice", is: "accepted", titles: new RegExp(`^${urls}(.+),\\1$`), versions: ["3.4"] },
  { id: "flag-url-twice", is: "different", titles: new RegExp(`^${urls}(.+),\\1$`), versions: ["3.4"] },
  { id: "flag-name-default", is: "accepted", titles: /^(--name=default|name: (null|~)?)$/ },
  { id: "flag-name-in-list", is: "accepted", titles: /^(--name=m[=,]1|name: a,b|--initial-cluster= m=)/ },
  { id: "flag-of-other-version", is: "accepted", titles: /^--log-level=warning$/, versions: ["3.6"] },
  { id: "flag-name-in-list", is: "rejected", titles: /^--initial-cluster=.*(,n=http:\/\/HOST:02380|,=http.*)$/ },
  { id: "flag-name-in-list", is: "different", titles: /^--initial-cluster=.*, n=/ },
  { id: "flag-half-certificate", is: "accepted", titles: /^--peer-trusted-ca-file=nowhere$/ },
  { id: "flag-file-merge", is: "rejected", titles: /: 0o10$/ },
  { id: "flag-url-list", is: "accepted", titles: new RegExp(`^${urls}( $|,|.*(,$|,,|/$))|^--initial-cluster=.*/$`) },
  {
    id: "flag-url-query",
    is: "rejected",
    titles: new RegExp(
      `^${urls}.*([?#]|HOST:$|:65536$|:0$|%25lo|/(127\\.1|2130706433|0x7f\\.1|127\\.0\\.0\\.01|256\\.0\\.0\\.1):)`,
    ),
  },
  { id: "flag-url-spelling", is: "different", titles: new RegExp(`^${urls}.*(:0\\d+|LocalHost|0:0:0:|bücher)`) },
  { id: "flag-url-name", is: "accepted", titles: /^--listen-[a-z-]+-urls=http:\/\/(localhost\.|[a-zü_-]+\.invalid):/ },
  { id: "flag-url-socket", is: "rejected", titles: new RegExp(`^${urls}unix:`) },
  { id: "flag-wal-dir-in-data", is: "accepted", titles: /^--wal-dir=data$/ },
  {
    id: "flag-no-sense",
    is: "rejected",
    titles:
      /^(--|ETCD_)(snapshot-count|SNAPSHOT_COUNT|heartbeat-interval|max-txn-ops|max-request-bytes|max-concurrent-streams|auth-token-ttl|bcrypt-cost)=/,
  },
  {
    id: "flag-no-sense",
    is: "rejected",
    titles: /^--heartbeat-interval=9 |^(snapshot-count|max-concurrent-streams): /,
  },
  { id: "flag-no-sense", is: "rejected", titles: /^(--|ETCD_)[a-zA-Z_-]+=-(1s|1)$|^[a-z-]+: -1$/ },
  { id: "flag-no-sense", is: "rejected", titles: /^--(metrics|auth-token)=|--auto-compaction-retention=1h$/ },
  {
    id: "flag-extremes",
    is: "accepted",
    // 3.4 overflows at 3000000 hours, and exits sooner or later.
    titles:
      /(9007199254740991|9007199254740993|922337203685477580[78]|\.854775808s|^--auto-compaction-retention=3000000)$/,
  },
  { id: "flag-extremes", is: "different", titles: /auto-compaction-retention(=|: )[\d"']+/ },
  { id: "flag-empty", is: "accepted", titles: /^(--[a-z-]+=,?|ETCD_NAME=|[a-z-]+: "")$/ },
  { id: "flag-list", is: "accepted", titles: /^--(cors|cipher-suites|log-outputs|host-whitelist|auth-token)=/ },
  { id: "flag-list", is: "different", titles: /^--(cors|cipher-suites|log-outputs|host-whitelist)=/ },
  { id: "flag-half-certificate", is: "rejected", titles: /(^--|\{)(peer-)?(cert|key)-file/i },
  {
    id: "flag-ignored",
    is: "accepted",
    titles:
      /^--(logger|log-format|enable-log-rotation|compact-hash-check-time|v2-deprecation|discovery-[a-z-]+|feature-gates|backend-batch-limit|compaction-batch-limit|log-rotation-config-json)=/,
  },
  {
    id: "flag-ignored",
    is: "rejected",
    titles: /^--(backend-batch-limit|compaction-batch-limit|discovery)=/,
    versions: ["3.4", "3.6"],
  },
  { id: "flag-double-dash", is: "rejected", titles: /^--( --x)?$/ },
  {
    id: "flag-file-quotes",
    is: "accepted",
    titles: /^[a-z-]+: |client-cert-auth: 'true'|-security: (\[\]|\{allowed-cn)/,
  },
  { id: "flag-file-quotes", is: "different", titles: /^[a-z-]+: / },
  {
    id: "flag-file-block",
    is: "rejected",
    titles: /-security: \{(no-such-key|allowed-hostnames)|^snapshot-count: 7 \/ ---/,
  },
  { id: "flag-file-merge", is: "different", titles: /<<: / },
];

export function differenceOf(title: string, is: Comparison["is"], version: FlagEtcd): FlagDifference | undefined {
  return flagDifferences.find(
    (one) => one.is === is && one.titles.test(title) && (one.versions ?? [version]).includes(version),
  );
}
