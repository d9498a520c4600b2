/**
 * The cost of the store: puts, gets, ranges, opening, memory. One process, one store on disk, about half a minute.
 * Run: npm exec -- node --experimental-strip-types bench/store.ts [keys=1000000]   (Node 22 or newer)
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "../src/base/random.ts";
import { rangeRequest } from "../src/raft-agent/api/range.ts";
import { watchCreateRequest } from "../src/raft-agent/api/watch.ts";
import { openLmdbBackend } from "../src/raft-agent/mvcc/backend/lmdb-backend.ts";
import { openStore } from "../src/raft-agent/mvcc/mvcc-store.ts";
import type { Store } from "../src/raft-agent/mvcc/store.ts";
import { createWatchHub } from "../src/raft-agent/mvcc/watch/watch-hub.ts";

const keys = Number(process.argv[2] ?? 1_000_000);
const random = createRandom(1);
const value = Buffer.alloc(256, 0x76);
const directory = mkdtempSync(join(process.env["BENCH_DIRECTORY"] ?? tmpdir(), "haplan-bench-"));
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const keyOf = (number: number): Buffer => Buffer.from(`/registry/pods/ns-${number % 100}/pod-${number}`);

async function measure(name: string, count: number, work: () => Promise<void> | void): Promise<void> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const used = process.cpuUsage(cpu);
  const cpuMicros = ((used.user + used.system) / count).toFixed(2);
  console.log(`${name}: ${Math.round(count / seconds)}/s, ${cpuMicros} µs CPU each, ${seconds.toFixed(2)} s`);
}

/** Puts in batches of 100 per turn, like applying a group of committed entries. */
async function putAll(store: Store, count: number, key: (i: number) => Buffer): Promise<void> {
  for (let i = 0; i < count; ) {
    for (let end = Math.min(i + 100, count); i < end; i++) {
      const txn = store.beginWrite();
      txn.put(key(i), value, 0n);
      txn.end();
      store.setConsistentIndex(store.consistentIndex + 1, 1);
    }
    await nextTurn();
  }
  await store.flush();
}

function printMemory(when: string): void {
  globalThis.gc?.();
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
  const mb = (bytes: number): number => Math.round(bytes / 2 ** 20);
  console.log(
    `memory ${when}: rss ${mb(rss)} MB, heap ${mb(heapUsed)}, external ${mb(external)}, buffers ${mb(arrayBuffers)}`,
  );
}

async function main(): Promise<void> {
  printMemory("at start");
  let store = await openStore({ backend: openLmdbBackend({ directory }) });
  await measure("put, new keys in random order", keys, () => putAll(store, keys, (i) => keyOf((i * 7919) % keys)));
  printMemory(`with ${keys} keys`);
  await measure("put, known keys", 200_000, () => putAll(store, 200_000, () => keyOf(random.below(keys))));
  await measure("get, random", 300_000, () => {
    for (let i = 0; i < 300_000; i++) store.get(keyOf(random.below(keys)));
  });
  await measure("range of 500", 400, () => {
    for (let i = 0; i < 400; i++) {
      const key = keyOf(random.below(keys));
      store.range(rangeRequest(key, { rangeEnd: Buffer.from("/registry/pods/ns-z"), limit: 500 }));
    }
  });
  await watchBench(store);
  await measure("compact", 200_000, () => store.compact(store.revision));
  await store.close();
  await measure("open", keys, async () => {
    store = await openStore({ backend: openLmdbBackend({ directory }) });
  });
  printMemory("after opening");
  await store.close();
}

/** Ten thousand watchers of single keys and a hundred of everything. */
async function watchBench(store: Store): Promise<void> {
  const hub = createWatchHub({ store });
  let delivered = 0;
  const stream = hub.openStream({
    offer: () => {
      delivered++;
      return true;
    },
  });
  const watch = (key: Buffer, rangeEnd: Buffer): void => {
    stream.create(watchCreateRequest(key, { rangeEnd }));
  };
  for (let i = 0; i < 10_000; i++) watch(keyOf(i), Buffer.alloc(0));
  for (let i = 0; i < 100; i++) watch(Buffer.from([0]), Buffer.from([0]));
  await measure("put with 10,100 watchers", 100_000, () => putAll(store, 100_000, () => keyOf(random.below(keys))));
  console.log(`  ${delivered} batches delivered`);
  hub.close();
}

try {
  await main();
} finally {
  rmSync(directory, { recursive: true, force: true });
}
