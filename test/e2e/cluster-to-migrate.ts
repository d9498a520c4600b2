/**
 * Three members of a real etcd with TLS, keys, leases and users, which haplan did not start, and the spec of three agents that
 * are to replace them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type EtcdClient, prefixEnd } from "../../src/etcd-client/etcd-client.ts";
import { leaseFacts } from "../../src/migrate/cluster-calls.ts";
import { type ClusterEnd, openClusterEnd } from "../../src/migrate/cluster-end.ts";
import { openAuthority } from "../../src/pki/authority.ts";
import type { TlsMaterial } from "../../src/pki/tls-material.ts";
import type { TxnRequest } from "../../src/raft-agent/api/txn.ts";
import { addressOf, ClusterFixture, until } from "./cluster-fixture.ts";
import { isInstalled, runProgram } from "./run-program.ts";

const keysPerTransaction = 100;
const leases = 20n;
const runTimeoutMs = 120_000;
export const password = "correct horse battery";
const root = { name: "root", password };

export const hasEtcd: boolean = isInstalled("etcd", "--version") && isInstalled("etcdctl", "version");
export const hasHaproxy: boolean = isInstalled("haproxy", "-v");

export type ClusterToMigrateOptions = {
  /** The third number of all addresses: see `ClusterFixture`. */
  readonly network: number;
  readonly keys: number;
  readonly balancer?: "embedded" | "haproxy";
};

export class ClusterToMigrate {
  readonly cluster: ClusterFixture;
  readonly oldUrls: readonly string[];
  readonly newUrls: readonly string[];
  /** Of the load balancer. */
  readonly endpoint: string;
  /** What haplan needs in its environment. */
  readonly asRoot: Readonly<Record<string, string>> = { HAPLAN_ETCD_USER: root.name, HAPLAN_ETCD_PASSWORD: password };
  readonly #options: ClusterToMigrateOptions;
  readonly #members: ChildProcess[] = [];
  readonly #ends: ClusterEnd[] = [];

  constructor(options: ClusterToMigrateOptions) {
    const urls = (hosts: readonly number[]): string[] =>
      hosts.map((host) => `https://${addressOf(options.network, host)}:2379`);
    this.#options = options;
    this.oldUrls = urls([1, 2, 3]);
    this.newUrls = urls([11, 12, 13]);
    this.endpoint = urls([100])[0]!;
    this.cluster = new ClusterFixture(specText(options, this.oldUrls));
  }

