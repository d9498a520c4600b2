import { describe, expect, it } from "vitest";
import { configNotices, createAgentConfig } from "./agent-config.ts";
import { parseDurationMs } from "./flag-values.ts";
import { type FlagKind, flagDefinitions } from "./flags.ts";
import { readSettings, SettingsError } from "./read-settings.ts";

const noFiles = (path: string): string => {
  throw new Error(`no file ${path}`);
};

const read = (argv: string[], environment: Record<string, string> = {}, file?: string) =>
  readSettings(argv, environment, file === undefined ? noFiles : () => file);

const config = (argv: string[], environment: Record<string, string> = {}, file?: string) =>
  createAgentConfig(read(argv, environment, file));

const certificate = ["--cert-file=/c", "--key-file=/k"];
const peerCertificate = ["--peer-cert-file=/c", "--peer-key-file=/k"];

describe("createAgentConfig", () => {
  it("fills in etcd's defaults", () => {
    const defaults = config([]);
    expect(defaults).toMatchObject({
      name: "default",
      dataDir: "default.etcd",
      walDir: "default.etcd/member/wal",
      heartbeatIntervalMs: 100,
      electionTimeoutMs: 1000,
      snapshotCount: 10_000,
      quotaBackendBytes: 2 * 1024 ** 3,
      maxRequestBytes: 1_572_864,
      keepalive: { minTimeMs: 5000, intervalMs: 7_200_000, timeoutMs: 20_000 },
      autoCompaction: { mode: "off" },
      clientTls: null,
      preVote: true,
    });
    expect(defaults.initialCluster).toEqual([{ name: "default", peerUrls: ["http://localhost:2380"] }]);
  });

  it("has a bucket of backups in place of their directory", () => {
    const schedule = ["--backup-interval=1h", "--backup-cluster=demo", "--data-dir=/data"];
    const bucket = ["--backup-s3-bucket=kept", "--backup-s3-prefix=haplan", "--backup-s3-credentials-file=/c"];
    expect(config([...schedule, ...bucket]).backups).toMatchObject({
      directory: "/data/backup-upload",
      bucket: { bucket: "kept", prefix: "haplan", region: null, endpoint: null, credentialsFile: "/c" },
    });
    expect(config([...schedule, "--backup-dir=/b"]).backups).toMatchObject({ directory: "/b", bucket: null });
    expect(() => config([...schedule, ...bucket, "--backup-dir=/b"])).toThrow("exclude each other");
    expect(() => config(schedule)).toThrow("needs an absolute path, or --backup-s3-bucket");
  });

  it("parses flags with one dash or two, with or without =", () => {
    const given = config([
      "-name",
      "m1",
      "--data-dir=/d",
      "--initial-cluster",
      "m1=http://localhost:2380",
      "--pre-vote=false",
    ]);
    expect(given).toMatchObject({ name: "m1", dataDir: "/d", preVote: false });
  });

  it("treats an empty list of URLs as the default, in flags and in the file", () => {
    const names = ["listen-client-urls", "advertise-client-urls", "listen-peer-urls", "initial-advertise-peer-urls"];
    for (const empty of [
      config(names.map((name) => `--${name}=`)),
      config(["--config-file=f"], {}, names.map((name) => `${name}: ""`).join("\n")),
    ]) {
      const { listenClientUrls, advertiseClientUrls, listenPeerUrls, advertisePeerUrls } = empty;
      expect([...listenClientUrls, ...listenPeerUrls].map(String)).toEqual([
        "http://localhost:2379/",
        "http://localhost:2380/",
      ]);
      expect([advertiseClientUrls, advertisePeerUrls]).toEqual([["http://localhost:2379"], ["http://localhost:2380"]]);
      expect(empty.listenMetricsUrls).toEqual([]);
    }
  });

  it("A9: deduplicates URLs", () => {
    const twice = config([
      "--listen-client-urls=http://a:1,http://a:1/,http://b:1",
      "--advertise-client-urls=http://a:1",
      "--listen-peer-urls=http://c:1,http://c:1",
    ]);
    expect(twice.listenClientUrls.map(String)).toEqual(["http://a:1/", "http://b:1/"]);
    expect(twice.listenPeerUrls.map(String)).toEqual(["http://c:1/"]);
  });

  it("requires client certificates when a CA is set, and uses them for login only when enabled", () => {
    const named = config([...certificate, "--trusted-ca-file=/ca"]);
    expect(named.clientTls).toMatchObject({ requireClientCertificate: true, loginByCertificate: false });
    const required = config([...certificate, "--trusted-ca-file=/ca", "--client-cert-auth"]);
    expect(required.clientTls).toMatchObject({ requireClientCertificate: true, loginByCertificate: true });
  });

  it("accepts cipher suites by etcd's names, and keeps those of TLS 1.3 enabled", () => {
    const suites = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    const old = "TLS_RSA_WITH_AES_128_CBC_SHA,TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256";
    const { clientTls } = config([...certificate, `--cipher-suites=${suites},${old},TLS_AES_128_GCM_SHA256`]);
    expect(clientTls?.ciphers?.split(":").slice(3)).toEqual([
      "ECDHE-RSA-AES256-GCM-SHA384",
      "ECDHE-ECDSA-CHACHA20-POLY1305",
      "AES128-SHA",
      "ECDHE-ECDSA-AES128-SHA256",
      "TLS_AES_128_GCM_SHA256",
    ]);
    expect(clientTls?.ciphers).toMatch(/^TLS_AES_256_GCM_SHA384:/);
  });

  it("parses which certificates may call the peer port", () => {
    const given = config([
      ...peerCertificate,
      "--peer-trusted-ca-file=/ca",
      "--peer-cert-allowed-cn=m1,m2",
      "--peer-crl-file=/crl",
      "--peer-client-cert-file=/cc",
      "--peer-client-key-file=/ck",
    ]);
    expect(given.peerTls).toMatchObject({
      requireClientCertificate: true,
      allowedCommonNames: ["m1", "m2"],
      crlFile: "/crl",
      clientCertFile: "/cc",
      clientKeyFile: "/ck",
    });
  });

  it("stores the certificates of --auto-tls in the data directory, unless others are given", () => {
    const given = config(["--auto-tls", "--peer-auto-tls", "--data-dir=/d", ...peerCertificate]);
    expect(given.clientTls).toMatchObject({
      certFile: "/d/fixtures/client/cert.pem",
      selfSigned: { hosts: ["localhost"], validYears: 1 },
    });
    expect(given.peerTls).toMatchObject({ certFile: "/c", selfSigned: null });
  });

  it.each([
    ["0", "periodic", { mode: "off" }],
    ["2", "periodic", { mode: "periodic", retentionMs: 7_200_000 }],
    ["30m", "periodic", { mode: "periodic", retentionMs: 1_800_000 }],
    ["1000", "revision", { mode: "revision", revisions: 1000 }],
  ])("parses --auto-compaction-retention=%s in mode %s", (retention, mode, expected) => {
    const given = config([`--auto-compaction-mode=${mode}`, `--auto-compaction-retention=${retention}`]);
    expect(given.autoCompaction).toEqual(expected);
  });

  it.each([
    [["--snapshot-count=many"], '--snapshot-count="many" is wrong: expected an integer'],
    [["--listen-client-urls=localhost:2379"], "expected a comma-separated list of URLs"],
    [["--listen-client-urls=http://localhost"], "it has no port"],
    [["--listen-client-urls=http://10.0.0.1:2379"], "--advertise-client-urls is required"],
    [
      [
        "--listen-client-urls=http://a:1",
        "--advertise-client-urls=http://a:1",
        "--listen-client-http-urls=http://b:1,https://a:1",
      ],
      "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url https://a:1; give HTTP a separate port",
    ],
    [["--initial-cluster-state=old"], "expected new or existing"],
    [["--heartbeat-interval=500"], "must be at least five times --heartbeat-interval=500"],
    [["--election-timeout=60000"], "at most 50000 ms"],
    [["--cert-file=/c"], "--cert-file and --key-file go together"],
    [["--listen-peer-urls=https://localhost:2380"], "needs a certificate: give --peer-cert-file and --peer-key-file"],
    [["--listen-metrics-urls=https://localhost:2381"], "needs a certificate: give --cert-file and --key-file"],
    [["--listen-metrics-urls=unixs:///m.sock"], "needs a certificate: give --cert-file and --key-file"],
    [["--listen-metrics-urls=unix://"], "it has no path"],
    [[`--listen-metrics-urls=unix:///${"long/".repeat(22)}`], "its path is longer than 107 bytes"],
    [["--listen-peer-urls=unix:///p.sock"], "--listen-peer-urls has unix:///p.sock, which is for clients"],
    [["--initial-advertise-peer-urls=unix://p.sock"], "--initial-advertise-peer-urls has unix://p.sock"],
    [["--auto-compaction-retention=soon"], "expected hours or a duration"],
    [["--snapshot-count=0"], "--snapshot-count=0 is wrong: expected an integer from 1"],
    [["--max-txn-ops=0"], "--max-txn-ops=0 is wrong"],
    [["--max-request-bytes=0"], "--max-request-bytes=0 is wrong"],
    [["--max-concurrent-streams=0"], "--max-concurrent-streams=0 is wrong"],
    [["--auth-token-ttl=0"], "--auth-token-ttl=0 is wrong"],
    [["--auto-tls", "--self-signed-cert-validity=0"], "--self-signed-cert-validity=0 is wrong"],
    [["--tls-min-version=SSL3"], '--tls-min-version="SSL3" is wrong'],
    [["--cipher-suites=nonsense"], '--cipher-suites has "nonsense"'],
    // A new cluster would be bootstrapped where none was wanted.
    [["--discovery-srv=example.com"], '--discovery-srv="example.com" is not supported: there is no discovery; list'],
    [["--discovery=http://d/token"], "list the members with --initial-cluster"],
    [["--proxy=readonly"], '--proxy="readonly" is not supported: there is no proxy mode'],
    [["--snapshot-cont=1"], "is not a known flag"],
    [["--snapshot-cont"], "is not a known flag"],
    [["--snapshot-count"], "needs a value"],
    [["data"], "is not a flag"],
    [
      ["--cipher-suites=TLS_RSA_WITH_RC4_128_SHA", ...certificate],
      '"TLS_RSA_WITH_RC4_128_SHA", which is not supported',
    ],
    [["--cipher-suites=ECDHE-RSA-AES128-GCM-SHA256", ...certificate], "expected names such as TLS_ECDHE_RSA"],
    [["--peer-cert-allowed-cn=a", "--peer-cert-allowed-hostname=b", ...peerCertificate], "exclude each other"],
    [["--client-cert-auth", ...certificate], "--client-cert-auth needs --trusted-ca-file"],
    [["--tls-min-version=TLS1.3", "--tls-max-version=TLS1.2", ...certificate], "is above --tls-max-version"],
    [["--tls-min-version=TLS1.1", ...certificate], "expected TLS1.2 or TLS1.3"],
  ])("rejects %j by name", (argv, message) => {
    expect(() => config(argv)).toThrow(SettingsError);
    expect(() => config(argv)).toThrow(message);
  });
});

