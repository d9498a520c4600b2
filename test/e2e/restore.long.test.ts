/**
 * Backups and restores of real clusters: a hundred thousand keys with leases and users; a restore whose process is killed
 * at each of its steps; and snapshots of the real etcd that are on this machine.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdClient, prefixEnd } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import type { TxnRequest } from "../../src/raft-agent/api/txn.ts";
import { etcdVersions, findEtcdProgram } from "../compatibility/etcd-programs.ts";
import { addressOf, ClusterFixture, specText, until } from "./cluster-fixture.ts";
import { settledHashes } from "./member-facts.ts";
import { isInstalled, runProgram } from "./run-program.ts";

const hasEtcdctl = isInstalled("etcdctl", "version");
const without = hasEtcdctl ? "" : " (skipped: etcdctl is not installed)";
const password = "correct horse battery";
const asRoot = { HAPLAN_ETCD_USER: "root", HAPLAN_ETCD_PASSWORD: password };
const keysPerTransaction = 100;

/** Fills `/data/` with keys, a hundred at a time. */
async function fill(client: EtcdClient, count: number): Promise<void> {
  for (let at = 0; at < count; at += keysPerTransaction) {
    const numbers = Array.from({ length: Math.min(keysPerTransaction, count - at) }, (_, i) => at + i);
    await client.txn({ compare: [], success: numbers.map((n) => putOf(`/data/${n}`, `value ${n}`)), failure: [] });
  }
}

function putOf(key: string, value: string): TxnRequest["success"][number] {
  const request = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  return { kind: "put", request: { ...request, key: Buffer.from(key), value: Buffer.from(value) } };
}

async function countOf(client: EtcdClient, prefix: string): Promise<number> {
  return (await client.range(prefix, { rangeEnd: prefixEnd(prefix), countOnly: true })).count;
}

async function textOf(client: EtcdClient, key: string): Promise<string | null> {
  const [kv] = (await client.range(key)).kvs;
  return kv === undefined ? null : Buffer.from(decodeKeyValue(kv).value).toString();
}

describe.skipIf(!hasEtcdctl)(`a cluster with 100,000 keys, leases and users${without}`, () => {
  const network = 84;
  const cluster = new ClusterFixture(specText({ network, tls: false }));
  const endpoint = `http://${addressOf(network, 100)}:2379`;
  const etcdctl = async (...args: string[]): Promise<string> => {
    const run = await runProgram("etcdctl", [`--endpoints=${endpoint}`, ...args], { env: { ETCDCTL_API: "3" } });
    if (run.code !== 0) throw new Error(`etcdctl ${args.join(" ")}: ${run.stderr}`);
    return run.stdout.trim();
  };
  const as = (user: string, ...args: string[]): Promise<string> => etcdctl(`--user=${user}:${password}`, ...args);
  const must = async (...args: string[]): Promise<string> => {
    const run = await cluster.haplan(args, { env: asRoot });
    if (run.code !== 0) throw new Error(`haplan ${args.join(" ")}: ${run.stdout}\n${run.stderr}`);
    return run.stdout;
  };
  const keys = 100_000;
  const leases: string[] = [];

  afterAll(async () => {
    await cluster.haplan(["destroy", "-auto-approve"], { env: asRoot });
    await cluster.teardown();
  });

  beforeAll(async () => {
    await cluster.apply();
    await fill(cluster.client(endpoint), keys);
    for (let i = 0; i < 20; i++) leases.push((await etcdctl("lease", "grant", "3600")).split(" ")[1] ?? "");
    await etcdctl("put", "/leased", "x", `--lease=${leases[0]}`);
    await etcdctl("del", "/data/99999");
    for (const words of [
      `user add root:${password}`,
      `user add reader:${password}`,
      "role add reads",
      "role grant-permission reads read /data/ --prefix=true",
      "user grant-role reader reads",
      "user grant-role root root",
      "auth enable",
    ]) {
      const [first = "", second = "", ...rest] = words.split(" ");
      const given = words.includes(password) ? [words.slice(`${first} ${second} `.length)] : rest;
      await etcdctl(first, second, ...given);
    }
  }, 120_000);

  it("comes back as it was, and watches of before list anew", async () => {
    await must("backup", "-out=full.db");
    const one = JSON.parse(await must("backup", "-json")) as {
      path: string;
      keys: number;
      leases: number;
      users: number;
    };
    // With the key of the write probe at most.
    expect(one.keys - keys).toBeLessThanOrEqual(1);
    expect(one).toMatchObject({ leases: 20, users: 2 });
    const revision = Number(/"revision":(\d+)/.exec(await as("root", "get", "/leased", "-w=json"))?.[1]);
    await as("root", "del", "/data/1", "/data/2");
    await as("root", "put", "/data/7", "changed");
    await as("root", "lease", "revoke", leases[0]!);
    const shown = await must("restore", one.path.split("/").at(-1)!, "-auto-approve");
    expect(shown).toMatch(/lost: +everything written since the backup: \d+ revisions/);
    expect(await as("reader", "get", "/data/7", "--print-value-only")).toBe("value 7");
    expect(
      Number(/"count":(\d+)/.exec(await as("root", "get", "/data/", "--prefix", "--limit=1", "-w=json"))?.[1]),
    ).toBe(keys - 1);
    expect(await as("root", "lease", "list")).toContain("found 20 leases");
    expect(await as("root", "lease", "timetolive", leases[0]!, "--keys")).toContain("/leased");
    await expect(as("reader", "put", "/data/7", "no")).rejects.toThrow("permission denied");
    await expect(etcdctl("get", "/data/7")).rejects.toThrow(/user name is empty|invalid auth/);
    const after = Number(/"revision":(\d+)/.exec(await as("root", "get", "/leased", "-w=json"))?.[1]);
    expect(after).toBeGreaterThan(revision + 999_999_999);
    await expect(as("root", "watch", "/data/", "--prefix", `--rev=${revision - 5}`)).rejects.toThrow("compacted");
    expect((await cluster.haplan(["plan", "-detailed-exitcode"], { env: asRoot })).code).toBe(0);
  }, 120_000);
});

