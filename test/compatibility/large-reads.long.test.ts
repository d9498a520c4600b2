/**
 * All combinations of large reads: what they cost the member that serves them, and how they affect another client's
 * writes.
 */
import { describe, expect, it } from "vitest";
import { limitMs } from "../time-limits.ts";
import { findGoClient } from "./go-client.ts";
import { type LargeRead, startSecureCluster } from "./large-reads.ts";
import { leadingMember } from "./member-processes.ts";
import { residentMemory } from "./resident-memory.ts";

const host = "127.77.34.11";
const mib = 1 << 20;
const boundBytes = 1024 * mib;
/** The member's own: its program, its log in memory, pages of the database that the system may reclaim. */
const ownBytes = 512 * mib;
const client = await findGoClient();
const reason = "missing" in client ? ` (skipped: ${client.missing})` : "";
/** In CI without the two largest, which take five of seven minutes. */
const megabytes = process.env["CI"] === "true" ? "1,2,8" : "1,2,8,64,200";
const places = [
  { from: "the leader", secure: false },
  { from: "the leader", secure: true },
  { from: "a follower", secure: false },
  { from: "a follower", secure: true },
] as const;

describe.skipIf("missing" in client)(`large reads of etcd's Go client${reason}`, () => {
  it.for(places)("A1, A6: of 1 to 200 MB from $from (TLS: $secure)", { timeout: 600_000 }, async ({ from, secure }) => {
    if ("missing" in client) throw new Error(client.missing);
    const { cluster, secureUrls, tls, stop } = await startSecureCluster(host, 3);
    try {
      const leader = await leadingMember(cluster);
      const read = from === "the leader" ? leader : (leader + 1) % 3;
      const urls = secure ? secureUrls : cluster.urls;
      const reads = (await client.run("largeReads", {
        endpoints: [urls[read]!, urls[leader]!],
        ...(secure ? { tls } : {}),
        parameters: { megabytes, slowSeconds: 2 },
      })) as Record<string, LargeRead>;
      const { peakBytes } = residentMemory(cluster.processId(read));
      expect(Object.keys(reads).length).toBe(6 * megabytes.split(",").length);
      for (const [title, { bytes, connections, writeP99Ms }] of Object.entries(reads)) {
        const leastBytes = Number(/of (\d+) MB/.exec(title)?.[1]) * 1_000_000;
        const found = [connections, bytes >= leastBytes, writeP99Ms < limitMs(250)];
        expect
          .soft(found, `${title}: connections, all bytes, p99 of writes below 250 ms (${writeP99Ms})`)
          .toEqual([1, true, true]);
      }
      expect(peakBytes).toBeLessThan(boundBytes + ownBytes);
    } finally {
      await stop();
    }
  });
});
