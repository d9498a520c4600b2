/** What workers report through the load balancer: reading it tells whether the control plane is usable from there. */
import { prefixEnd } from "../etcd-client/etcd-client.ts";
import { decodeKeyValue } from "../raft-agent/api/key-value.ts";
import type { MembersRequest } from "./control-plane.ts";
import { openMembers } from "./open-members.ts";

const workersPrefix = "/haplan/workers/";

/** Written under a lease of a few seconds: a report that is there is recent. */
export type WorkerReport = {
  readonly name: string;
  /** The load balancer, as the worker was told. */
  readonly endpoint: string;
  /** ISO 8601, by the worker's clock. */
  readonly lastSuccessAt: string;
  /** How long its last linearizable read through the endpoint took. */
  readonly readLatencyMs: number;
  readonly pid: number;
};

/** Asks the given endpoints in turn. @throws what the last one said when none answers within `timeoutMs`. */
export async function readWorkerReports(request: MembersRequest, timeoutMs: number): Promise<readonly WorkerReport[]> {
  const members = openMembers(request);
  try {
    const { kvs } = await members.pool.firstAnswer(
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

/** Null for what no worker of this version writes. */
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
