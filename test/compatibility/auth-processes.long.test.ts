/**
 * Users and locks across processes: three of our members, used by etcdctl and through the JSON gateway. A change made
 * at one member applies at the others at once; state that a member keeps in memory only is lost with it.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClusterProcesses, isEtcdInstalled, startCluster } from "./member-processes.ts";

const host = "127.77.21.6";
const b64 = (text: string): string => Buffer.from(text).toString("base64");
const isInstalled = spawnSync("etcdctl", ["version"]).status === 0;

type Reply = { readonly status: number; readonly body: Record<string, unknown> };

async function post(url: string, path: string, body: unknown, token?: string): Promise<Reply> {
  const headers = token === undefined ? {} : { Authorization: token };
  const response = await fetch(`${url}/v3/${path}`, { method: "POST", body: JSON.stringify(body), headers });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function login(url: string, name: string, password: string): Promise<string> {
  const { body } = await post(url, "auth/authenticate", { name, password });
  return String(body["token"]);
}

function etcdctl(url: string, ...words: string[]): { out: string; error: string; status: number | null } {
  const env = { ...process.env, ETCDCTL_API: "3" };
  const { stdout, stderr, status } = spawnSync("etcdctl", ["--endpoints", url, ...words], { env, timeout: 15_000 });
  return { out: String(stdout), error: String(stderr), status };
}

/** Resolves with the first line that the program prints. */
function firstLine(url: string, ...words: string[]): { line: Promise<string>; stop(): Promise<void> } {
  const child = spawn("etcdctl", ["--endpoints", url, ...words], { env: { ...process.env, ETCDCTL_API: "3" } });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    line: new Promise((resolve) =>
      child.stdout.once("data", (bytes: Buffer) => resolve(String(bytes).split("\n")[0]!)),
    ),
    stop: () => {
      child.kill("SIGINT");
      return ended;
    },
  };
}

