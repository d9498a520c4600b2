/** Looks at a cluster and at what belongs to it, for `haplan status`. */
import { errorText } from "../../src/base/haplan-error.ts";
import { appliedEndpoint } from "../../src/plan/applied-addresses.ts";
import { resolveKnownAddresses } from "../../src/plan/known-addresses.ts";
import type { ObservedCluster } from "../../src/plan/observed-cluster.ts";
import type { State } from "../../src/plan/state.ts";
import { clusterEndpoint } from "../../src/units/addresses.ts";
import { loadBalancerName } from "../../src/units/load-balancer-unit.ts";
import type { CliContext } from "./cli-context.ts";
import { clusterStatus, type StatusInput } from "./cluster-status.ts";
import { interruptedBy, readPendingRestore } from "./pending-restore.ts";
import {
  clientMaterial,
  observeSession,
  type Session,
  type SessionOptions,
  sessionState,
  stateIfReached,
} from "./session.ts";
import type { ClusterStatus, InterruptedRestore } from "./views/status-view.ts";

const questionTimeoutMs = 3000;

/** `problems`: what could not be observed. */
export type StatusReading = {
  readonly status: ClusterStatus;
  readonly problems: ObservedCluster["problems"];
  readonly membership: ObservedCluster["membership"];
  /** Null if there is none, or it was not reached. */
  readonly state: State | null;
};

export async function readStatus(
  context: CliContext,
  session: Session,
  { withoutState = false }: SessionOptions = {},
): Promise<StatusReading> {
  const read = (): Promise<State | null> => sessionState(context, session);
  const { state, unread } = withoutState ? await stateIfReached(read) : { state: await read(), unread: null };
  const [observed, balancers, reporting, pending] = await Promise.all([
    observeSession(context, session, state),
    queryBalancers(session, context.stop.signal),
    queryWorkers(session, appliedEndpoint(state) ?? clusterEndpoint(session.spec)),
    queryRestore(context, session),
  ]);
  const spec = resolveKnownAddresses(session.spec, state?.resources ?? []);
  const { interrupted } = pending;
  const nowMs = context.clock.now();
  const status = clusterStatus({
    spec,
    state,
    stateUnread: unread,
    observed,
    balancers,
    reporting,
    interrupted,
    nowMs,
  });
  const problems = [...observed.problems.filter((problem) => !problem.notAuthenticated), ...pending.problems];
  return { status, state, membership: observed.membership, problems };
}

/** A status is shown whatever became of the files of a restore. */
async function queryRestore(
  context: CliContext,
  session: Session,
): Promise<{ readonly interrupted: InterruptedRestore | null; readonly problems: ObservedCluster["problems"] }> {
  try {
    const pending = await readPendingRestore(context, session);
    return { interrupted: pending?.phase === "begun" ? interruptedBy(pending.restore) : null, problems: [] };
  } catch (error) {
    return { interrupted: null, problems: [{ subject: "restore", message: errorText(error) }] };
  }
}

/** All at once; one that does not answer reports nothing. */
async function queryBalancers(session: Session, signal: AbortSignal): Promise<StatusInput["balancers"]> {
  const { spec, loadBalancer } = session;
  const names = spec.loadBalancer.hosts?.map(({ name }) => name) ?? [loadBalancerName];
  return await Promise.all(
    names.map(async (name) => {
      const [report, virtualAddress] = await Promise.all([
        loadBalancer.status(name, signal).catch(() => null),
        spec.loadBalancer.virtual === undefined ? null : loadBalancer.virtualAddress(name, signal).catch(() => null),
      ]);
      return { name, report, virtualAddress };
    }),
  );
}

/** Which workers hold a live lease, read as a worker would: through the load balancer. */
async function queryWorkers(session: Session, endpoint: string): Promise<StatusInput["reporting"]> {
  const { spec } = session;
  if (spec.workers.length === 0) return new Set();
  const tls = await clientMaterial(session);
  if (tls === null && spec.controlPlane.tls.enabled) return null;
  try {
    const request = { endpoints: [endpoint], tls };
    const reports = await session.dependencies.readWorkerReports(request, questionTimeoutMs);
    return new Set(reports.map(({ name }) => name));
  } catch {
    return null;
  }
}
