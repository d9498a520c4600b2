/**
 * What etcdctl 3.5, 3.6 and 3.7 do to a cluster of three: the leader moved, a learner added, promoted too early, given
 * another address and removed. Ours and an etcd of etcdctl's own version must produce the same output.
 */
import { execFile } from "node:child_process";
import { afterAll, describe, expect, it } from "vitest";
import { type EtcdVersion, etcdVersions, findEtcdProgram } from "./etcd-programs.ts";
import { comparable } from "./etcdctl-verbs.ts";
import { type ClusterProcesses, type Engine, startCluster } from "./member-processes.ts";

const host = "127.77.62.3";
const addedUrl = `http://${host}:1`;

type StepOutput = { readonly line: string; readonly code: number | null; readonly text: string };
type Status = {
  readonly Endpoint: string;
  readonly Status: { readonly header: { readonly member_id: bigint }; readonly leader: bigint };
};

/** Numbers of members are larger than a JavaScript number holds exactly. */
function parse<T>(json: string): T {
  return JSON.parse(json.replace(/:(\d{16,})/g, ':"$1n"'), (_, value: unknown) =>
    typeof value === "string" && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as T;
}

const hex = (id: bigint): string => id.toString(16);

/** All output of one engine's cluster, and which member led in the end. */
async function session(etcdctl: string, cluster: ClusterProcesses): Promise<readonly StepOutput[]> {
  const steps: StepOutput[] = [];
  const run = async (...words: string[]): Promise<string> => {
    const [code, out, error] = await new Promise<[number | null, string, string]>((resolve) => {
      const environment = { PATH: process.env["PATH"], ETCDCTL_ENDPOINTS: cluster.urls.join() };
      execFile(etcdctl, words, { env: environment, timeout: 30_000 }, (failure, stdout, stderr) =>
        resolve([failure === null ? 0 : ((failure.code as unknown as number) ?? null), stdout, stderr]),
      );
    });
    // Members are listed by their ids.
    const byId = comparable(out + error).replace(/(?<=INITIAL_CLUSTER=").*(?=")/, (all) =>
      all.split(",").sort().join(),
    );
    const text = byId.split("\n").sort().join("\n");
    steps.push({ line: comparable(words.join(" ")), code, text });
    return out;
  };
  const statuses = async (): Promise<Status[]> => {
    const status = parse<Status[]>(await run("endpoint", "status", "-w", "json"));
    steps.pop();
    return status;
  };
  await run("endpoint", "health", "--cluster");
  await run("member", "list");
  const [first] = await statuses();
  const follower = (await statuses()).find(({ Status: { header, leader } }) => header.member_id !== leader)!;
  await run("move-leader", hex(follower.Status.header.member_id));
  expect(new Set((await statuses()).map(({ Status: { leader } }) => leader))).toEqual(
    new Set([follower.Status.header.member_id]),
  );
  await run("move-leader", hex(follower.Status.header.member_id));
  await run("member", "promote", hex(first!.Status.header.member_id));
  // Members that have not been connected for five seconds do not count when a new one is added.
  let added = "";
  for (let tries = 0; added === "" && tries < 30; tries++) {
    if (tries > 0) steps.pop();
    await new Promise((resolve) => setTimeout(resolve, tries === 0 ? 0 : 500));
    added = await run("member", "add", "fourth", "--learner", `--peer-urls=${addedUrl}`);
  }
  const learner = /Member +([0-9a-f]+) added/.exec(added)?.[1] ?? "";
  // An etcd derives the id from address and second, and within that second reports that the id exists.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  await run("member", "add", "again", "--learner", `--peer-urls=${addedUrl}`);
  await run("member", "list");
  expect(learner).not.toBe("");
  await run("member", "promote", learner);
  await run("member", "update", learner, `--peer-urls=http://${host}:2`);
  await run("member", "remove", learner);
  await run("member", "remove", learner);
  await run("member", "list");
  return steps;
}

describe.each(etcdVersions)("etcdctl %s and three members", async (version: EtcdVersion) => {
  const etcdctl = await findEtcdProgram(version, "etcdctl");
  const etcd = await findEtcdProgram(version, "etcd");
  const clusters: ClusterProcesses[] = [];
  afterAll(() => Promise.all(clusters.map((cluster) => cluster.stop())));

  it("moves the leader, adds, promotes, changes and removes a learner", { timeout: 180_000 }, async ({ skip }) => {
    if ("missing" in etcdctl) return skip(etcdctl.missing);
    if ("missing" in etcd) return skip(etcd.missing);
    const outputs: (readonly StepOutput[])[] = [];
    for (const engine of ["agent", "etcd"] satisfies Engine[]) {
      const cluster = await startCluster(engine, host, { members: 3, etcdProgram: etcd.path });
      clusters.push(cluster);
      outputs.push(await session(etcdctl.path, cluster));
    }
    expect(outputs[0]).toEqual(outputs[1]);
  });
});
