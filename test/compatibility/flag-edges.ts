/**
 * Starts of a member at the edge values of its flags, variables and configuration file: generated from the agent's own
 * list of flags, by the kind of each. `HOST` in a value is replaced by the address assigned to the start.
 */
import { type FlagDefinition, type FlagKind, flagDefinitions, flagsByName } from "../../src/raft-agent/config/flags.ts";

export type Start = {
  /** Unique, and what differences are listed by: `--name=value`, `NAME=value`, `name: value`. */
  readonly title: string;
  /** Flags in order, besides those that every start has; a flag of the same name replaces that one. */
  readonly flags: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
  /** The lines of the configuration file; with them the flags are ignored. */
  readonly file: readonly string[] | null;
  /** Both are started as processes, and compared by their members and their listening addresses. */
  readonly isServed: boolean;
};

const numbers = [
  ...[
    "",
    "0",
    "1",
    "7",
    "-1",
    "+1",
    "007",
    "010",
    "0x10",
    "0X10",
    "0b11",
    "0o17",
    "1_000",
    "_1",
    "1__0",
    "1e3",
    "1.0",
    "1.5",
    "1k",
  ],
  ...[" 1", "1 ", "1\n", "٣", "１", "NaN", "Inf", "1,5", "65536", "2147483648", "4294967295", "4294967296"],
  ...["9007199254740991", "9007199254740993", "9223372036854775807", "9223372036854775808"],
  ...["18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809"],
];
const booleans = [
  "",
  "true",
  "True",
  "TRUE",
  "tRUE",
  "T",
  "t",
  "1",
  "false",
  "F",
  "0",
  "yes",
  "on",
  "2",
  " true",
  "true ",
];
const durations = [
  ...[
    "",
    "0",
    "+0",
    "-0",
    "0s",
    "1",
    "1s",
    "-1s",
    "+1s",
    "1S",
    "1d",
    "1w",
    "1h30m",
    "1h-30m",
    "1.5h",
    ".5s",
    "5.s",
    ".s",
    "1 s",
    " 1s",
    "1s ",
  ],
  ...[
    "1us",
    "1µs",
    "1μs",
    "1ns",
    "0.5ns",
    "1e3s",
    "1_0s",
    "2562047h47m16.854775807s",
    "2562047h47m16.854775808s",
    "99999999h",
    "٣s",
  ],
];
const anyText = ["", " ", "x", "é", "日本", "a b", "a,b", ",", "a=b", "\u0001"];
const edgesOfKind: Readonly<Record<FlagKind, readonly string[]>> = {
  count: numbers,
  integer: numbers,
  boolean: booleans,
  duration: durations,
  urls: [],
  list: anyText,
  string: anyText,
};

const port = (number: number | string): string => `http://HOST:${number}`;
const urlEdges = (at: number): readonly string[] => [
  ...[
    "",
    " ",
    ",",
    "x",
    `HOST:${at}`,
    `//HOST:${at}`,
    `ftp://HOST:${at}`,
    `HTTP://HOST:${at}`,
    `http:/HOST:${at}`,
    `http:HOST:${at}`,
  ],
  ...[port(at), ` ${port(at)}`, `${port(at)} `, `${port(at)},`, `,${port(at)}`, `${port(at)},,${port(at + 10)}`],
  ...[
    `${port(at)}, ${port(at + 10)}`,
    `${port(at + 10)},${port(at)}`,
    `${port(at)},${port(at)}`,
    `${port(at)};${port(at + 10)}`,
  ],
  ...[
    `${port(at)}/`,
    `${port(at)}/x`,
    `${port(at)}?a=b`,
    `${port(at)}?`,
    `${port(at)}#a`,
    `${port(at)}#`,
    `http://u@HOST:${at}`,
    `http://u:p@HOST:${at}`,
  ],
  ...[
    "http://HOST",
    "http://HOST:",
    port(0),
    port(80),
    port(`0${at}`),
    port(65_535),
    port(65_536),
    port(-1),
    port("+1"),
    port("http"),
    port(` ${at}`),
  ],
  ...[
    `http://:${at}`,
    `http://localhost:${at}`,
    `http://LocalHost:${at}`,
    `http://localhost.:${at}`,
    `http://nowhere.invalid:${at}`,
  ],
  ...[
    `http://0.0.0.0:${at}`,
    `http://[::]:${at}`,
    `http://[::1]:${at}`,
    `http://::1:${at}`,
    `http://[::1%25lo]:${at}`,
    `http://[0:0:0:0:0:0:0:1]:${at}`,
  ],
  ...[
    `http://127.1:${at}`,
    `http://2130706433:${at}`,
    `http://0x7f.1:${at}`,
    `http://127.0.0.01:${at}`,
    `http://256.0.0.1:${at}`,
  ],
  ...[
    `http://ex%61mple.invalid:${at}`,
    `http://bücher.invalid:${at}`,
    `http://xn--bcher-kva.invalid:${at}`,
    `http://a_b.invalid:${at}`,
    `http://a b:${at}`,
  ],
  ...[
    `http://HOST:${at}\n`,
    `http://HOST:${at}\t`,
    `http:\\\\HOST:${at}`,
    `https://HOST:${at}`,
    "https://HOST:443",
    "unix://",

    `unix://HOST:${at}`,
  ],
];

