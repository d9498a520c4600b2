/**
 * Responses and watches of more than a few hundred kilobytes, read by every available etcdctl: its client is grpc-go.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, type GrpcClient } from "../../src/etcd-client/grpc-client.ts";
import { encodePutRequest } from "../../src/raft-agent/api/put.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";

const host = "127.77.34.8";
/** Of other versions, when `HAPLAN_ETCDCTLS` names some, separated by colons. */
const morePrograms = (process.env["HAPLAN_ETCDCTLS"] ?? "").split(":").filter((program) => program !== "");
const programs = ["etcdctl", ...morePrograms].filter((program) => spawnSync(program, ["version"]).status === 0);

type Run = { readonly out: string; readonly error: string; readonly status: number | null };

async function run(program: string, url: string, ...words: readonly string[]): Promise<Run> {
  const child = spawn(program, ["--endpoints", url, "--command-timeout=20s", ...words], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, error, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { out, error, status: status as number | null };
}

describe.skipIf(programs.length === 0)("large answers", () => {
  let cluster: ClusterProcesses;
  let grpc: GrpcClient;
  const put = async (key: string, value: Buffer): Promise<void> => {
    const rest = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
    await grpc.unary("/etcdserverpb.KV/Put", encodePutRequest({ key: Buffer.from(key), value, ...rest }));
  };
  beforeAll(async () => {
    cluster = await startCluster("agent", host, { members: 1 });
    grpc = connect({ endpoints: cluster.urls });
    await put("one", Buffer.alloc(1_400_000, "x"));
    for (let at = 0; at < 30; at++) await put(`many/${at}`, Buffer.alloc(50_000, "y"));
    for (let at = 0; at < 20; at++) await put("watched", Buffer.alloc(300_000, "z"));
    for (let at = 0; at < 10; at++) await put(`more/${at}`, Buffer.alloc(1_000_000, "w"));
  });
  afterAll(async () => {
    await grpc?.close();
    await cluster?.stop();
  });

  it.each(programs)("A1: are read by %s: one value of 1.4 MB, many of 50 kB, 10 MB in all", async (program) => {
    const read = async (...words: string[]): Promise<number> => {
      const { out, error } = await run(program, cluster.urls[0]!, "get", "--print-value-only", ...words);
      expect(error).toBe("");
      return out.replaceAll("\n", "").length;
    };
    expect(await read("one")).toBe(1_400_000);
    expect(await read("--prefix", "many/")).toBe(1_500_000);
    expect(await read("--prefix", "more/")).toBe(10_000_000);
  });

  it.each(programs)("A1: are watched by %s from a backlog of values of 300 kB", async (program) => {
    const words = ["--endpoints", cluster.urls[0]!, "watch", "--rev=1", "watched"];
    const child = spawn(program, words);
    let bytes = 0;
    let errors = "";
    child.stderr.on("data", (chunk) => (errors += chunk));
    child.stdout.on("data", (chunk: Buffer) => (bytes += chunk.length));
    await expect.poll(() => bytes, { timeout: 10_000 }).toBeGreaterThanOrEqual(20 * 300_000);
    child.kill();
    await once(child, "close");
    expect(errors).toBe("");
  });
});
