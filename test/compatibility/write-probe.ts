/** A client that writes one key again and again, and how long its writes took: how a member's work affects others. */
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { encodePutRequest } from "../../src/raft-agent/api/put.ts";

export type WriteTimes = {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
};

const pauseMs = 10;

/** Writes for as long as `work` takes. A write that fails ends it. */
export async function writeWhile<Result>(url: string, work: () => Promise<Result>): Promise<[Result, WriteTimes]> {
  const client = connect({ endpoints: [url] });
  const flags = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  const request = encodePutRequest({ key: Buffer.from("write-probe"), value: Buffer.from("x"), ...flags });
  const tookMs: number[] = [];
  let over = false;
  const writing = (async () => {
    while (!over) {
      const startMs = performance.now();
      await client.unary("/etcdserverpb.KV/Put", request, { timeoutMs: 60_000 });
      tookMs.push(performance.now() - startMs);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  })();
  try {
    const result = await work();
    over = true;
    await writing;
    return [result, summary(tookMs)];
  } finally {
    over = true;
    await writing.catch(() => undefined);
    await client.close();
  }
}

function summary(tookMs: readonly number[]): WriteTimes {
  const sorted = tookMs.toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}
