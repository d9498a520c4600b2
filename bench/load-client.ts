/**
 * Closed-loop load: a number of unary calls in flight over a number of connections, for a given time, and the results.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LatencyHistogram } from "./latency-histogram.ts";
import { type LoadCall, LoadConnection } from "./load-connection.ts";

export type LoadOptions = {
  /** `host:port` of the servers; connections are assigned round-robin. Plaintext HTTP/2. */
  readonly endpoints: readonly string[];
  /** Every connection sends these in turn, repeatedly. */
  readonly calls: readonly LoadCall[];
  readonly connections: number;
  /** Calls in flight, over all connections; at least one for each. */
  readonly streams: number;
  readonly warmupMs: number;
  readonly durationMs: number;
};

export type LoadResult = {
  readonly requests: number;
  readonly failed: number;
  readonly perSecond: number;
  readonly latencyUs: { readonly p50: number; readonly p90: number; readonly p99: number };
  /** CPU of this process in the measured window, per request: the cost of the client itself. */
  readonly clientCpuUsPerRequest: number;
};

/** Runs the load. `onWindow` is called when the measured window opens and closes, to read the servers' CPU. */
export async function runLoad(
  options: LoadOptions,
  onWindow: (edge: "open" | "close") => Promise<void> = () => Promise.resolve(),
): Promise<LoadResult> {
  const latency = new LatencyHistogram();
  const connections: LoadConnection[] = [];
  for (let i = 0; i < options.connections; i++) {
    const [host, port] = splitEndpoint(options.endpoints[i % options.endpoints.length]!);
    const streams =
      Math.floor(options.streams / options.connections) + (i < options.streams % options.connections ? 1 : 0);
    connections.push(new LoadConnection({ host, port, calls: options.calls, streams, latency }));
  }
  try {
    await sleep(options.warmupMs);
    await onWindow("open");
    const before = totals(connections);
    latency.clear();
    const cpuBefore = process.cpuUsage();
    const startedMs = performance.now();
    await sleep(options.durationMs);
    const seconds = (performance.now() - startedMs) / 1000;
    const cpu = process.cpuUsage(cpuBefore);
    const after = totals(connections);
    await onWindow("close");
    const requests = after.good - before.good;
    return {
      requests,
      failed: after.failed - before.failed,
      perSecond: requests / seconds,
      latencyUs: { p50: latency.quantile(0.5), p90: latency.quantile(0.9), p99: latency.quantile(0.99) },
      clientCpuUsPerRequest: (cpu.user + cpu.system) / Math.max(1, requests),
    };
  } finally {
    await Promise.race([
      Promise.all(connections.map((connection) => connection.stop())),
      sleep(2_000, undefined, { ref: false }),
    ]);
    for (const connection of connections) connection.close();
  }
}

function totals(connections: readonly LoadConnection[]): { good: number; failed: number } {
  let good = 0;
  let failed = 0;
  for (const connection of connections) {
    good += connection.good;
    failed += connection.failed;
  }
  return { good, failed };
}

export function splitEndpoint(endpoint: string): [host: string, port: number] {
  const colon = endpoint.lastIndexOf(":");
  const port = Number(endpoint.slice(colon + 1));
  if (colon < 1 || !Number.isInteger(port)) throw new RangeError(`Endpoint "${endpoint}" is not of the form host:port`);
  return [endpoint.slice(0, colon), port];
}