const portOf: Readonly<Record<string, number>> = {
  "listen-client-urls": 2379,
  "advertise-client-urls": 2379,
  "listen-peer-urls": 2380,
  "initial-advertise-peer-urls": 2380,
  "listen-metrics-urls": 2381,
  "listen-client-http-urls": 2382,
};

const peer = "http://HOST:2380";
/** Values that only one flag accepts. */
const edgesOf: Readonly<Record<string, readonly string[]>> = {
  name: ["", " ", "default", "m 1", " m", "m=1", "m,1", "é", "日本", "-", "m/1", "../m", "x".repeat(1000)],
  "data-dir": ["", " ", "data", "data/", "./data", "a/b/c", "dätä", "da ta", " data", "data "],
  "wal-dir": ["", " ", "wal", "wal/", "data/wal", "data", "data/member/wal", "wäl"],
  "initial-cluster": [
    ...[
      "",
      " ",
      ",",
      "=",
      "m",
      "m=",
      `=${peer}`,
      peer,
      `m=${peer}`,
      `m=${peer},`,
      `,m=${peer}`,
      ` m=${peer}`,
      `m =${peer}`,
      `m= ${peer}`,
      `m=${peer} `,
    ],
    ...[
      `m=${peer},m=${peer}`,
      `m=${peer},m=http://HOST:2390`,
      `m=${peer},n=${peer}`,
      `m=${peer},n=http://HOST:02380`,
      `m=${peer}/`,
      `m=${peer}/x`,
    ],
    ...[
      `M=${peer}`,
      `m=HTTP://HOST:2380`,
      "m=HOST:2380",
      "m=http://HOST",
      `n=${peer}`,
      `m=${peer};n=http://HOST:2390`,
      `m=${peer}|http://HOST:2390`,
      `m==${peer}`,
    ],
    ...[
      `m=${peer},=http://HOST:2390`,
      `m=${peer}, n=http://HOST:2390`,
      `m=${peer},n=http://HOST:2390`,
      `m=${peer},n=http://HOST:2390,`,
      `m=http://LocalHost:2380`,
    ],
  ],
  "initial-cluster-state": ["", " ", "new", "New", "Existing", "new ", "old"],
  "initial-cluster-token": ["", " ", "é", "日本", "a b", "x".repeat(5000)],
  "auto-compaction-mode": ["", "periodic", "revision", "Periodic", "off", " revision"],
  "auto-compaction-retention": [
    "",
    "0",
    "1",
    "-1",
    "010",
    "0x10",
    "1.5",
    " 1",
    "1s",
    "-1s",
    "1h30m",
    "1d",
    "3000000",
    "9223372036854775807",
  ],
  metrics: ["", "basic", "extensive", "Basic", "x", " basic"],
  "log-level": [
    "",
    "debug",
    "info",
    "INFO",
    "Info",
    "warn",
    "warning",
    "error",
    "dpanic",
    "panic",
    "fatal",
    "trace",
    "x",
    " info",
  ],
  "log-outputs": [
    "",
    ",",
    "default",
    "stderr",
    "stdout",
    "log",
    "é.log",
    "stderr,stdout",
    "stderr,",
    "default,stderr",
    "no/such/directory/log",
    "/dev/null",
    "stderr,stderr",
    "Stderr",
    " stderr",
  ],
  "log-format": ["", "json", "console", "JSON", "x"],
  logger: ["", "zap", "capnslog", "x"],
  "auth-token": [
    ...[
      "",
      "simple",
      "Simple",
      "simple,ttl=5",
      "simple,",
      "jwt",
      "jwt,",
      "x",
      "simple,x",
      "jwt,sign-method=HS256",
      "jwt,sign-method=x,priv-key=/none",
      " simple",
    ],
    ...[
      "jwt,sign-method=RS256,pub-key=/none,priv-key=/none",
      "jwt,sign-method=RS256,pub-key=/none,pub-key=/none",
      "jwt,a=b=c",
    ],
  ],
  "feature-gates": [
    ...[
      "",
      ",",
      "InitialCorruptCheck=true",
      "InitialCorruptCheck",
      "InitialCorruptCheck=",
      "InitialCorruptCheck=yes",
      "InitialCorruptCheck=1",
      "initialcorruptcheck=true",
    ],
    ...[
      "InitialCorruptCheck=true,InitialCorruptCheck=false",
      " InitialCorruptCheck = true ",
      "InitialCorruptCheck=true,",
      "NoSuchGate=true",
      "AllAlpha=true",
      "AllBeta=false",
    ],
    ...[
      "CompactHashCheck=true",
      "LeaseCheckpoint=true",
      "LeaseCheckpointPersist=true",
      "LeaseCheckpoint=true,LeaseCheckpointPersist=true",
      "=true",
    ],
  ],
  cors: [
    "",
    "*",
    "*,",
    ",",
    " ",
    "http://a",
    "http://a:1",
    "https://a,http://b",
    "http://a, http://b",
    "a",
    "http://a/",
    "http://a/x",
    "ftp://a",
    "http://bücher.invalid",
    "*,http://a",
  ],
  "host-whitelist": ["", "*", ",", " ", "a", "a,b", "a, b", "A", "a,a", "localhost", "é", "a:1"],
  "cipher-suites": [
    ...[
      "",
      ",",
      "x",
      "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
      "tls_ecdhe_rsa_with_aes_128_gcm_sha256",
      " TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
      "TLS_AES_128_GCM_SHA256",
    ],
    ...[
      "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,",
      "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
      "ECDHE-RSA-AES128-GCM-SHA256",
    ],
  ],
  "tls-min-version": ["", "TLS1.2", "TLS1.3", "tls1.2", "TLS1.1", "TLS1.0", "1.2", " TLS1.2"],
  "tls-max-version": ["", "TLS1.2", "TLS1.3", "tls1.3", "TLS1.1", "1.3"],
  "v2-deprecation": ["", "not-yet", "write-only", "write-only-drop-data", "gone", "x"],
  "backend-bbolt-freelist-type": ["", "map", "array", "Map", "x"],
  "discovery-fallback": ["", "exit", "proxy", "x"],
  "log-rotation-config-json": ["", "{}", "x", '{"maxsize": 1}'],
  proxy: ["", "off", "on", "readonly", "x"],
};
/** Flags whose values are not only read but listened on, sent to clients or created. */
const served = new Set([
  ...["--listen-client-urls", "--advertise-client-urls"].flatMap((flag) =>
    [
      port(2379),
      `${port(2379)},${port(2379)}`,
      `${port(2389)},${port(2379)}`,
      `HTTP://HOST:2379`,
      port("02379"),
      port(80),
      "https://HOST:443",
    ].map((value) => `${flag}=${value}`),
  ),
  ...[
    `--listen-peer-urls=${port(2390)},${port(2380)}`,
    `--listen-peer-urls=${port(80)}`,
    `--listen-metrics-urls=${port(2381)},${port(2391)}`,
  ],
  ...[`--listen-client-http-urls=${port(2382)}`],
  ...[
    "--name=é",
    "--name=m 1",
    "--data-dir=dätä",
    "--data-dir=a/b/c",
    "--wal-dir=wäl",
    `--initial-advertise-peer-urls=${port(80)}`,
  ],
]);
/** One flag of each kind is tested with every value, and so are those that are counted in other units. */
const thorough = new Set([
  "snapshot-count",
  "quota-backend-bytes",
  "pre-vote",
  "grpc-keepalive-min-time",
  "max-concurrent-streams",
]);
/** Enough for a value that is read like that of another flag. */
const fewEdges: Readonly<Record<FlagKind, readonly string[]>> = {
  ...edgesOfKind,
  count: ["", "0", "1", "-1", "0x100", "1.5", "4294967296", "9223372036854775808"],
  duration: ["", "0", "3s", "-1s", "3", "2562047h47m16.854775807s"],
  boolean: ["", "true", "F", "yes"],
  list: ["", "x"],
  string: ["", "x", " "],
};
/** They would have to be files, or a service elsewhere. */
const isElsewhere = (name: string): boolean =>
  /-file$|^discovery(-srv|-endpoints|-token|-proxy)?$|^distributed/.test(name);

