/**
 * Scenarios of etcd's own Go client, with the agent and, once it is built, with an etcd 3.7 beside it: both must give
 * the program the same results.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonValue } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findEtcdProgram } from "./etcd-programs.ts";
import { findGoClient } from "./go-client.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";

const host = "127.77.61.1";
const client = await findGoClient();
const etcd = await findEtcdProgram("3.7", "etcd");
const reason = "missing" in client ? ` (skipped: ${client.missing})` : "";
/** `npm run test:long` sets it: more of everything, and what takes seconds of waiting. */
const inLongForm = process.env["HAPLAN_TEST_EVERYTHING"] !== undefined;

describe.skipIf("missing" in client)(`etcd's Go client${reason}`, () => {
  const clusters: ClusterProcesses[] = [];
  const directory = mkdtempSync(join(tmpdir(), "haplan-go-client-"));
  beforeAll(async () => {
    const options = { members: 1, flags: ["--bcrypt-cost=4"] };
    const starting = [startCluster("agent", host, options)];
    if ("path" in etcd) starting.push(startCluster("etcd", host, { ...options, etcdProgram: etcd.path }));
    clusters.push(...(await Promise.all(starting)));
  });
  afterAll(async () => {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
    rmSync(directory, { recursive: true, force: true });
  });

  /** What our member returns; the etcd must have returned the same. */
  async function run(name: string, parameters: Record<string, number> = {}): Promise<JsonValue> {
    if ("missing" in client) throw new Error(client.missing);
    const results = await Promise.all(
      clusters.map(({ urls, engine }) =>
        client.run(name, { endpoints: urls, parameters: { ...parameters, file: join(directory, `${engine}.db`) } }),
      ),
    );
    const [ours, theirs] = results;
    if (theirs !== undefined) expect(ours).toEqual(theirs);
    return ours!;
  }

  it("writes, reads, changes and deletes many keys and large values", async () => {
    const result = await run("kv", { keys: 1000, values: 10, bytes: 60_000 });
    expect(result).toMatchObject({
      many: { pages: 11, read: 1000, deleted: 1000 },
      large: { count: 10, same: true, bytes: 600_000 },
    });
  });

  it("watches a backlog, in fragments, with filters and progress notes, across a compaction", {
    timeout: 60_000,
  }, async () => {
    const result = await run("watch", { keys: inLongForm ? 20_000 : 300 });
    expect(result).toMatchObject({
      progress: { created: true, isNote: true, ahead: 0 },
      crowd: { told: 30 },
      live: { events: 100, matching: 100 },
      compacted: { error: "etcdserver: mvcc: required revision has been compacted", canceled: true, compacted: 0 },
    });
  });

  it("grants, renews, inspects and revokes leases", { timeout: 60_000 }, async () => {
    const result = await run("lease", inLongForm ? { leases: 1000, expiry: 1 } : { leases: 50 });
    expect(result).toMatchObject({ many: { renewed: inLongForm ? 1000 : 50 }, one: { listed: true, inTime: true } });
    const expired = ["expiry/1", "expiry/3", "expiry/5", "expiry/7", "expiry/9"];
    if (inLongForm) expect(result).toMatchObject({ expiry: { early: false, left: 5, expired } });
  });

  it("locks, elects and runs software transactions under contention", { timeout: 60_000 }, async () => {
    const [contenders, rounds] = inLongForm ? [10, 30] : [4, 5];
    const result = await run("recipes", { contenders, rounds });
    expect(result).toMatchObject({
      mutex: { counter: String(contenders * rounds), queued: 0 },
      stm: { sum: 500 },
      election: { observed: contenders },
    });
  });

  it("sets up users and roles, is denied what they may not do, and renews its token", async () => {
    const result = await run("auth");
    expect(result).toMatchObject({
      refreshed: { revoked: "etcdserver: permission denied" },
      after: { enabled: false },
    });
  });

  it("requests status, hashes, alarms and defragmentation", async () => {
    expect(await run("maintenance")).toMatchObject({ status: { leaders: 1 }, hashes: { hashes: 1, changed: true } });
  });

  it("saves snapshots", async () => {
    expect(await run("snapshot")).toEqual({ hasVersion: true, digestsMatch: true, pages: true });
  });

  it("A17: reads streams of one revision while others write", async () => {
    const streams = inLongForm ? 200 : 10;
    expect(await run("range-stream", { streams })).toMatchObject({ underWrites: { equal: streams } });
  });

  it("works through namespace, mirror, ordering, leasing, naming and kube-apiserver's interface", async () => {
    expect(await run("wrappers")).toMatchObject({ mirror: { keys: 1501, same: true }, ordering: { older: 0 } });
  });
});