describe("configNotices", () => {
  it("warns about ports without TLS although a certificate is given", () => {
    const urls = "https://a:1,http://a:2,unix:///s";
    const given = config([...certificate, `--listen-client-urls=${urls}`, "--advertise-client-urls=https://a:1"]);
    expect(configNotices(given)).toEqual([
      "--listen-client-urls has http://a:2/: it is served without TLS, although a certificate is given",
    ]);
    expect(configNotices(config(peerCertificate))[0]).toContain("--listen-peer-urls has http://localhost:2380/");
    expect(configNotices(config([]))).toEqual([]);
  });
});

describe("numbers, durations and URLs as parsed by etcd", () => {
  it.each([
    ["0x10", 16],
    ["0X1F", 31],
    ["0b11", 3],
    ["0o17", 15],
    ["010", 8],
    ["1_000", 1000],
    ["0_7", 7],
    ["18446744073709551615", Number.MAX_SAFE_INTEGER],
  ])("--snapshot-count=%s is %d", (text, count) => {
    expect(config([`--snapshot-count=${text}`]).snapshotCount).toBe(count);
  });

  it("a quota has the range of etcd's integers, with a sign", () => {
    expect(config(["--quota-backend-bytes=9223372036854775807"]).quotaBackendBytes).toBe(Number.MAX_SAFE_INTEGER);
    expect(config(["--quota-backend-bytes=+4096"]).quotaBackendBytes).toBe(4096);
    expect(config(["--quota-backend-bytes=-0x10"]).quotaBackendBytes).toBe(-16);
  });

  it.each(["http://10.0.0.1:80", "https://10.0.0.1:443", "http://10.0.0.1:2379", "https://[::1]:443"])(
    "%s is advertised to clients and members with its port",
    (url) => {
      const tls = [...certificate, ...peerCertificate];
      const given = config([...tls, `--advertise-client-urls=${url}`, `--initial-advertise-peer-urls=${url}`]);
      expect([given.advertiseClientUrls, given.advertisePeerUrls]).toEqual([[url], [url]]);
      expect(given.initialCluster).toEqual([{ name: "default", peerUrls: [url] }]);
      expect(config([`--initial-cluster=m=${url}`]).initialCluster).toEqual([{ name: "m", peerUrls: [url] }]);
    },
  );

  it.each([
    ["http://a:1?x", "it must not have a query or a fragment"],
    ["http://127.1:1", "write the address as 127.0.0.1"],
    ["http://%61:1", "its host must not have escapes"],
  ])("%s is rejected with the reason", (url, reason) => {
    expect(() => config([`--listen-metrics-urls=${url}`])).toThrow(reason);
  });

  it("URLs are advertised without duplicates, in etcd's order", () => {
    const given = config([
      "--advertise-client-urls=http://b:1,http://a:1,http://b:1",
      "--initial-advertise-peer-urls=http://c:1,http://c:1",
    ]);
    expect(given.advertiseClientUrls).toEqual(["http://a:1", "http://b:1"]);
    expect(given.initialCluster).toEqual([{ name: "default", peerUrls: ["http://c:1"] }]);
  });

  it.each([
    ["INFO", "info"],
    ["Debug", "debug"],
    ["dpanic", "panic"],
    ["warning", "warn"],
    ["", "info"],
  ])("--log-level=%s is %s", (text, level) => {
    expect(config([`--log-level=${text}`]).logLevel).toBe(level);
  });

  it("an empty --auto-compaction-retention or --auth-token is the default", () => {
    expect(config(["--auto-compaction-retention=", "--auth-token="])).toEqual(config([]));
  });

  it("feature gates may have spaces around names and values", () => {
    expect(config(["--feature-gates= InitialCorruptCheck = true "]).initialCorruptCheck).toBe(true);
  });

  it("clients cannot be granted more streams than HTTP/2 can express", () => {
    expect(config(["--max-concurrent-streams=4294967295"]).maxConcurrentStreams).toBe(4_294_967_295);
    expect(() => config(["--max-concurrent-streams=4294967296"])).toThrow("at most 4294967295");
  });
});