/** Where other processes of the machine may listen. */
const shared = /^http:\/\/(localhost|LocalHost|0\.0\.0\.0|\[(::1?|0:0:0:0:0:0:0:1)\]):/;

function edges({ name, kind, effect }: FlagDefinition): readonly string[] {
  if (isElsewhere(name)) return ["", "nowhere"];
  const [urls, own] = [portOf[name], edgesOf[name]];
  if (urls !== undefined) return urlEdges(urls).filter((value) => !(name.startsWith("listen-") && shared.test(value)));
  return own ?? (effect === "used" && thorough.has(name) ? edgesOfKind : fewEdges)[kind];
}

const nothing = { flags: [], variables: {}, file: null, isServed: false } as const;

function byFlag(definition: FlagDefinition): Start[] {
  return [...new Set(edges(definition))].map((value) => {
    const flag = `--${definition.name}=${value}`;
    const isServed = served.has(flag);
    return { ...nothing, title: printable(flag), flags: [flag], isServed };
  });
}

/** Read like flags, except for empty ones: one flag of each kind is enough. */
function byVariable(definition: FlagDefinition): Start[] {
  const name = `ETCD_${definition.name.toUpperCase().replaceAll("-", "_")}`;
  return edges(definition).map((value) => ({
    ...nothing,
    title: printable(`${name}=${value}`),
    variables: { [name]: value },
  }));
}

