/** `haplan status [SPEC]`: the current status of the cluster. */
import { appliedEndpoint } from "../../../src/plan/applied-addresses.ts";
import { resolveKnownAddresses } from "../../../src/plan/known-addresses.ts";
import { clusterEndpoint } from "../../../src/units/addresses.ts";
import { loadBalancerName } from "../../../src/units/load-balancer-unit.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { clusterStatus, type StatusInput, statusExitCode } from "../cluster-status.ts";
import { openCluster } from "../open-cluster.ts";
import { clientMaterial, observeSession, type Session, sessionState } from "../session.ts";
import { renderStatus, statusToJson } from "../views/status-view.ts";

const questionTimeoutMs = 3000;

export async function runStatus(
  context: CliContext,
  specArgument: string | undefined,
  flags: { readonly json?: boolean; readonly detailedExitcode?: boolean; readonly stateOnly?: string },
): Promise<ExitCode> {
  const { terminal } = context;
  const session = await openCluster(context, { spec: specArgument, stateOnly: flags.stateOnly });
  const state = await sessionState(context, session);
  const [observed, balancers, reporting] = await Promise.all([
    observeSession(context, session, state),
    queryBalancers(session, context.stop.signal),
    queryWorkers(session, appliedEndpoint(state) ?? clusterEndpoint(session.spec)),
  ]);
  const status = clusterStatus({
    spec: resolveKnownAddresses(session.spec, state?.resources ?? []),
    state,
    observed,
    balancers,
    reporting,
    nowMs: context.clock.now(),
  });
  const applyLine = context.invocation.line(["apply"]);
  terminal.print(
    flags.json ? JSON.stringify(statusToJson(status), null, 2) : renderStatus(status, terminal.paint, applyLine),
  );
  const otherProblems = observed.problems.filter((problem) => !problem.notAuthenticated);
  for (const { subject, message } of otherProblems) terminal.printError(`Unknown (${subject}): ${message}`);
  const code = statusExitCode(status);
  return code === 2 && !flags.detailedExitcode ? 0 : code;
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
