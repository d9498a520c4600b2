/** `haplan ui [SPEC | PLAN]`: a page in the browser that shows a cluster as it changes. It only reads. */
import { errorText, systemErrorCode } from "../../../src/base/haplan-error.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { parseDuration } from "../duration.ts";
import { openCluster } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";
import { isPlanFile, readPlanFile, type SavedPlan } from "../saved-plan.ts";
import { type Session, sessionFor } from "../session.ts";
import { EventStream } from "../ui/event-stream.ts";
import { followCluster } from "../ui/follow-cluster.ts";
import { itemToJson, statusForPage } from "../ui/page-data.ts";
import { readPageFiles } from "../ui/page-files.ts";
import { PagePlan, planForPage } from "../ui/page-plan.ts";
import { openPageServer, type PageServer } from "../ui/page-server.ts";
import { itemOfEvent, itemsOfChanges, PageTimeline, type TimelineItem } from "../ui/page-timeline.ts";

export type UiFlags = { readonly port: string; readonly interval: string; readonly stateOnly?: string };

/** Each look asks every host. */
const intervalMsMin = 200;
/** How far back the timeline goes. */
const timelineMs = 7 * 86_400_000;

export async function runUi(context: CliContext, argument: string | undefined, flags: UiFlags): Promise<ExitCode> {
  const port = parsePort(flags.port);
  const intervalMs = parseInterval(flags.interval);
  const saved = argument === undefined || !isPlanFile(context, argument) ? null : await readPlanFile(context, argument);
  const session =
    saved === null
      ? await openCluster(context, { spec: argument, stateOnly: flags.stateOnly })
      : await sessionOfPlan(context, saved);
  return context.stop.untilStopped(async (signal): Promise<ExitCode> => {
    await servePage(context, session, { port, intervalMs, signal, saved: { file: saved, path: argument ?? null } });
    return 0;
  });
}

type Shown = {
  readonly port: number;
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  readonly saved: { readonly file: SavedPlan | null; readonly path: string | null };
};

async function servePage(context: CliContext, opened: Session, shown: Shown): Promise<void> {
  const { port, intervalMs, signal, saved } = shown;
  let session = opened;
  let status: object | null = null;
  let trouble: string | null = null;
  const timeline = new PageTimeline();
  const plan = new PagePlan(context, () => session);
  const savedPlan = saved.file === null ? null : planForPage(saved.file.plan, null, saved.path);
  const timelineDocument = (): object => ({ items: timeline.items.map(itemToJson) });
  const stream = new EventStream(() => [
    ["hello", { cluster: opened.spec.name, saved_plan: saved.file === null ? null : saved.path }],
    ["timeline", timelineDocument()],
    ...(status === null ? [] : [["status", status] as const]),
    ["trouble", { text: trouble }],
  ]);
  const addItems = (items: readonly TimelineItem[]): void => {
    const added = timeline.add(items);
    if (added.length > 0) stream.send("timeline", { items: added.map(itemToJson) });
  };
  const server = await open(port, {
    stream,
    documents: new Map<string, () => object | Promise<object>>([
      ["status.json", () => status ?? {}],
      ["timeline.json", timelineDocument],
      ["plan.json", () => plan.compute()],
      ...(savedPlan === null ? [] : [["saved-plan.json", () => savedPlan] as const]),
    ]),
  });
  const { terminal } = context;
  terminal.print(`Cluster ${opened.spec.name} is shown at:\n    ${server.url}`);
  terminal.printError(
    "The page only reads. The URL has a token: anyone on this machine who knows it sees the cluster.",
  );
  try {
    await followCluster(context, opened, {
      intervalMs,
      signal,
      sinceMs: context.clock.now() - timelineMs,
      onStatus: (watched) => {
        session = watched.session;
        status = statusForPage(context, watched);
        trouble = null;
        stream.send("status", status);
        addItems(itemsOfChanges(watched.timeMs, watched.changes));
      },
      onEvent: (event) => addItems([itemOfEvent(event)]),
      onTrouble: (text) => {
        trouble = text;
        stream.send("trouble", { text });
      },
    });
  } finally {
    await server.close();
  }
}

/** @throws RefusalError if the port cannot be used */
async function open(
  port: number,
  parts: { readonly stream: EventStream; readonly documents: ReadonlyMap<string, () => object | Promise<object>> },
): Promise<PageServer> {
  try {
    return await openPageServer({ port, files: readPageFiles(), ...parts });
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== "EADDRINUSE" && code !== "EACCES") throw error;
    throw refuse(
      "ui/port",
      `Port ${port} of this machine cannot be used`,
      `${errorText(error)}\nChoose another one, or omit -port.`,
    );
  }
}

function sessionOfPlan(context: CliContext, { plan, specPath }: SavedPlan): Promise<Session> {
  return sessionFor(context, { spec: plan.spec, specPath, specDigest: plan.binding.specDigest });
}

/** @throws RefusalError */
function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw refuse(
    "ui/bad-port",
    `-port=${text} is not a port`,
    "Write a number from 1 to 65535, or omit it: any free port.",
  );
}

/** @throws RefusalError */
function parseInterval(text: string): number {
  const ms = parseDuration("-interval", text);
  if (ms >= intervalMsMin) return ms;
  throw refuse(
    "cli/short-interval",
    `-interval=${text} is too short`,
    `Each look asks every member and host. Write at least ${intervalMsMin}ms.`,
  );
}
