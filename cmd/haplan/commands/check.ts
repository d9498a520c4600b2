/** `haplan check [SPEC]`: what hosts lack, before anything is changed on them. */
import { checkRequest } from "../../../src/apply/check-request.ts";
import { spareRequest, sparesOf, withSpareReport, withSparesAsMasters } from "../../../src/apply/check-spares.ts";
import { resolveKnownAddresses } from "../../../src/plan/known-addresses.ts";
import type { CheckReport } from "../../../src/providers/provider.ts";
import { checkingHosts } from "../checking-hosts.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { locateInSpec } from "../locate-in-spec.ts";
import { openCluster } from "../open-cluster.ts";
import { RefusalError } from "../refusal.ts";
import { type Session, sessionFor, sessionState } from "../session.ts";
import { checkLines, checkSentence, renderCheckedHosts } from "../views/check-view.ts";

export async function runCheck(context: CliContext, specArgument: string | undefined): Promise<ExitCode> {
  const { terminal, reporter } = context;
  const session = await openCluster(context, { spec: specArgument });
  const found = await checkSession(context, session);
  const report = { ...found, diagnostics: locateInSpec(context, session, found.diagnostics) };
  for (const line of checkLines(report)) reporter.event(line);
  if (!reporter.json && report.hosts.length > 0) terminal.print(renderCheckedHosts(report.hosts, terminal.paint));
  const errors = report.diagnostics.filter(({ severity }) => severity === "error");
  reporter.warn(report.diagnostics.filter(({ severity }) => severity === "warning"));
  if (errors.length > 0) throw new RefusalError(errors);
  if (!reporter.json)
    terminal.print(`\n${terminal.paint.bold(terminal.paint.green("Success!"))} ${checkSentence(report)}`);
  return 0;
}

async function checkSession(context: CliContext, session: Session): Promise<CheckReport> {
  const state = await sessionState(context, session);
  const spec = resolveKnownAddresses(session.spec, state?.resources ?? []);
  const { model } = session.provider;
  const request = checkRequest(spec, state, model);
  if (sparesOf(spec).length === 0)
    return await checkingHosts(context, (signal) => session.provider.check(request, signal));
  const all = withSparesAsMasters(spec);
  const { provider } = await sessionFor(context, { ...session, spec: all });
  const spareHosts = spareRequest(checkRequest(all, state, model), spec);
  return await checkingHosts(context, async (signal) => {
    const report = await session.provider.check(request, signal);
    return withSpareReport(report, await provider.check(spareHosts, signal), spec);
  });
}