  /** Starts the old members, and fills them; returns them. */
  async start(): Promise<ClusterEnd> {
    const directory = join(this.cluster.directory, "ca");
    mkdirSync(directory);
    const authority = openAuthority({ directory });
    await authority.createAuthority("old authority");
    const hosts = [1, 2, 3, 100].map((host) => addressOf(this.#options.network, host));
    const subjectAltNames = ["127.0.0.1", ...hosts];
    await authority.issue({ name: "old", profile: "member", commonName: "old", subjectAltNames });
    await authority.issue({ name: "admin", profile: "client", commonName: "admin", subjectAltNames: [] });
    for (const index of [1, 2, 3]) this.#members.push(this.#startOld(index));
    const old = this.open(this.oldUrls);
    await until("etcd takes writes", () => old.client.put("/before", "x").then(() => true), 40_000);
    await fill(old.client, this.#options.keys);
    for (const name of ["root", "reader"]) await this.#etcdctl("user", "add", `${name}:${password}`);
    await this.#etcdctl("role", "add", "reads");
    await this.#etcdctl("role", "grant-permission", "reads", "read", "/data/", "--prefix=true");
    await this.#etcdctl("user", "grant-role", "reader", "reads");
    await this.#etcdctl("user", "grant-role", "root", "root");
    await this.#etcdctl("auth", "enable");
    return old;
  }

  /** Closed at the end. */
  open(endpoints: readonly string[], user: { readonly name: string; readonly password: string } = root): ClusterEnd {
    const end = openClusterEnd({ endpoints, tls: this.#tls(), user });
    this.#ends.push(end);
    return end;
  }

  /** Runs haplan in a process of its own, where its work delays no client of the test. @throws Error with what it has printed if it fails */
  async mustRun(...args: readonly string[]): Promise<string> {
    const run = await this.cluster.start(args, { env: this.asRoot, timeoutMs: runTimeoutMs }).end;
    if (run.code !== 0) throw new Error(`haplan ${args.join(" ")}: ${run.stdout}\n${run.stderr}`);
    return run.stdout;
  }

  /** What was there before the migration, and is not written to by clients. @throws Error naming what is missing */
  async checkData(end: ClusterEnd): Promise<void> {
    // The first call of a client logs in, which a busy member may answer too late.
    await until("there are all keys", async () => {
      const { count } = await end.client.range("/data/", { rangeEnd: prefixEnd("/data/"), countOnly: true });
      return count === this.#options.keys;
    });
    const long = await leaseFacts(end, 2n);
    if (long?.grantedSeconds !== 3_600) throw new Error(`lease 2 has a TTL of ${long?.grantedSeconds} s`);
    for (let id = 1n; id <= leases; id++) {
      const keys = (await leaseFacts(end, id, true))?.keys.map((key) => Buffer.from(key).toString());
      if (keys?.join() !== `/leased/${id}`) throw new Error(`lease ${id} has the keys ${keys?.join()}`);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#ends.map((end) => end.close()));
    await this.cluster.teardown();
    for (const member of this.#members)
      if (member.exitCode === null && member.kill("SIGKILL")) await once(member, "exit");
  }

  #tls(): TlsMaterial {
    const pem = (name: string): string => readFileSync(join(this.cluster.directory, "ca", name), "utf8");
    return { caPem: pem("ca.crt"), certificatePem: pem("admin.crt"), keyPem: pem("admin.key") };
  }

  #startOld(index: number): ChildProcess {
    const { directory } = this.cluster;
    const url = this.oldUrls[index - 1];
    const peer = (of: number): string => `https://${addressOf(this.#options.network, of)}:2380`;
    const pem = (name: string): string => join(directory, "ca", name);
    const flags = [
      `--name=old-${index}`,
      `--data-dir=${join(directory, `old-${index}`)}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peer(index)}`,
      `--initial-advertise-peer-urls=${peer(index)}`,
      `--initial-cluster=${[1, 2, 3].map((of) => `old-${of}=${peer(of)}`).join()}`,
      ...["", "peer-"].flatMap((prefix) => [
        `--${prefix}cert-file=${pem("old.crt")}`,
        `--${prefix}key-file=${pem("old.key")}`,
        `--${prefix}trusted-ca-file=${pem("ca.crt")}`,
      ]),
      "--peer-client-cert-auth=true",
    ];
    const log = openSync(join(directory, `old-${index}.log`), "a", 0o600);
    const child = spawn("etcd", flags, { stdio: ["ignore", log, log] });
    closeSync(log);
    return child;
  }

  async #etcdctl(...args: string[]): Promise<void> {
    const pem = (name: string): string => join(this.cluster.directory, "ca", name);
    const given = [`--cacert=${pem("ca.crt")}`, `--cert=${pem("admin.crt")}`, `--key=${pem("admin.key")}`];
    const run = await runProgram("etcdctl", [`--endpoints=${this.oldUrls[0]}`, ...given, ...args], {
      env: { ETCDCTL_API: "3" },
    });
    if (run.code !== 0) throw new Error(`etcdctl ${args.join(" ")}: ${run.stderr}`);
  }
}

function specText({ network, balancer = "embedded" }: ClusterToMigrateOptions, oldUrls: readonly string[]): string {
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata:
  name: moved
spec:
  provider: { type: local }
  controlPlane:
    engine: agent
    tls: { enabled: true, authority: { caFile: ca/ca.crt, keyFile: ca/ca.key } }
    migrateFrom:
      endpoints: ${JSON.stringify(oldUrls)}
      tls: { caFile: ca/ca.crt, certFile: ca/admin.crt, keyFile: ca/admin.key }
    masters:
      - { name: m1, address: ${addressOf(network, 11)} }
      - { name: m2, address: ${addressOf(network, 12)} }
      - { name: m3, address: ${addressOf(network, 13)} }
  loadBalancer: { type: ${balancer}, address: ${addressOf(network, 100)}, ports: [2379] }
`;
}

function putOf(key: string, value: string): TxnRequest["success"][number] {
  const request = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  return { kind: "put", request: { ...request, key: Buffer.from(key), value: Buffer.from(value) } };
}

/** Lease 1 is so short that a client has to renew it. */
async function fill(client: EtcdClient, keys: number): Promise<void> {
  for (let at = 0; at < keys; at += keysPerTransaction) {
    const numbers = Array.from({ length: Math.min(keysPerTransaction, keys - at) }, (_, i) => at + i);
    await client.txn({ compare: [], success: numbers.map((n) => putOf(`/data/${n}`, `value ${n}`)), failure: [] });
  }
  for (let id = 1n; id <= leases; id++) {
    await client.leaseGrant(id === 1n ? 60 : 3_600, id);
    await client.put(`/leased/${id}`, "x", { lease: id });
  }
}
