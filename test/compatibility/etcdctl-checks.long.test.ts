/**
 * The checks of a third-party client: `etcdctl check perf` and `check datascale` with the load that etcd calls small.
 * They judge by absolute times, which any server misses on a machine that is too busy: in that case a real etcd must
 * miss them, too. Part of the long tests.
 */
import { execFile } from "node:child_process";
import { describe, expect, it } from "vitest";
import { type ClusterProcesses, type Engine, isEtcdInstalled, startCluster } from "./member-processes.ts";

const host = "127.77.46.5";

/** What `etcdctl check` printed; it passed when no line says FAIL and the last one says PASS. */
async function check({ urls }: ClusterProcesses, kind: "perf" | "datascale"): Promise<string> {
  const arguments_ = [`--endpoints=${urls.join()}`, "check", kind, "--load=s"];
  const env = { PATH: process.env["PATH"], ETCDCTL_API: "3" };
  const printed = await new Promise<string>((resolve) => {
    execFile("etcdctl", arguments_, { env, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      resolve(`${stdout}\n${stderr}\n${error === null ? "" : `FAIL: ${error.message}`}`);
    });
  });
  return printed
    .split("\n")
    .filter((line) => /^(PASS|FAIL)/.test(line))
    .join("\n");
}

async function checkNew(engine: Engine, kind: "perf" | "datascale"): Promise<string> {
  const cluster = await startCluster(engine, host, { members: 3 });
  try {
    return await check(cluster, kind);
  } finally {
    await cluster.stop();
  }
}

describe.skipIf(!isEtcdInstalled())("etcdctl's own checks", () => {
  it.each(["perf", "datascale"] as const)("pass: check %s", { timeout: 300_000 }, async (kind) => {
    const found = await checkNew("agent", kind);
    console.log(found);
    if (!found.includes("FAIL")) expect(found).toContain("PASS");
    else expect(await checkNew("etcd", kind), "what a real etcd reaches here").toContain("FAIL");
  });
});
