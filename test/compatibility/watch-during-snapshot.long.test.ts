/**
 * Ten streams on a follower that is stopped while the others write, without a compaction of keys, so that it installs
 * a snapshot while it has watchers: a progress note never has a revision before the events of that revision. Part of
 * the long tests.
 */
import { expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { decodeWatchResponse, encodeWatchRequest } from "../../src/raft-agent/api/watch.ts";
import { leadingMember, startCluster } from "./member-processes.ts";
import { WatchJournal } from "./watch-journal.ts";

const host = "127.77.24.9";
const streams = 10;
const rounds = 8;
const puts = 300;
const flags = [
  "--heartbeat-interval=50",
  "--election-timeout=500",
  "--snapshot-count=50",
  "--snapshot-catchup-entries=5",
];
const interest = { name: "all", key: "k/", rangeEnd: "k0", filters: [], prevKv: true };
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One stream, which requests progress all the time. `isOver` when it has received everything up to `last()`. */
async function watch(url: string, journal: WatchJournal, last: () => number): Promise<void> {
  const client = connect({ endpoints: [url] });
  const stream = await client.stream("/etcdserverpb.Watch/Watch");
  await stream.send(journal.request(1));
  const asking = setInterval(() => void stream.send(encodeWatchRequest({ kind: "progress" })).catch(() => {}), 5);
  try {
    for await (const message of stream) {
      journal.take(decodeWatchResponse(message));
      if (journal.next > last()) return;
    }
    throw new Error("the stream ended");
  } finally {
    clearInterval(asking);
    stream.cancel();
    await client.close();
  }
}

it("A16: no progress note is sent before its events while a follower installs a snapshot", {
  timeout: 180_000,
}, async () => {
  const cluster = await startCluster("agent", host, { members: 3, flags: flags });
  const clients = cluster.urls.map((url) => new EtcdClient(connect({ endpoints: [url] }), { timeoutMs: 10_000 }));
  let snapshots = 0;
  try {
    const leader = await leadingMember(cluster);
    const follower = (leader + 1) % 3;
    let last = Number.POSITIVE_INFINITY;
    const journals = Array.from({ length: streams }, () => new WatchJournal(interest, 1));
    const watching = Promise.all(journals.map((journal) => watch(cluster.urls[follower]!, journal, () => last)));
    watching.catch(() => {});
    for (let round = 0; round < rounds; round++) {
      cluster.pause(follower);
      const writes = Array.from({ length: puts }, (_, at) => clients[leader]!.put(`k/${at}`, `${round}`));
      await Promise.all(writes);
      // Until the leader closes the connection, and fails what waits on it.
      await sleep(1_500);
      cluster.resume(follower);
      await sleep(500);
    }
    last = (await clients[leader]!.put("k/last", "")).header?.revision ?? 0;
    await watching;
    const page = await (await fetch(`${cluster.urls[follower]}/metrics`)).text();
    snapshots = Number(/^etcd_snap_db_save_total_duration_seconds_count (\d+)$/m.exec(page)?.[1] ?? 0);
    for (const { faults, events } of journals) {
      expect(faults).toEqual([]);
      expect(events).toHaveLength(rounds * puts + 1);
    }
  } finally {
    await Promise.all(clients.map(({ grpc }) => grpc.close()));
    await cluster.stop();
  }
  expect(snapshots).toBeGreaterThan(0);
});
