/**
 * A Go client that reads much in every way that returns much at once; `large-reads.long.test.ts` runs all
 * combinations.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findGoClient } from "./go-client.ts";
import type { LargeRead } from "./large-reads.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";

const host = "127.77.34.10";
const client = await findGoClient();
const reason = "missing" in client ? ` (skipped: ${client.missing})` : "";

describe.skipIf("missing" in client)(`large reads of etcd's Go client${reason}`, () => {
  let cluster: ClusterProcesses;
  beforeAll(async () => {
    cluster = await startCluster("agent", host, { members: 1 });
  });
  afterAll(() => cluster?.stop());

  it("A1: of 2 MB, as a range, a backlog and a snapshot, fast and slow, keep their connection", async () => {
    if ("missing" in client) throw new Error(client.missing);
    const parameters = { megabytes: "2", slowSeconds: 1 };
    const reads = (await client.run("largeReads", { endpoints: cluster.urls, parameters })) as Record<
      string,
      LargeRead
    >;
    expect(Object.keys(reads).length).toBe(6);
    for (const [title, { bytes, connections }] of Object.entries(reads)) {
      expect.soft([connections, bytes >= 2_000_000], title).toEqual([1, true]);
    }
  });
});
