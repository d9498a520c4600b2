/**
 * A Python client, over grpc's C core, with the agent and, once it is built, with an etcd 3.7 beside it: both must
 * return the same results to the program, without users and with.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findEtcdProgram } from "./etcd-programs.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";
import { findPythonClient } from "./python-client.ts";

const host = "127.77.61.3";
const user = { name: "root", password: "secret" };
const client = await findPythonClient(process.env["HAPLAN_TEST_EVERYTHING"] !== undefined);
const etcd = await findEtcdProgram("3.7", "etcd");
const reason = "missing" in client ? ` (skipped: ${client.missing})` : "";

async function enableUsers(url: string): Promise<void> {
  const calls: readonly (readonly [string, object])[] = [
    ["user/add", user],
    ["role/add", { name: "root" }],
    ["user/grant", { user: user.name, role: "root" }],
    ["enable", {}],
  ];
  for (const [path, body] of calls) {
    const answer = await fetch(`${url}/v3/auth/${path}`, { method: "POST", body: JSON.stringify(body) });
    expect(answer.status).toBe(200);
  }
}

describe.skipIf("missing" in client)(`a Python client${reason}`, () => {
  const clusters: ClusterProcesses[] = [];
  beforeAll(async () => {
    const options = { members: 1, flags: ["--bcrypt-cost=4"] };
    clusters.push(await startCluster("agent", host, options));
    if ("path" in etcd) clusters.push(await startCluster("etcd", host, { ...options, etcdProgram: etcd.path }));
  });
  afterAll(() => Promise.all(clusters.map((cluster) => cluster.stop())));

  it.each(["nobody", "root"])("reads, writes, watches, locks and saves as %s", { timeout: 90_000 }, async (name) => {
    if ("missing" in client) throw new Error(client.missing);
    const login = name === "root" ? user : undefined;
    if (login !== undefined) for (const { urls } of clusters) await enableUsers(urls[0]!);
    const results = await Promise.all(clusters.map(({ urls }) => client.run(urls[0]!, login)));
    const [ours, theirs] = results;
    if (theirs !== undefined) expect(ours).toEqual(theirs);
    expect(ours).toMatchObject({
      large: { one: 1_000_000, every: 12_000_000 },
      locks: "15",
      many: 124_750,
      maintenance: { snapshot: true, hash: login === undefined ? true : "etcdserver: user name is empty" },
    });
  });
});