describe("every flag", () => {
  const wrong: Readonly<Record<FlagKind, readonly string[]>> = {
    count: ["x", "-1", "+1", "1.5", "", "1e3", "08", "0x", "1__0", "1_", "\u0663", "18446744073709551616"],
    integer: ["x", "1.5", "", "--1", "9223372036854775808"],
    duration: ["x", "-1s", "5", "", "1d", "+", "1h-30m", "99999999h"],
    boolean: ["x", "yes", ""],
    urls: [
      ...["x", "ftp://a:1", "http://a", "http://a:99999", "http://a:1/p", "http://:2379", "http:/a:1", "http:a:1"],
      ...["http:\\\\a:1", "http://a\n:1", "http://127.1:1", "http://0x7f.1:1", "http://127.0.0.01:1", "http://%61:1"],
    ],
    list: [],
    string: [],
  };
  const cases = flagDefinitions.flatMap(({ name, kind }) => wrong[kind].map((text) => [name, text] as const));

  it.each(cases)("rejects an invalid value: --%s=%j", (name, text) => {
    expect(() => config([`--${name}=${text}`])).toThrow(`--${name}="${text}" is wrong: expected `);
  });

  // Client URLs also require their advertised ones, and a given initial cluster must name a member.
  const derived = ["listen-client-urls", "initial-cluster"];
  const fitting = flagDefinitions.filter(({ name, effect }) => effect !== "unsupported" && !derived.includes(name));
  it.each(fitting.map(({ name, defaultValue }) => [name, defaultValue]))(
    "--%s accepts its default, %j",
    (name, text) => {
      const variable = `ETCD_${name.toUpperCase().replaceAll("-", "_")}`;
      expect(config([`--${name}=${text}`])).toEqual(config([]));
      expect(config([], { [variable]: text })).toEqual(config([]));
      expect(config(["--config-file=/f"], {}, `${name}: ${JSON.stringify(text)}`)).toEqual(config([]));
    },
  );
});