describe.skipIf(!isInstalled)("users over three members", () => {
  let cluster: ClusterProcesses;
  beforeAll(async () => {
    cluster = await startCluster("agent", host, { members: 3, flags: ["--bcrypt-cost=4"] });
  });
  afterAll(() => cluster?.stop());

  it("are the same for etcdctl at each of them", () => {
    const [first, second, third] = cluster.urls as [string, string, string];
    for (const words of ["user add root:pw", "user add ann:pw", "role add r", "user grant-role root root"]) {
      expect(etcdctl(first, ...words.split(" "))).toMatchObject({ status: 0 });
    }
    expect(etcdctl(second, "role", "grant-permission", "r", "readwrite", "a", "c").out).toBe("Role r updated\n");
    expect(etcdctl(third, "user", "grant-role", "ann", "r").out).toBe("Role r is granted to user ann\n");
    expect(etcdctl(third, "auth", "enable").out).toBe("Authentication Enabled\n");
    for (const url of cluster.urls) {
      expect(etcdctl(url, "--user", "ann:pw", "put", "b", "1").out).toBe("OK\n");
      expect(etcdctl(url, "--user", "ann:pw", "get", "z").error).toContain("etcdserver: permission denied");
      expect(etcdctl(url, "--user", "ann:no", "get", "b").error).toContain("invalid user ID or password");
      expect(etcdctl(url, "get", "b").error).toContain("etcdserver: user name is empty");
    }
  });

  it("log in at one member and are valid at the others, until those lose the tokens", async () => {
    const [first, second] = cluster.urls as [string, string];
    for (let round = 0; round < 5; round++) {
      const token = await login(first, "ann", "pw");
      for (const url of cluster.urls) {
        expect((await post(url, "kv/range", { key: b64("b"), serializable: true }, token)).status).toBe(200);
      }
    }
    const token = await login(first, "ann", "pw");
    expect((await post(second, "kv/range", { key: b64("b") }, token)).status).toBe(200);
    // Stopped cleanly: after a crash the member would see recent logins again, from its log.
    await cluster.terminate(1);
    await cluster.restart(1);
    const forgotten = await post(second, "kv/range", { key: b64("b") }, token);
    expect([forgotten.status, forgotten.body["message"]]).toEqual([401, "etcdserver: invalid auth token"]);
    expect((await post(first, "kv/range", { key: b64("b") }, token)).status).toBe(200);
    expect((await post(second, "kv/range", { key: b64("b") }, await login(second, "ann", "pw"))).status).toBe(200);
  });

  it("lock through the service and through etcdctl, one at a time", async () => {
    const [first, second, third] = cluster.urls as [string, string, string];
    const [atFirst, atSecond] = [await login(first, "ann", "pw"), await login(second, "ann", "pw")];
    const held = await post(first, "lock/lock", { name: b64("b") }, atFirst);
    expect(held.status).toBe(200);
    let granted = false;
    const waiting = post(second, "lock/lock", { name: b64("b") }, atSecond).then((reply) => {
      granted = true;
      return reply;
    });
    const queued = async (): Promise<number> => {
      const range = { key: b64("b/"), range_end: b64("b0"), count_only: true };
      return Number((await post(first, "kv/range", range, atFirst)).body["count"]);
    };
    while ((await queued()) < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(granted).toBe(false);
    await post(third, "lock/unlock", { key: held.body["key"] }, atFirst);
    const second_ = await waiting;
    expect(second_.status).toBe(200);
    const tool = firstLine(third, "--user", "ann:pw", "lock", "b");
    while ((await queued()) < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    await post(first, "lock/unlock", { key: second_.body["key"] }, atFirst);
    expect(await tool.line).toMatch(/^b\/[0-9a-f]+$/);
    await tool.stop();
    expect((await post(first, "lock/lock", { name: b64("z") }, atFirst)).body["message"]).toBe(
      "etcdserver: permission denied",
    );
  });

  it("elect through the service and through etcdctl", async () => {
    const [first, second] = cluster.urls as [string, string];
    const token = await login(first, "ann", "pw");
    const tool = firstLine(second, "--user", "ann:pw", "elect", "bb", "tool");
    expect(await tool.line).toMatch(/^bb\/[0-9a-f]+$/);
    const leader = (): Promise<Reply> => post(first, "election/leader", { name: b64("bb") }, token);
    expect((await leader()).body["kv"]).toMatchObject({ value: b64("tool") });
    const campaign = post(first, "election/campaign", { name: b64("bb"), value: b64("service") }, token);
    await tool.stop();
    const won = (await campaign).body["leader"];
    expect((await leader()).body["kv"]).toMatchObject({ value: b64("service") });
    expect((await post(first, "election/resign", { leader: won }, token)).status).toBe(200);
    expect((await leader()).body["message"]).toBe("election: no leader");
  });
});

describe.skipIf(!isInstalled)("JSON web tokens of a member", () => {
  const directory = mkdtempSync(join(tmpdir(), "haplan-jwt-"));
  const key = join(directory, "secret");
  const flags = ["--bcrypt-cost=4", `--auth-token=jwt,priv-key=${key},sign-method=HS256,ttl=1m`];
  let cluster: ClusterProcesses;
  const enableUsers = ({ urls }: ClusterProcesses): void => {
    for (const words of ["user add root:pw", "user grant-role root root", "auth enable"]) {
      expect(etcdctl(urls[0]!, ...words.split(" "))).toMatchObject({ status: 0 });
    }
  };
  beforeAll(async () => {
    writeFileSync(key, "a shared secret");
    cluster = await startCluster("agent", host, { members: 1, flags });
    enableUsers(cluster);
  });
  afterAll(async () => {
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it.skipIf(!isEtcdInstalled())("are valid at an etcd with the same key and users, and its tokens here", async () => {
    const etcd = await startCluster("etcd", host, { members: 1, flags });
    try {
      enableUsers(etcd);
      const urls = [cluster.urls[0]!, etcd.urls[0]!];
      for (const from of urls) {
        const token = await login(from, "root", "pw");
        for (const url of urls) expect((await post(url, "kv/range", { key: b64("k") }, token)).status).toBe(200);
      }
    } finally {
      await etcd.stop();
    }
  });

  it("outlive a restart, and may be issued elsewhere", async () => {
    const [url] = cluster.urls as [string];
    const token = await login(url, "root", "pw");
    await cluster.kill(0);
    await cluster.restart(0);
    expect((await post(url, "kv/range", { key: b64("k") }, token)).status).toBe(200);
    const [header, claims] = token.split(".") as [string, string];
    const payload = JSON.parse(Buffer.from(claims, "base64url").toString()) as Record<string, unknown>;
    expect(payload).toMatchObject({ username: "root" });
    const later = Buffer.from(JSON.stringify({ ...payload, exp: Number(payload["exp"]) + 60 })).toString("base64url");
    const signature = createHmac("sha256", "a shared secret").update(`${header}.${later}`).digest("base64url");
    expect((await post(url, "kv/range", { key: b64("k") }, `${header}.${later}.${signature}`)).status).toBe(200);
    expect(etcdctl(url, "--user", "root:pw", "auth", "disable").out).toBe("Authentication Disabled\n");
  });
});