const yamlEdges: readonly string[] = [
  ...[
    "",
    "null",
    "~",
    "10",
    '"10"',
    "'10'",
    "010",
    "0o10",
    "0x10",
    "1_000",
    "1e3",
    "10.0",
    "1.5",
    "-1",
    "+10",
    ".inf",
    "18446744073709551616",
  ],
  ...[
    "true",
    "True",
    "TRUE",
    "yes",
    "Yes",
    "on",
    "off",
    "no",
    "n",
    "y",
    '"true"',
    "5s",
    '"5s"',
    "5000000000",
    "1h",
    "60:00",
    "2026-01-01",
  ],
  ...[
    "x",
    '""',
    "[]",
    "[1]",
    "[stderr]",
    "[a, b]",
    "{}",
    "{a: 1}",
    "a,b",
    "!!str 10",
    "10 # ten",
    "|\n  10",
    "&a 10",
    "*a",
    "!x 10",
    "@a",
    "`a",
    "%a",
    '"\\x31\\x30"',
    "'a\"b'",
  ],
];

function byFile({ name }: FlagDefinition): Start[] {
  return yamlEdges.map((value) => ({ ...nothing, title: printable(`${name}: ${value}`), file: [`${name}: ${value}`] }));
}

const wholeFiles: readonly (readonly string[])[] = [
  [],
  ["snapshot-count: 7", "snapshot-count: 8"],
  ["Snapshot-Count: 7"],
  ["SNAPSHOT-COUNT: 7"],
  ["snapshot_count: 7"],
  ["snapshot-count : 7"],
  ["snapshot-count:7"],
  ["\tsnapshot-count: 7"],
  ["? snapshot-count", ": 7"],
  ['"snapshot-count": 7'],
  ["experimental-max-learners: 2"],
  ["experimental-corrupt-check-time: 5000000000"],
  ["no-such-key: 7"],
  ["7: 7"],
  ["---", "snapshot-count: 7"],
  ["snapshot-count: 7", "---", "snapshot-count: 8"],
  ["snapshot-count: 7", "..."],
  ["%YAML 1.1", "---", "snapshot-count: 010"],
  ["\uFEFFsnapshot-count: 7"],
  ["<<: {snapshot-count: 7}"],
  ["base: &b {snapshot-count: 7}", "<<: *b"],
  ["client-transport-security:"],
  ["client-transport-security: x"],
  ["client-transport-security: []"],
  ["client-transport-security: {cert-file: nowhere}"],
  ["client-transport-security: {client-cert-auth: yes}"],
  ["client-transport-security: {client-cert-auth: 'true'}"],
  ["client-transport-security: {Cert-File: nowhere}"],
  ["peer-transport-security: {no-such-key: 1}"],
  ["peer-transport-security: {allowed-cn: a}"],
  ["peer-transport-security: {allowed-hostname: [a]}"],
  ["peer-transport-security: {allowed-hostnames: [a]}"],
  ["peer-transport-security: {skip-client-san-verification: true}"],
];

