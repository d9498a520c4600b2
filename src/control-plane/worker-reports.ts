/** What workers report through the load balancer: reading it tells whether the control plane is usable from there. */
import type { TlsMaterial } from "../apply/ports.ts";
import { type EtcdUser, Login, withLogin } from "./login.ts";
import { type MemberChannel, readPrefix } from "./member-calls.ts";
import { MemberPool } from "./member-pool.ts";
import { openMemberChannel } from "./open-member-channel.ts";

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
export async function readWorkerReports(
  request: {
    readonly endpoints: readonly string[];
    readonly tls: TlsMaterial | null;
    readonly user?: EtcdUser | null;
  },
  timeoutMs: number,
): Promise<readonly WorkerReport[]> {
  const { endpoints, tls, user = null } = request;
  const open = (endpoint: string): MemberChannel => openMemberChannel(endpoint, tls);
  const login = user === null ? null : new Login(new MemberPool(endpoints, open), user);
  const pool = new MemberPool(endpoints, (endpoint) =>
    login === null ? open(endpoint) : withLogin(open(endpoint), login),
  );
  try {
    const read = (channel: MemberChannel, leftMs: number) => readPrefix(channel, workersPrefix, leftMs);
    const pairs = await pool.firstAnswer(read, timeoutMs);
    return pairs.map((pair) => parseReport(pair.value)).filter((report) => report !== null);
  } finally {
    pool.close();
    login?.close();
  }
}

/** Null for what no worker of this version writes. */
function parseReport(text: string): WorkerReport | null {
  try {
    const report = JSON.parse(text) as WorkerReport;
    return typeof report.name === "string" && typeof report.lastSuccessAt === "string" ? report : null;
  } catch {
    return null;
  }
}