/** Those that the long tests leave to the soak tests. */
const otherMoments = [
  /close load balancer: no targets \.\.\./,
  /take a snapshot, .*: done/,
  /stop agent m\d \.\.\./,
  /stop agent m\d: (done|already)/,
  /start agent m\d \.\.\./,
  /wait until m1, m2, m3 are healthy \.\.\./,
  /update load balancer: m1, m2, m3 \.\.\./,
];

describe("a restore that is killed with SIGKILL", () => {
  const network = 85;
  const cluster = new ClusterFixture(specText({ network, tls: false }));
  const endpoint = `http://${addressOf(network, 100)}:2379`;
  const members = [1, 2, 3].map((host) => `http://${addressOf(network, host)}:2379`);
  const everyMoment = process.env["HAPLAN_TEST_SOAK"] !== undefined;
  const moments = [
    /restore the data of m\d \.\.\./,
    /restore the data of m\d: (done|already)/,
    /start agent m\d: (done|already)/,
    ...(everyMoment ? otherMoments : []),
  ];

  afterAll(() => cluster.teardown());
  beforeAll(async () => {
    await cluster.apply();
    await fill(cluster.client(endpoint), 300);
    await cluster.mustRun("backup", "-out=base.db");
  }, 60_000);

  it.each(moments)(
    "at %s is completed by the same command",
    async (moment) => {
      await cluster.client(endpoint).put("/data/0", "changed");
      await cluster.client(endpoint).put("/late", "x");
      const run = cluster.start(["restore", "base.db", "-auto-approve"]);
      let isOver = false;
      void run.end.finally(() => (isOver = true));
      await until(`restore says "${moment}"`, () => isOver || moment.test(run.printed()));
      run.signal("SIGKILL");
      const { signal } = await run.end;
      expect(signal).toBe("SIGKILL");
      const refused = await cluster.haplan(["apply", "-auto-approve"]);
      expect([refused.code, refused.stderr.includes("is not complete")]).toEqual([1, true]);
      await cluster.mustRun("restore", "base.db", "-auto-approve");
      const client = cluster.client(endpoint);
      await until("a write is taken", () => client.put("/after", "x").then(() => true));
      expect(await textOf(client, "/data/0")).toBe("value 0");
      expect(await countOf(client, "/late")).toBe(0);
      expect(await countOf(client, "/data/")).toBe(300);
      const { hashes } = await settledHashes(members.map((url) => cluster.client(url)));
      expect(new Set(hashes).size).toBe(1);
      expect(existsSync(join(cluster.directory, ".haplan", cluster.name, "restore"))).toBe(false);
      expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
    },
    60_000,
  );
});

const sources = ["of the system", ...etcdVersions] as const;

describe.each(sources)("a snapshot of a real etcd %s", (version) => {
  // Networks 86 to 89.
  const network = 86 + sources.indexOf(version);

  it("is restored into a new cluster as it is", { timeout: 60_000 }, async ({ skip }) => {
    const binary = await etcdOf(version, skip);
    const cluster = new ClusterFixture(specText({ network, tls: false }));
    try {
      await saveFrom(binary, addressOf(network, 50), join(cluster.directory, "etcd.db"));
      await cluster.mustRun("restore", "etcd.db", "-auto-approve");
      const client = cluster.client(`http://${addressOf(network, 100)}:2379`);
      expect(await countOf(client, "/data/")).toBe(500);
      expect(await textOf(client, "/data/3")).toBe("value 3");
      const kept = await client.leaseKeepAlive(77n);
      expect(Number(kept.ttl)).toBe(3600);
      expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
    } finally {
      await cluster.teardown();
    }
  });
});

async function etcdOf(version: (typeof sources)[number], skip: (reason: string) => never): Promise<string> {
  if (version === "of the system") return isInstalled("etcd", "--version") ? "etcd" : skip("etcd is not installed");
  const program = await findEtcdProgram(version, "etcd");
  return "missing" in program ? skip(program.missing) : program.path;
}

/** The snapshot of a member that has 500 keys and a lease. */
async function saveFrom(binary: string, address: string, file: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "haplan-restored-"));
  const [url, peer] = [`http://${address}:2379`, `http://${address}:2380`];
  const flags = [
    `--data-dir=${directory}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
  ];
  const child = spawn(binary, flags, { stdio: "ignore" });
  const client = new EtcdClient(connect({ endpoints: [url] }));
  try {
    await until("etcd is up", () => client.maintenance.status().then(({ leader }) => leader !== null));
    await fill(client, 500);
    await client.leaseGrant(3600, 77n);
    const pieces: Uint8Array[] = [];
    for await (const piece of client.maintenance.snapshot()) pieces.push(piece);
    writeFileSync(file, Buffer.concat(pieces));
  } finally {
    await client.grpc.close();
    if (child.exitCode === null && child.kill("SIGKILL")) await once(child, "exit");
    rmSync(directory, { recursive: true, force: true });
  }
}
