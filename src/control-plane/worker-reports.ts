/** Reports of workers through the load balancer: they show whether the control plane can be used from there. */
import { prefixEnd } from "../etcd-client/etcd-client.ts";
import { decodeKeyValue } from "../raft-agent/api/key-value.ts";
import type { MembersRequest } from "./control-plane.ts";
import { openMembers } from "./open-members.ts";

const workersPrefix = "/haplan/workers/";

/** Written under a lease of a few seconds: an existing report is recent. */
export type WorkerReport = {
  readonly name: string;
  /** The load balancer, as configured in the worker. */
  readonly endpoint: string;
  /** ISO 8601, by the worker's clock. */
  readonly lastSuccessAt: string;
  /** Duration of its last linearizable read through the endpoint. */
  readonly readLatencyMs: number;
  readonly pid: number;
};

/** Calls the given endpoints in turn. @throws the last error if none answers within `timeoutMs`. */
export async function readWorkerReports(request: MembersRequest, timeoutMs: number): Promise<readonly WorkerReport[]> {
  const members = openMembers(request);
  try {
    const { kvs } = await members.pool.tryEach(
      (client) => client.range(workersPrefix, { rangeEnd: prefixEnd(workersPrefix), serializable: true }),
      timeoutMs,
    );
    return kvs
      .map((pair) => parseReport(Buffer.from(decodeKeyValue(pair).value).toString()))
      .filter((report) => report !== null);
  } finally {
    members.close();
  }
}

/** Null for values that no worker of this version writes. */
function parseReport(text: string): WorkerReport | null {
  try {
    const report: unknown = JSON.parse(text);
    if (typeof report !== "object" || report === null) return null;
    const { name, endpoint, lastSuccessAt, readLatencyMs, pid } = report as { readonly [field: string]: unknown };
    if (typeof name !== "string" || typeof endpoint !== "string" || typeof lastSuccessAt !== "string") return null;
    if (typeof readLatencyMs !== "number" || typeof pid !== "number") return null;
    return { name, endpoint, lastSuccessAt, readLatencyMs, pid };
  } catch {
    return null;
  }
}
