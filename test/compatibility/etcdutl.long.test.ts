/**
 * etcdutl 3.5, 3.6 and 3.7 with our snapshots, and the agent with theirs: each file is inspected and restored, and a
 * member of the other kind started from it has the same keys, leases and users, and the same hash.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EtcdProgram, type EtcdVersion, etcdVersions, findEtcdProgram } from "./etcd-programs.ts";
import { agentMain, type ClusterProcesses, type Engine, startCluster } from "./member-processes.ts";

const host = "127.77.62.2";
const keys = 2000;

/** What two members with the same data must agree on. */
type Content = { readonly keys: unknown; readonly lease: unknown; readonly users: string; readonly hash: unknown };

function run(program: string, ...words: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, words, { maxBuffer: 64 << 20, env: { PATH: process.env["PATH"] } }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${program} ${words.join(" ")}: ${stdout}${stderr}`));
    });
  });
}

describe.each(etcdVersions)("snapshots and etcdutl %s", async (version: EtcdVersion) => {
  const found: Readonly<Record<EtcdProgram, string>> = { etcd: "", etcdctl: "", etcdutl: "" };
  let missing = "";
  for (const program of Object.keys(found) as EtcdProgram[]) {
    const built = await findEtcdProgram(version, program);
    if ("missing" in built) missing = built.missing;
    else Object.assign(found, { [program]: built.path });
  }
  const directory = mkdtempSync(join(tmpdir(), "haplan-etcdutl-"));
  const clusters = new Map<Engine, ClusterProcesses>();
  beforeAll(async () => {
    if (missing !== "") return;
    const options = { members: 1, flags: ["--bcrypt-cost=4"], etcdProgram: found.etcd };
    for (const engine of ["agent", "etcd"] as const) clusters.set(engine, await startCluster(engine, host, options));
  });
  afterAll(async () => {
    for (const cluster of clusters.values()) await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const etcdctl = (engine: Engine, ...words: string[]): Promise<string> =>
    run(found.etcdctl, `--endpoints=${clusters.get(engine)!.urls[0]}`, ...words);

  async function fill(engine: Engine): Promise<void> {
    for (let at = 0; at < keys; at += 100) {
      const puts = Array.from({ length: 100 }, (_, i) => `put key/${at + i} value-of-${at + i}`).join("\n");
      await txn(engine, `\n${puts}\n\n\n`);
    }
    for (const words of [
      "del --prefix key/19",
      "put key/1 again",
      "lease grant 600",
      "user add ann:pw",
      "role add r",
    ]) {
      await etcdctl(engine, ...words.split(" "));
    }
    const [, lease] = (await etcdctl(engine, "lease", "list")).trim().split("\n");
    await etcdctl(engine, "put", "leased", "1", `--lease=${lease}`);
    await etcdctl(engine, "user", "grant-role", "ann", "r");
    await etcdctl(engine, "role", "grant-permission", "r", "read", "key/", "--prefix=true");
    await etcdctl(engine, "compaction", "15");
  }

  function txn(engine: Engine, input: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const words = [`--endpoints=${clusters.get(engine)!.urls[0]}`, "txn"];
      const child = execFile(found.etcdctl, words, (error) => (error === null ? resolve() : reject(error)));
      child.stdin!.end(input);
    });
  }

  async function content(engine: Engine): Promise<Content> {
    const json = async (...words: string[]): Promise<Record<string, never>> =>
      JSON.parse(await etcdctl(engine, ...words, "-w", "json"));
    const lease = (await etcdctl(engine, "lease", "list")).split("\n")[1]!;
    const [hash] = (await json("endpoint", "hashkv")) as unknown as [{ HashKV: Record<string, unknown> }];
    return {
      keys: (await json("get", "", "--prefix"))["kvs"],
      lease: (await json("lease", "timetolive", lease, "--keys"))["keys"],
      users: (await etcdctl(engine, "user", "get", "ann")) + (await etcdctl(engine, "role", "get", "r")),
      hash: { hash: hash.HashKV["hash"], revision: hash.HashKV["hash_revision"] ?? 0 },
    };
  }

  /** Replaces the member's data with the content of the file; `restore` runs the program for it. */
  async function startFrom(engine: Engine, restore: (place: string[]) => Promise<string>): Promise<void> {
    const cluster = clusters.get(engine)!;
    const [member] = JSON.parse(await etcdctl(engine, "member", "list", "-w", "json")).members as [
      { readonly name: string; readonly peerURLs: readonly [string] },
    ];
    await cluster.terminate(0);
    rmSync(cluster.dataDir(0), { recursive: true });
    const [url] = member.peerURLs;
    const place = { "data-dir": cluster.dataDir(0), name: member.name, "initial-advertise-peer-urls": url };
    const flags = { ...place, "initial-cluster": `${member.name}=${url}` };
    await restore(Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`));
    await cluster.restart(0);
  }

  it("lets etcdutl inspect and restore ours, and an etcd serve it", { timeout: 120_000 }, async ({ skip }) => {
    if (missing !== "") return skip(missing);
    await fill("agent");
    const before = await content("agent");
    const file = join(directory, "ours.db");
    await etcdctl("agent", "snapshot", "save", file);
    const status = JSON.parse(await run(found.etcdutl, "snapshot", "status", file, "-w", "json"));
    expect(status).toMatchObject({ revision: 24 });
    expect(status.totalKey).toBeGreaterThan(keys - 200);
    await startFrom("etcd", (flags) => run(found.etcdutl, "snapshot", "restore", file, ...flags));
    expect(await content("etcd")).toEqual(before);
    expect(await etcdctl("etcd", "put", "after", "1")).toBe("OK\n");
    // Tools that work on the stopped member's directory.
    const etcd = clusters.get("etcd")!;
    await etcd.terminate(0);
    await run(found.etcdutl, "defrag", `--data-dir=${etcd.dataDir(0)}`);
    // etcdutl 3.6 panics where a key has a lease.
    if (version === "3.7") {
      const db = join(etcd.dataDir(0), "member", "snap", "db");
      expect(await run(found.etcdutl, "hashkv", db)).toMatch(/\b25\b/);
    }
    await etcd.restart(0);
    expect(await etcdctl("etcd", "get", "after", "--print-value-only")).toBe("1\n");
  });

  it("lets the agent inspect and restore theirs, and serve it", { timeout: 120_000 }, async ({ skip }) => {
    if (missing !== "") return skip(missing);
    const before = await content("etcd");
    const file = join(directory, "theirs.db");
    await etcdctl("etcd", "snapshot", "save", file);
    const agent = (...words: string[]): Promise<string> => run(process.execPath, agentMain, "snapshot", ...words);
    expect(await agent("status", file)).toMatch(/\b25\b/);
    await startFrom("agent", (flags) => agent("restore", file, "--bump-revision=0", ...flags));
    expect(await content("agent")).toEqual(before);
    expect(await etcdctl("agent", "put", "after", "2")).toBe("OK\n");
  });
});