const many = (text: string): readonly string[] => text.split(" ");
const commandLines: readonly (readonly string[])[] = [
  ...[
    "--pre-vote",
    "-pre-vote",
    "--pre-vote true",
    "--pre-vote false",
    "--pre-vote --snapshot-count=7",
    "-snapshot-count 7",
    "--snapshot-count",
  ].map(many),
  ...[
    "--snapshot-count=7 --snapshot-count=8",
    "--snapshot-count=8 --snapshot-count=x",
    "---snapshot-count=7",
    "-",
    "--",
    "-- --x",
    "--snapshot-count= 7",
  ].map(many),
  ...[
    "x",
    "--=7",
    "--no-such-flag=7",
    "--SNAPSHOT-COUNT=7",
    "--snapshot_count=7",
    "--heartbeat-interval=100 --election-timeout=499",
  ].map(many),
  ...[
    "--heartbeat-interval=100 --election-timeout=500",
    "--heartbeat-interval=10000 --election-timeout=50000",
    "--election-timeout=50001",
  ].map(many),
  ...[
    "--election-timeout=0",
    "--heartbeat-interval=9 --election-timeout=50",
    "--heartbeat-interval=10 --election-timeout=50",
  ].map(many),
  ...[
    "--tls-min-version=TLS1.3 --tls-max-version=TLS1.2",
    "--tls-min-version=TLS1.3 --cipher-suites=TLS_AES_128_GCM_SHA256",
  ].map(many),
  ...[
    "--auto-compaction-mode=revision --auto-compaction-retention=1h",
    "--auto-compaction-mode=revision --auto-compaction-retention=010",
  ].map(many),
  ...[
    "--auto-compaction-mode=revision --auto-compaction-retention=-1",
    "--auto-compaction-mode=revision --auto-compaction-retention=1.5",
  ].map(many),
  ...[
    "--auto-compaction-mode=revision --auto-compaction-retention=9223372036854775808",
    "--quota-backend-bytes=-1 --max-txn-ops=1",
  ].map(many),
  ...[
    "--peer-cert-allowed-cn=a --peer-cert-allowed-hostname=b",
    "--client-cert-auth",
    "--peer-client-cert-auth",
    "--cert-file=x",
    "--peer-key-file=x",
  ].map(many),
  ...[
    "--experimental-max-learners=2",
    "--experimental-max-learners=2 --max-learners=2",
    "--experimental-no-such-flag=1",
  ].map(many),
  ...[
    "--max-learners=0",
    "--auto-tls --self-signed-cert-validity=0",
    "--strict-reconfig-check=false --force-new-cluster",
  ].map(many),
];

/** Every start that is compared. */
export function allStarts(): readonly Start[] {
  const starts = [
    ...flagDefinitions.filter(({ group }) => group !== "Not etcd's").flatMap(byFlag),
    ...["snapshot-count", "pre-vote", "grpc-keepalive-min-time", "name"]
      .map((name) => flagsByName.get(name)!)
      .flatMap(byVariable),
    ...[...thorough, "log-outputs", "listen-metrics-urls", "auto-compaction-retention", "cipher-suites", "name"]
      .map((name) => flagsByName.get(name)!)
      .flatMap(byFile),
    ...wholeFiles.map((file) => ({ ...nothing, title: printable(file.join(" / ")), file })),
    ...commandLines.map((flags) => ({ ...nothing, title: flags.join(" "), flags })),
  ];
  return [...new Map(starts.map((start) => [start.title, start])).values()];
}

function printable(text: string): string {
  const short = text.length > 120 ? `${text.slice(0, 120)}…` : text;
  return JSON.stringify(short).slice(1, -1).replaceAll('\\"', '"');
}
