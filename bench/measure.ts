/** One row on one system: runs its load and measures throughput, latency and cost. */
import { setTimeout as sleep } from "node:timers/promises";
import type { BenchCluster } from "./bench-cluster.ts";
import { LatencyHistogram } from "./latency-histogram.ts";
import { runLoad, splitEndpoint } from "./load-client.ts";
import { cpuMicros, machineBusyMicros, residentBytes } from "./process-usage.ts";
import { WatchConnection } from "./watch-connection.ts";
import type { Workload } from "./workloads.ts";

export type Measured = {
  /** Calls, or events where there are watchers. */
  readonly perSecond: number;
  /** Of calls, or from the call to the watcher. */
  readonly p50Us: number;
  readonly p99Us: number;
  readonly failed: number;
  /** CPU of all members together, per call or event. */
  readonly serverCpuUs: number;
  readonly clientCpuUs: number;
  /** The largest member's resident memory at the end. */
  readonly residentMb: number;
  /** Processors kept busy by other processes of this machine meanwhile: a measure of the figures' reliability. */
  readonly otherCpus: number;
};

type Usage = { readonly serverUs: number; readonly clientUs: number; readonly busyUs: number; readonly events: number };

const watchConnections = 10;

export async function measure(
  cluster: BenchCluster,
  workload: Workload,
  times: { readonly warmupMs: number; readonly durationMs: number },
): Promise<Measured> {
  const endpoints = workload.target === "leader" ? [cluster.leaderEndpoint] : cluster.endpoints;
  const watch = workload.watchers === undefined ? null : await openWatchers(cluster, workload.watchers);
  const usage: Usage[] = [];
  let startedMs = 0;
  let seconds = 0;
  try {
    const { calls, connections, clients: streams } = workload;
    const result = await runLoad({ endpoints, calls, connections, streams, ...times }, async (edge) => {
      usage.push(takeUsage(cluster, watch));
      if (edge === "open") {
        watch?.delay.clear();
        startedMs = performance.now();
      } else seconds = (performance.now() - startedMs) / 1000;
    });
    const [before, after] = [usage[0]!, usage[1]!];
    const operations = watch === null ? result.requests : after.events - before.events;
    const serverUs = after.serverUs - before.serverUs;
    const clientUs = after.clientUs - before.clientUs;
    return {
      perSecond: watch === null ? result.perSecond : operations / seconds,
      p50Us: watch === null ? result.latencyUs.p50 : watch.delay.quantile(0.5),
      p99Us: watch === null ? result.latencyUs.p99 : watch.delay.quantile(0.99),
      failed: result.failed + (watch?.connections.filter(({ failed }) => failed).length ?? 0),
      serverCpuUs: serverUs / Math.max(1, operations),
      clientCpuUs: clientUs / Math.max(1, operations),
      residentMb: Math.max(...cluster.pids.map(residentBytes)) / 2 ** 20,
      otherCpus: Math.max(0, after.busyUs - before.busyUs - serverUs - clientUs) / 1e6 / seconds,
    };
  } finally {
    for (const connection of watch?.connections ?? []) connection.close();
  }
}

type Watchers = { readonly connections: readonly WatchConnection[]; readonly delay: LatencyHistogram };

async function openWatchers(cluster: BenchCluster, count: number): Promise<Watchers> {
  const delay = new LatencyHistogram();
  const [host, port] = splitEndpoint(cluster.leaderEndpoint);
  const connections = Array.from(
    { length: watchConnections },
    () => new WatchConnection({ host, port, watchers: count / watchConnections, delay }),
  );
  const deadlineMs = performance.now() + 5_000;
  while (connections.reduce((sum, { created }) => sum + created, 0) < count) {
    if (performance.now() > deadlineMs) throw new Error(`${cluster.system} did not open ${count} watches`);
    await sleep(20);
  }
  return { connections, delay };
}

function takeUsage(cluster: BenchCluster, watch: Watchers | null): Usage {
  const { user, system } = process.cpuUsage();
  return {
    serverUs: cluster.pids.reduce((sum, pid) => sum + cpuMicros(pid), 0),
    clientUs: user + system,
    busyUs: machineBusyMicros(),
    events: watch?.connections.reduce((sum, { events }) => sum + events, 0) ?? 0,
  };
}
