/**
 * Two of three members are lost for good: the third is started with --force-new-cluster, as a cluster of one that has
 * everything, and grows to three again; a real etcd beside it. Part of the long tests: force-new-cluster.test.ts of
 * the agent tests what the flag does to a disk.
 */
import { spawn } from "node:child_process";
import { afterEach, describe, expect, it } from "vitest";
import { agentMain, type ClusterProcesses, freePorts, isEtcdInstalled, startCluster } from "./member-processes.ts";

const host = "127.77.42.1";
/** The strict check requires members to have been connected for five seconds before each addition. */
const quick = ["--heartbeat-interval=50", "--election-timeout=500", "--strict-reconfig-check=false"];
const force = "--force-new-cluster=true";
const withinMs = 20_000;

type ListedMember = { ID: string; name?: string; isLearner?: boolean; peerURLs: string[] };
type Reply = {
  header?: { cluster_id: string; member_id: string };
  members?: ListedMember[];
  kvs?: { value: string }[];
  message?: string;
};

async function ask(url: string, path: string, body: object = {}): Promise<Reply> {
  const response = await fetch(`${url}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
  return (await response.json()) as Reply;
}

const b64 = (text: string): string => Buffer.from(text).toString("base64");
const put = (url: string, key: string): Promise<Reply> => ask(url, "kv/put", { key: b64(key), value: b64("kept") });
const hasKey = async (url: string, key: string): Promise<boolean> =>
  (await ask(url, "kv/range", { key: b64(key) })).kvs?.[0]?.value === b64("kept");
const memberNames = async (url: string): Promise<string[]> =>
  ((await ask(url, "cluster/member/list")).members ?? []).map(
    ({ name, isLearner }) => `${name ?? "-"}${isLearner ? " (learner)" : ""}`,
  );

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + withinMs;
  while (!(await holds().catch(() => false))) {
    if (Date.now() > deadlineMs) throw new Error(`${what} did not come true within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** The output of a member that is started with the flag although the cluster is alive. */
async function startFailureOf(
  cluster: ClusterProcesses,
  member: number,
): Promise<{ code: number | null; log: string }> {
  const flags = [force, `--data-dir=${cluster.dataDir(member)}`];
  const child = spawn(process.execPath, [agentMain, ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.on("data", (text) => {
    log += text;
  });
  const late = setTimeout(() => child.kill("SIGKILL"), withinMs);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(late);
  return { code, log };
}

const open: ClusterProcesses[] = [];
afterEach(() => Promise.all(open.splice(0).map((cluster) => cluster.stop())));

/** Adds one member and waits until it serves data written before it joined. */
async function grow(cluster: ClusterProcesses, name: string, present: readonly number[], key: string): Promise<void> {
  const [port] = await freePorts(host, 1);
  const peerUrl = `http://${host}:${port}`;
  const added = await ask(cluster.urls[2]!, "cluster/member/add", { peerURLs: [peerUrl] });
  expect(added, JSON.stringify(added)).toHaveProperty("member");
  const url = await cluster.join(name, peerUrl, present);
  await until(`${name} has ${key}`, () => hasKey(url, key));
}

describe.skipIf(!isEtcdInstalled()).each(["agent", "etcd"] as const)("--force-new-cluster of %s", (engine) => {
  it("makes the survivor a cluster of one that has everything, and grows to three", { timeout: 90_000 }, async () => {
    const cluster = await startCluster(engine, host, { members: 3, flags: quick });
    open.push(cluster);
    const survivor = cluster.urls[2]!;
    for (const [at, url] of cluster.urls.entries()) await put(url, `from/${at}`);
    const before = (await put(survivor, "last")).header!;
    await Promise.all([0, 2].map((member) => cluster.kill(member)));
    if (engine === "agent") {
      const { code, log } = await startFailureOf(cluster, 2);
      expect(code).toBe(1);
      expect(log).toMatch(/there is a majority with it, since [0-9a-f]{16} at http:.* still responds/);
    }
    await cluster.kill(1);
    await cluster.restart(2, [force]);
    // No remaining member knows that it is committed: etcd drops it, unless something was written after it.
    const kept = ["from/0", "from/1", "from/2", ...(engine === "agent" ? ["last"] : [])];
    for (const key of kept) expect(await hasKey(survivor, key), key).toBe(true);
    expect(await memberNames(survivor)).toEqual(["haplan-member-3"]);
    const { cluster_id, member_id } = (await put(survivor, "alone")).header!;
    expect({ cluster_id, member_id }).toEqual({ cluster_id: before.cluster_id, member_id: before.member_id });

    await grow(cluster, "fourth", [2], "alone");
    if (engine === "agent") {
      // Its vote is needed until there are three: an etcd of two would stop here.
      cluster.pause(3);
      expect(await put(survivor, "still decides alone")).toHaveProperty("header");
      cluster.resume(3);
    }
    await grow(cluster, "fifth", [2, 3], "alone");
    const grown = ["fifth", "fourth", "haplan-member-3"];
    await until("three members", async () => (await memberNames(survivor)).sort().join() === grown.join());
    // One of the three may be lost again.
    await until("three voters", async () => (await put(survivor, "with three")).header !== undefined);
    await cluster.kill(4);
    await until("a write of two", async () => (await put(survivor, "with two")).header !== undefined);
    // If the flag stays in the unit, it removes the new members of an etcd.
    await cluster.terminate(2);
    await cluster.restart(2, [force]);
    expect((await memberNames(survivor)).sort()).toEqual(engine === "agent" ? grown : ["haplan-member-3"]);
  });
});
