/** `haplan logs [NODE ...]`: the logs of the units on the nodes, as one, in the order of time. */
import { errorText, HaplanError } from "../../../src/base/haplan-error.ts";
import type { LogEntry, LogRequest } from "../../../src/providers/log-entry.ts";
import { mergeLogs } from "../../../src/providers/merge-logs.ts";
import { resumeLogs } from "../../../src/providers/resume-logs.ts";
import {
  agentUnitName,
  loadBalancerUnitName,
  relayUnitName,
  virtualAddressUnitName,
  workerUnitName,
} from "../../../src/units/unit-definition.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { clusterNodes, requireNode } from "../cluster-nodes.ts";
import { openCluster } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";
import type { Session } from "../session.ts";
import { sinceOf } from "../since.ts";
import { createLogView } from "../views/log-view.ts";

export type LogFlags = {
  readonly follow?: boolean;
  readonly since?: string;
  readonly lines?: string;
  readonly unit?: string;
  readonly spec?: string;
  readonly stateOnly?: string;
};

const defaultLines = 100;
const unitNames: readonly string[] = [
  agentUnitName,
  loadBalancerUnitName,
  virtualAddressUnitName,
  relayUnitName,
  workerUnitName,
];
/** With -follow, a node that is not reached does not hold back the others for longer. */
const patienceMs = 3_000;

export async function runLogs(context: CliContext, named: readonly string[], flags: LogFlags): Promise<ExitCode> {
  const request = requestOf(flags, context.clock.now());
  const session = await openCluster(context, { spec: flags.spec, stateOnly: flags.stateOnly });
  const nodes = await clusterNodes(context, session);
  const names = named.length === 0 ? nodes.names : [...new Set(named.map((name) => requireNode(nodes, name)))];
  return context.stop.untilStopped((signal) =>
    showLogs(context, session, { names, isNamed: named.length > 0, request, signal }),
  );
}

type Shown = {
  readonly names: readonly string[];
  /** Whether they were asked for one by one. */
  readonly isNamed: boolean;
  readonly request: LogRequest;
  readonly signal: AbortSignal;
};

async function showLogs(
  context: CliContext,
  { provider }: Session,
  { names, isNamed, request, signal }: Shown,
): Promise<ExitCode> {
  const { terminal, reporter, clock } = context;
  const view = createLogView(names, terminal.paint);
  const missing: string[] = [];
  let failures = 0;
  const onFailure = (index: number, error: unknown): void => {
    const name = names[index] ?? "";
    if (signal.aborted) return;
    if (error instanceof HaplanError && error.code === "provider/no-machine") missing.push(name);
    if (missing.includes(name) && !isNamed) return;
    failures += 1;
    const detail = errorText(error);
    reporter.warn([{ severity: "warning", code: "logs/unreadable", summary: `The log of ${name} ends here`, detail }]);
  };
  const tell = (name: string, summary: string, detail: string): void =>
    reporter.warn([{ severity: "warning", code: "logs/connection", summary: `${name}: ${summary}`, detail }]);
  const logs = names.map((name) =>
    resumeLogs({
      request,
      open: (wanted) => provider.logs(name, wanted, signal),
      clock,
      signal,
      onLost: (error) => tell(name, "its log is not reached, and is tried again", errorText(error)),
      onResumed: () => tell(name, "its log is reached again", "It goes on where it was."),
    }),
  );
  const patience = request.follow ? { patience: clock.sleep(patienceMs, signal).catch(() => undefined) } : {};
  for await (const event of mergeLogs(logs, { onFailure, ...patience })) {
    if (event === "current") continue;
    if (reporter.json) reporter.event(logLine(event));
    else terminal.print(view(event));
  }
  if (!isNamed && missing.length === names.length)
    throw refuse(
      "logs/no-machines",
      "There are no logs",
      "None of the cluster's machines exists. Apply the spec first:",
      [["apply"]],
    );
  return failures === 0 || signal.aborted ? 0 : 1;
}

function logLine({ machine, unit, timeMs, message }: LogEntry): Parameters<CliContext["reporter"]["event"]>[0] {
  return { type: "log", message, log: { node: machine, unit, time: new Date(timeMs).toISOString() } };
}

/** @throws RefusalError */
function requestOf({ follow = false, since, lines, unit }: LogFlags, nowMs: number): LogRequest {
  if (unit !== undefined && !unitNames.includes(unit))
    throw refuse("cli/bad-unit", `-unit=${unit} is no unit`, `Write one of ${unitNames.join(", ")}.`);
  const sinceMs = since === undefined ? null : sinceOf(since, nowMs);
  return { unit: unit ?? null, lines: linesOf(lines, sinceMs), sinceMs, follow };
}

/** `-since` alone asks for everything since then. */
function linesOf(text: string | undefined, sinceMs: number | null): number | null {
  if (text === undefined) return sinceMs === null ? defaultLines : null;
  if (text === "all") return null;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw refuse("cli/bad-count", `-lines ${text} is not a number of lines`, "Write a number, or all.");
}