describe("readSettings", () => {
  it("reads ETCD_ variables and warns about unknown ones", () => {
    const settings = read([], { ETCD_NAME: "m2", ETCD_WHATEVER: "1", PATH: "/bin" });
    expect(settings.values.get("name")).toBe("m2");
    expect(settings.notices).toEqual(["unrecognized environment variable ETCD_WHATEVER"]);
  });

  it("treats an empty variable as unset, also beside the flag", () => {
    const settings = read(["--name=a"], { ETCD_NAME: "", ETCD_SNAPSHOT_COUNT: "", ETCD_UNKNOWN: "" });
    expect([...settings.values.keys()]).toEqual(["name"]);
    expect(settings.notices).toEqual([]);
  });

  it.each<readonly [string[], Record<string, string>, string]>([
    [
      ["--corrupt-check-time=1m", "--experimental-corrupt-check-time=1m"],
      {},
      "cannot set --experimental-corrupt-check-time and --corrupt-check-time at the same time, please use --corrupt-check-time only",
    ],
    [["--memory-mlock", "--experimental-memory-mlock"], {}, "please use --memory-mlock only"],
    [
      ["--max-learners=2"],
      { ETCD_EXPERIMENTAL_MAX_LEARNERS: "2" },
      "cannot set ETCD_EXPERIMENTAL_MAX_LEARNERS and --max-learners at the same time",
    ],
    [[], { ETCD_EXPERIMENTAL_MAX_LEARNERS: "2", ETCD_MAX_LEARNERS: "2" }, "please use ETCD_MAX_LEARNERS only"],
    [
      ["--experimental-initial-corrupt-check", "--feature-gates=InitialCorruptCheck=true"],
      {},
      "please use --feature-gates=InitialCorruptCheck only",
    ],
    [
      ["--experimental-enable-lease-checkpoint=false", "--feature-gates=A=true,LeaseCheckpoint=false"],
      {},
      "--experimental-enable-lease-checkpoint and --feature-gates=LeaseCheckpoint",
    ],
  ])("A15: rejects %j with %j: a flag under both of its names", (argv, environment, message) => {
    expect(() => read(argv, environment)).toThrow(SettingsError);
    expect(() => read(argv, environment)).toThrow(message);
  });

  it("A15: accepts the old name of a boolean flag without a value", () => {
    const argv = ["--experimental-initial-corrupt-check", "--experimental-enable-lease-checkpoint", "--name=a"];
    expect([...read(argv, {}).values]).toEqual([
      ["initial-corrupt-check", true],
      ["name", "a"],
    ]);
  });

  it("A15: also rejects both names of a flag in the file, and accepts one of them beside other gates", () => {
    const both = "max-learners: 1\nexperimental-max-learners: 1\n";
    expect(() => config(["--config-file=/e.yaml"], {}, both)).toThrow(
      "cannot set /e.yaml: experimental-max-learners and /e.yaml: max-learners at the same time",
    );
    const one = ["--experimental-initial-corrupt-check", "--feature-gates=CompactHashCheck=true"];
    expect(config(one).initialCorruptCheck).toBe(true);
  });

  it("reads variables of formerly experimental flags", () => {
    const settings = read([], { ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL: "5s" });
    expect(settings.values.get("watch-progress-notify-interval")).toBe(5000);
    expect(settings.notices).toEqual([]);
  });

  it("rejects a flag that is also set by its variable", () => {
    expect(() => read(["--name=a"], { ETCD_NAME: "b" })).toThrow("--name and ETCD_NAME are both set");
  });

  it("reports flags without effect", () => {
    const settings = read(["--enable-v2=true", "--experimental-memory-mlock=true", "--logger=zap"]);
    expect(settings.notices).toHaveLength(3);
  });

  it.each([
    [["--initial-corrupt-check"], true, []],
    [["--experimental-initial-corrupt-check=true"], true, []],
    [["--feature-gates=InitialCorruptCheck=true"], true, []],
    [["--feature-gates=InitialCorruptCheck=false"], false, []],
    [
      ["--feature-gates=InitialCorruptCheck=true,LeaseCheckpoint=true"],
      true,
      ["--feature-gates: LeaseCheckpoint has no effect: there is no such gate"],
    ],
  ])("maps %s to the initial corruption check", (flags, initialCorruptCheck, notices) => {
    const settings = read(flags);
    const given = createAgentConfig(settings);
    expect(given.initialCorruptCheck).toBe(initialCorruptCheck);
    expect([...settings.notices, ...configNotices(given)]).toEqual(notices);
  });

  it("rejects a feature gate that is neither true nor false", () => {
    expect(() => config(["--feature-gates=InitialCorruptCheck"])).toThrow(
      '--feature-gates has "InitialCorruptCheck": expected NAME=true or NAME=false, for example InitialCorruptCheck=true',
    );
  });

  it("takes all settings from the configuration file and no other source", () => {
    const file = `
name: m3
initial-cluster: m3=http://localhost:2380
grpc-keepalive-min-time: 7000000000
client-transport-security:
  cert-file: /c
  key-file: /k
  trusted-ca-file: /ca
  client-cert-auth: true
`;
    const given = config(["--config-file=/etc/e.yaml", "--name=ignored"], { ETCD_NAME: "ignored" }, file);
    expect(given.name).toBe("m3");
    expect(given.keepalive.minTimeMs).toBe(7000);
    expect(given.clientTls).toMatchObject({
      certFile: "/c",
      keyFile: "/k",
      trustedCaFile: "/ca",
      requireClientCertificate: true,
    });
  });

  it("accepts a file like etcd's sample: keys without a value, lists, old flags", () => {
    const file = `
name: 'm4'
data-dir:
snapshot-count: 10000
listen-client-urls: http://localhost:2379
advertise-client-urls: http://localhost:2379
cors:
discovery:
discovery-fallback: 'proxy'
initial-cluster:
enable-pprof: true
proxy: 'off'
proxy-read-timeout: 0
client-transport-security:
  cert-file:
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
peer-transport-security:
  cert-file: /c
  key-file: /k
  trusted-ca-file: /ca
  allowed-cn: m1,m4
self-signed-cert-validity: 1
log-level: debug
logger: zap
log-outputs: [stderr, /var/log/etcd.log]
force-new-cluster: false
auto-compaction-mode: periodic
auto-compaction-retention: "1"
cipher-suites: [
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
]
tls-min-version: 'TLS1.2'
tls-max-version: 'TLS1.3'
`;
    const given = config(["--config-file=/etc/etcd.conf.yml"], {}, file);
    expect(given).toMatchObject({
      dataDir: "m4.etcd",
      initialCluster: [{ name: "m4", peerUrls: ["http://localhost:2380"] }],
      clientTls: null,
      peerTls: { certFile: "/c", allowedCommonNames: ["m1", "m4"], requireClientCertificate: true },
      logOutputs: ["stderr", "/var/log/etcd.log"],
      autoCompaction: { mode: "periodic", retentionMs: 3_600_000 },
    });
    expect(given.peerTls?.ciphers).toContain(":ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384");
  });

  it("warns about settings overridden by the configuration file, and about unknown keys", () => {
    const file = "name: m1\nsnapshot-cont: 7\nexperimental-nothing: true\n";
    const settings = read(["--config-file=/e.yaml", "--name=x"], { ETCD_DATA_DIR: "/d" }, file);
    expect(settings.notices).toEqual([
      "--name, ETCD_DATA_DIR: without effect, because only /e.yaml counts",
      "/e.yaml: snapshot-cont has no effect: there is no such setting; --help lists them",
      "/e.yaml: experimental-nothing has no effect: there is no such setting; --help lists them",
    ]);
    const unsafe = "client-transport-security: { client-cert-auht: true }";
    expect(() => read(["--config-file=/e.yaml"], {}, unsafe)).toThrow("client-cert-auht is not a known flag");
  });

  it("treats an empty choice as the default, and a keepalive timeout of 0 as no pings", () => {
    const given = config(["--auto-compaction-mode=", "--initial-cluster-state=", "--grpc-keepalive-timeout=0"]);
    expect(given).toMatchObject({ initialClusterState: "new", keepalive: { intervalMs: 0, timeoutMs: 0 } });
  });

  it("names the wrong key of the configuration file", () => {
    expect(() => config(["--config-file=/e.yaml"], {}, "snapshot-count: lots\n")).toThrow(
      '/e.yaml: snapshot-count="lots" is wrong',
    );
  });
});

describe("parseDurationMs", () => {
  it.each([
    ["0", 0],
    ["5s", 5000],
    ["1h30m", 5_400_000],
    ["100ms", 100],
    ["1.5s", 1500],
    ["-2s", -2000],
    ["5", null],
    ["s", null],
    ["5 s", null],
  ])("reads %s", (text, expected) => {
    expect(parseDurationMs(text)).toBe(expected);
  });
});
