/** `haplan status [SPEC]`: how the cluster is doing right now. */
import { parseStatus, statusFileName } from "../../../src/load-balancer/load-balancer-status.ts";
import { appliedEndpoint } from "../../../src/plan/applied-addresses.ts";
import { clusterEndpoint } from "../../../src/units/addresses.ts";
import { loadBalancerName } from "../../../src/units/load-balancer-unit.ts";
import { loadBalancerUnitName } from "../../../src/units/unit-definition.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { clusterStatus, type StatusFacts, statusExitCode } from "../cluster-status.ts";
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
  const [observed, loadBalancer, reporting] = await Promise.all([
    observeSession(context, session, state),
    askLoadBalancer(context, session),
    askWorkers(session, appliedEndpoint(state) ?? clusterEndpoint(session.spec)),
  ]);
  const status = clusterStatus({
    spec: session.spec,
    state,
    observed,
    loadBalancer,
    reporting,
    nowMs: context.clock.now(),
  });
  const applyLine = context.invocation.line(["apply"]);
  terminal.print(
    flags.json ? JSON.stringify(statusToJson(status), null, 2) : renderStatus(status, terminal.paint, applyLine),
  );
  const untold = observed.problems.filter((problem) => !problem.notAuthenticated);
  for (const { subject, message } of untold) terminal.printError(`Not known (${subject}): ${message}`);
  const code = statusExitCode(status);
  return code === 2 && !flags.detailedExitcode ? 0 : code;
}

async function askLoadBalancer(context: CliContext, session: Session): Promise<StatusFacts["loadBalancer"]> {
  const text = await session.provider.readUnitFile(loadBalancerName, loadBalancerUnitName, statusFileName);
  return text === null ? null : parseStatus(text, context.clock.now());
}

/** Which workers hold a live lease, asked the way a worker would ask: through the load balancer. */
async function askWorkers(session: Session, endpoint: string): Promise<StatusFacts["reporting"]> {
  const { spec } = session;
  if (spec.workers.length === 0) return new Set();
  const tls = await clientMaterial(session);
  if (tls === null && spec.controlPlane.tls.enabled) return null;
  try {
    const request = { endpoints: [endpoint], tls };
    const reports = await session.rooms.readWorkerReports(request, questionTimeoutMs);
    return new Set(reports.map(({ name }) => name));
  } catch {
    return null;
  }
}
