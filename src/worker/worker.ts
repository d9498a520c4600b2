/**
 * Stands in for a worker host: it has only a client certificate and the load balancer's endpoint. Every second it reads
 * through that endpoint and writes its report under a lease. A live report proves that the control plane can be used
 * from there; a worker that cannot reach it any more loses its report with its lease.
 */
import { systemClock } from "../base/clock.ts";
import { errorText } from "../base/haplan-error.ts";
import { createRandom } from "../base/random.ts";
import type { WorkerReport } from "../control-plane/worker-reports.ts";
import type { CallChannel } from "../etcd-client/call-channel.ts";
import { EtcdClient } from "../etcd-client/etcd-client.ts";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import type { WorkerConfig } from "../units/worker-unit.ts";

export type WorkerLog = (event: string, facts: Readonly<Record<string, unknown>>) => void;

const leaseTtlSeconds = 5;
const reportIntervalMs = 1000;
/** Well below the lease's TTL: a call that hangs must leave time for another try. */
const callTimeoutMs = 1500;
const backoff = { firstMs: 100, maxMs: 2000 };

/** Reports until `stop` is aborted, then deletes its report; never gives up and never rejects. */
export async function runWorker(
  config: WorkerConfig,
  channel: CallChannel,
  log: WorkerLog,
  stop: AbortSignal,
): Promise<void> {
  const random = createRandom(process.pid);
  const client = new EtcdClient(channel, { timeoutMs: callTimeoutMs });
  let lease: bigint | null = null;
  let failures: number | null = null;
  while (!stop.aborted) {
    let pauseMs = reportIntervalMs;
    try {
      lease = await renewedLease(client, lease);
      await report(config, client, lease);
      if (failures !== 0) log("usable", { endpoint: config.endpoint, failures: failures ?? 0 });
      failures = 0;
    } catch (error) {
      if (isLeaseGone(error)) lease = null;
      failures ??= 0;
      if (failures++ === 0) log("unusable", { endpoint: config.endpoint, error: errorText(error) });
      const backedOffMs = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(failures, 10));
      // Jitter, so that workers that lost the control plane together do not all return in the same moment.
      pauseMs = backedOffMs * (0.5 + random.next() / 2);
    }
    await systemClock.sleep(pauseMs, stop).catch(() => undefined);
  }
  if (lease !== null) {
    const onFailure = (error: unknown): void => log("revokeFailed", { error: errorText(error) });
    await client.leaseRevoke(lease).catch(onFailure);
  }
  await channel.close();
}

/** The lease, kept alive, or a new one if it has expired or there was none. */
async function renewedLease(client: EtcdClient, lease: bigint | null): Promise<bigint> {
  if (lease !== null && (await client.leaseKeepAlive(lease)).ttl > 0) return lease;
  return (await client.leaseGrant(leaseTtlSeconds)).ID;
}

async function report(config: WorkerConfig, client: EtcdClient, lease: bigint): Promise<void> {
  const startedAt = performance.now();
  await client.range(config.reportKey);
  const value: WorkerReport = {
    name: config.name,
    endpoint: config.endpoint,
    lastSuccessAt: new Date().toISOString(),
    readLatencyMs: Math.round((performance.now() - startedAt) * 10) / 10,
    pid: process.pid,
  };
  await client.put(config.reportKey, JSON.stringify(value), { lease });
}

function isLeaseGone(error: unknown): boolean {
  return error instanceof GrpcError && error.code === StatusCode.notFound;
}
