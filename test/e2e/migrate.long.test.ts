/**
 * Three members of a real etcd, with TLS, users and leases, are replaced by haplan's agents and come back, while clients write
 * and watch through the load balancer. HAPLAN_TEST_SOAK: 100,000 keys, and haplan is killed at more moments.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { prefixEnd } from "../../src/etcd-client/etcd-client.ts";
import { GrpcError } from "../../src/etcd-client/grpc-error.ts";
import { leaseFacts } from "../../src/migrate/cluster-calls.ts";
import { type ClusterEnd, openClusterEnd } from "../../src/migrate/cluster-end.ts";
import { openAuthority } from "../../src/pki/authority.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import type { TxnRequest } from "../../src/raft-agent/api/txn.ts";
import { type AcknowledgedWrite, AcknowledgingWriter, missingWrites } from "./acknowledged-writes.ts";
import { addressOf, ClusterFixture, until } from "./cluster-fixture.ts";
import { isInstalled, runProgram } from "./run-program.ts";

const isSoak = process.env["HAPLAN_TEST_SOAK"] !== undefined;
const keys = isSoak ? 100_000 : 2_000;
const keysPerTransaction = 100;
const network = 97;
const password = "correct horse battery";
const asRoot = { HAPLAN_ETCD_USER: "root", HAPLAN_ETCD_PASSWORD: password };
const user = { name: "root", password };
const oldUrls = [1, 2, 3].map((host) => `https://${addressOf(network, host)}:2379`);
const newUrls = [11, 12, 13].map((host) => `https://${addressOf(network, host)}:2379`);
const endpoint = `https://${addressOf(network, 100)}:2379`;

const specText = `apiVersion: haplan.dev/v1
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
  loadBalancer: { type: embedded, address: ${addressOf(network, 100)}, ports: [2379] }
`;

function startOld(directory: string, index: number): ChildProcess {
  const peer = (of: number): string => `https://${addressOf(network, of)}:2380`;
  const pem = (name: string): string => join(directory, "ca", name);
  const flags = [
    `--name=old-${index}`,
    `--data-dir=${join(directory, `old-${index}`)}`,
    `--listen-client-urls=${oldUrls[index - 1]}`,
    `--advertise-client-urls=${oldUrls[index - 1]}`,
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

function putOf(key: string, value: string): TxnRequest["success"][number] {
  const request = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  return { kind: "put", request: { ...request, key: Buffer.from(key), value: Buffer.from(value) } };
}

async function fill(client: EtcdClient): Promise<void> {
  for (let at = 0; at < keys; at += keysPerTransaction) {
    const numbers = Array.from({ length: keysPerTransaction }, (_, i) => at + i);
    await client.txn({ compare: [], success: numbers.map((n) => putOf(`/data/${n}`, `value ${n}`)), failure: [] });
  }
  for (let id = 1n; id <= 20n; id++) {
    await client.leaseGrant(id === 1n ? 60 : 3_600, id);
    await client.put(`/leased/${id}`, "x", { lease: id });
  }
}

/** Every event below a prefix, as `revision key`. */
class Watcher {
  readonly seen: { readonly revision: number; readonly key: string }[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(client: EtcdClient, prefix: string) {
    this.#running = this.#run(client, prefix);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(client: EtcdClient, prefix: string): Promise<void> {
    let next = 1;
    while (!this.#stop.signal.aborted) {
      try {
        const more = { rangeEnd: prefixEnd(prefix), startRevision: next };
        for await (const { events } of client.watch(prefix, more, this.#stop.signal)) {
          for (const { kv } of events) {
            const { key, modRevision } = decodeKeyValue(kv!);
            this.seen.push({ revision: modRevision, key: Buffer.from(key).toString() });
            next = modRevision + 1;
          }
        }
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
        // It asks for another token, as a plain call does.
        await client.range(prefix).catch(() => undefined);
      }
    }
  }
}

const isThere = isInstalled("etcd", "--version") && isInstalled("etcdctl", "version");

describe.skipIf(!isThere)(
  `from etcd to the agent and back${isThere ? "" : " (skipped: etcd is not installed)"}`,
  () => {
    const cluster = new ClusterFixture(specText);
    const members: ChildProcess[] = [];
    const ends: ClusterEnd[] = [];
    const all: AcknowledgedWrite[] = [];
    let old: ClusterEnd;

    const tls = (): { caPem: string; certificatePem: string; keyPem: string } => {
      const pem = (name: string): string => readFileSync(join(cluster.directory, "ca", name), "utf8");
      return { caPem: pem("ca.crt"), certificatePem: pem("admin.crt"), keyPem: pem("admin.key") };
    };
    const open = (endpoints: readonly string[]): ClusterEnd => {
      const end = openClusterEnd({ endpoints, tls: tls(), user });
      ends.push(end);
      return end;
    };
    const must = async (...args: string[]): Promise<string> => {
      const run = await cluster.haplan(args, { env: asRoot });
      if (run.code !== 0) throw new Error(`haplan ${args.join(" ")}: ${run.stdout}\n${run.stderr}`);
      return run.stdout;
    };
    const etcdctl = async (...args: string[]): Promise<string> => {
      const pem = (name: string): string => join(cluster.directory, "ca", name);
      const given = [`--cacert=${pem("ca.crt")}`, `--cert=${pem("admin.crt")}`, `--key=${pem("admin.key")}`];
      const run = await runProgram("etcdctl", [`--endpoints=${oldUrls[0]}`, ...given, ...args], {
        env: { ETCDCTL_API: "3" },
      });
      if (run.code !== 0) throw new Error(`etcdctl ${args.join(" ")}: ${run.stderr}`);
      return run.stdout;
    };

    afterAll(async () => {
      await Promise.all(ends.map((end) => end.close()));
      await cluster.teardown();
      for (const member of members) if (member.exitCode === null && member.kill("SIGKILL")) await once(member, "exit");
    });

    beforeAll(async () => {
      const directory = join(cluster.directory, "ca");
      mkdirSync(directory);
      const authority = openAuthority({ directory });
      await authority.createAuthority("old authority");
      const subjectAltNames = ["127.0.0.1", ...[1, 2, 3, 100].map((host) => addressOf(network, host))];
      await authority.issue({ name: "old", profile: "member", commonName: "old", subjectAltNames });
      await authority.issue({ name: "admin", profile: "client", commonName: "admin", subjectAltNames: [] });
      for (const index of [1, 2, 3]) members.push(startOld(cluster.directory, index));
      old = open(oldUrls);
      await until("etcd takes writes", () => old.client.put("/before", "x").then(() => true), 40_000);
      await fill(old.client);
      for (const name of ["root", "reader"]) await etcdctl("user", "add", `${name}:${password}`);
      await etcdctl("role", "add", "reads");
      await etcdctl("role", "grant-permission", "reads", "read", "/data/", "--prefix=true");
      await etcdctl("user", "grant-role", "reader", "reads");
      await etcdctl("user", "grant-role", "root", "root");
      await etcdctl("auth", "enable");
    }, 120_000);

    /** Four clients that write fifty times a second each, one that watches them, and one that renews a short lease. */
    async function whileInUse(name: string, work: () => Promise<string>): Promise<{ said: string; gapMs: number }> {
      const prefix = `/${name}/`;
      const watcher = new Watcher(open([endpoint]).client, prefix);
      const writers = [1, 2, 3, 4].map((n) => new AcknowledgingWriter(open([endpoint]).client, `${prefix}${n}/`, 17));
      const renewing = open([endpoint]).client;
      const renewal = setInterval(() => void renewing.leaseKeepAlive(1n).catch(() => undefined), 1_000);
      let said: string;
      try {
        await until("writes are acknowledged", () => writers.every(({ acknowledged }) => acknowledged.length > 5));
        said = await work();
        await new Promise((resolve) => setTimeout(resolve, 500));
      } finally {
        clearInterval(renewal);
        await Promise.all(writers.map((writer) => writer.stop()));
      }
      const written = writers.flatMap(({ acknowledged }) => acknowledged);
      await until("the watcher has seen everything", () => watcher.seen.length >= written.length).catch(
        () => undefined,
      );
      await watcher.stop();
      const events = watcher.seen.map(({ revision, key }) => `${revision} ${key}`);
      expect(new Set(events).size).toBe(events.length);
      expect(events.toSorted()).toEqual(
        expect.arrayContaining(written.map(({ revision, key }) => `${revision} ${key}`)),
      );
      expect(watcher.seen.map(({ revision }) => revision)).toEqual(
        watcher.seen.map(({ revision }) => revision).toSorted((a, b) => a - b),
      );
      // On a machine that is busy with other things, an answer may be so late that the connection looks idle.
      const failures = writers.flatMap((writer) => writer.failures.map(({ error }) => String(error)));
      expect(failures.filter((text) => !text.includes("the connection was lost"))).toEqual([]);
      expect(failures.length).toBeLessThanOrEqual(isSoak ? 0 : writers.length);
      all.push(...written);
      const gapMs = Math.max(
        ...writers.map(({ acknowledged }) =>
          Math.max(...acknowledged.slice(1).map(({ atMs }, i) => atMs - acknowledged[i]!.atMs)),
        ),
      );
      console.log(
        `${name}: ${written.length} writes, longest gap ${Math.round(gapMs)} ms\n${said
          .split("\n")
          .filter((line) => /^(Switched|Clients|Both|Copying)/.test(line))
          .join("\n")}`,
      );
      return { said, gapMs };
    }

    async function checkAt(end: ClusterEnd): Promise<void> {
      for (const endpointOf of end.endpoints) {
        const member = open([endpointOf]);
        await until(
          "the member has everything",
          async () => (await missingWrites(member.client, "/", all)).length === 0,
        );
      }
      // The first call of a client logs in, which a busy member may answer too late.
      await until("there are all keys", async () => {
        const { count } = await end.client.range("/data/", { rangeEnd: prefixEnd("/data/"), countOnly: true });
        return count === keys;
      });
      expect((await leaseFacts(end, 2n))?.grantedSeconds).toBe(3_600);
      expect((await leaseFacts(end, 1n, true))?.keys.map((key) => Buffer.from(key).toString())).toEqual(["/leased/1"]);
    }

    it("14/4: moves clients with their data, without a failed write, and back again", async () => {
      // The load balancer exists before its clients do: they come from elsewhere.
      await must("migrate", "-auto-approve");
      await must("migrate", "-rollback", "-auto-approve");
      const there = await whileInUse("there", () => must("migrate", "-auto-approve"));
      expect(there.said).toContain("their hashes are equal");
      await checkAt(open(newUrls));
      await expect(old.client.put("/late", "x")).rejects.toThrow("corrupt cluster");
      const reader = openClusterEnd({ endpoints: newUrls, tls: tls(), user: { name: "reader", password } });
      ends.push(reader);
      expect((await reader.client.range("/data/7")).kvs).toHaveLength(1);
      await expect(reader.client.put("/data/7", "no")).rejects.toThrow("permission denied");
      const refused = await cluster.haplan(["apply", "-auto-approve"], { env: asRoot });
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("The migration is not complete")]);
      const back = await whileInUse("back", () => must("migrate", "-rollback", "-auto-approve"));
      expect(back.said).toContain("their hashes are equal");
      await checkAt(old);
      if (!isSoak) return;
      expect(Math.max(there.gapMs, back.gapMs)).toBeLessThan(1_000);
    }, 240_000);
  },
);
