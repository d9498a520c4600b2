/** What has happened to a cluster, and what happens: one timeline from the logs of its members and the journal of applies. */
import { resourceAddress } from "../../src/plan/resource.ts";
import type { LogEvent } from "../../src/providers/log-entry.ts";
import { mergeLogs } from "../../src/providers/merge-logs.ts";
import { createJournalFile, keptJournals } from "../../src/state/journal.ts";
import { noLock } from "../../src/state/lock-holder.ts";
import { agentUnitName } from "../../src/units/unit-definition.ts";
import type { CliContext } from "./cli-context.ts";
import { journalFile } from "./cluster-files.ts";
import { clusterNodes } from "./cluster-nodes.ts";
import { type Session, sessionState } from "./session.ts";
import { eventOfLog, eventsOfJournal, type FoundEvent, type TimelineEvent, writerOfLog } from "./timeline-events.ts";

export type TimelineRequest = {
  /** Only from then on; null: everything that is still there. */
  readonly sinceMs: number | null;
  /** Also what happens from now on, until `signal` is aborted. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
  /** A log could not be read: that of this node, or the journal. */
  readonly onUnread: (name: string) => void;
};

/** With `follow`, a node that is not reached does not hold back the others for longer. */
const patienceMs = 3_000;
const journalIntervalMs = 1_000;
/** The name of the journal among the logs. */
const journalUnit = "journal";

/** The events in the order of time, each once. */
export async function* readTimeline(
  context: CliContext,
  session: Session,
  request: TimelineRequest,
): AsyncGenerator<TimelineEvent> {
  const { sinceMs, follow, signal, onUnread } = request;
  const { names } = await clusterNodes(context, session);
  const masters = names.filter((name) => session.spec.controlPlane.masters.some((master) => master.name === name));
  const logRequest = { unit: agentUnitName, lines: null, sinceMs, follow };
  const logs = [
    ...masters.map((name) => session.provider.logs(name, logRequest, signal)),
    journalLog(context, session, request),
  ];
  const onFailure = (index: number): void => {
    if (!signal.aborted) onUnread(masters[index] ?? journalUnit);
  };
  const patience = follow ? { patience: context.clock.sleep(patienceMs, signal).catch(() => undefined) } : {};
  const readLogged = (): Promise<ReadonlyMap<string, string>> => {
    const past = { unit: agentUnitName, lines: null, sinceMs, follow: false };
    return loggedNames(masters.map((name) => session.provider.logs(name, past, signal)));
  };
  const timeline = new Timeline(context, session, readLogged);
  for await (const entry of mergeLogs(logs, { onFailure, ...patience })) {
    const event = entry === "current" ? null : await timeline.next(entry);
    if (event !== null) yield event;
  }
}

/** Names of members by their ids, also of those that a restore or a replacement has ended, as their own logs have them. */
async function loggedNames(logs: readonly AsyncIterable<LogEvent>[]): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  for await (const entry of mergeLogs(logs, { onFailure: () => undefined })) {
    const id = entry === "current" ? null : writerOfLog(entry);
    if (entry !== "current" && id !== null) names.set(id, entry.machine);
  }
  return names;
}

/** Turns entries into events: each once, although every member logs it, and with names for ids. */
class Timeline {
  readonly #context: CliContext;
  readonly #session: Session;
  readonly #seen = new Set<string>();
  readonly #readLogged: () => Promise<ReadonlyMap<string, string>>;
  #names: ReadonlyMap<string, string> | null = null;
  /** Read once an id is found that the state does not have. */
  #logged: ReadonlyMap<string, string> | null = null;

  constructor(context: CliContext, session: Session, readLogged: () => Promise<ReadonlyMap<string, string>>) {
    this.#context = context;
    this.#session = session;
    this.#readLogged = readLogged;
  }

  async next(entry: Exclude<LogEvent, "current">): Promise<TimelineEvent | null> {
    if (entry.unit === journalUnit) return { timeMs: entry.timeMs, kind: "apply", member: null, text: entry.message };
    const found = await this.#named(entry);
    if (found === null || (found.key !== null && this.#seen.has(found.key))) return null;
    if (found.key !== null) this.#seen.add(found.key);
    return found.event;
  }

  /** A member may be newer than the state that was read. */
  async #named(entry: Exclude<LogEvent, "current">): Promise<FoundEvent | null> {
    this.#names ??= await this.#readNames();
    let isUnknown = false;
    const nameOf = (id: string): string => {
      const name = this.#names?.get(id) ?? this.#logged?.get(id);
      isUnknown ||= name === undefined;
      return name ?? id;
    };
    const found = eventOfLog(entry, nameOf);
    if (!isUnknown || (found?.key != null && this.#seen.has(found.key))) return found;
    this.#names = await this.#readNames();
    this.#logged ??= await this.#readLogged();
    return eventOfLog(entry, nameOf);
  }

  async #readNames(): Promise<ReadonlyMap<string, string>> {
    const state = await sessionState(this.#context, this.#session);
    const members = (state?.resources ?? []).filter(
      ({ address, name }) => address === resourceAddress("haplan_raft_member", name),
    );
    return new Map(members.map(({ name, attributes }) => [String(attributes["memberId"]), name]));
  }
}

/** The journals of the last complete apply and of the last restore or recovery, and that of what goes on or was interrupted. */
async function* journalLog(context: CliContext, session: Session, request: TimelineRequest): AsyncGenerator<LogEvent> {
  const { sinceMs, follow, signal } = request;
  const told = new Set<string>();
  for (let first = true; first || (follow && !signal.aborted); first = false) {
    const path = journalFile(session.directory);
    const kept = keptJournals(path);
    const events = [
      ...eventsOfJournal(await readJournal(context, kept.restored), true),
      ...eventsOfJournal(await readJournal(context, kept.previous), true),
      ...eventsOfJournal(await readJournal(context, path), false),
    ].toSorted((a, b) => a.timeMs - b.timeMs);
    for (const { timeMs, text } of events) {
      // Without the first word: a recovery is known as one only from its first own step on.
      const identity = `${timeMs}${text.slice(text.indexOf(" "))}`;
      if (told.has(identity) || timeMs < (sinceMs ?? 0)) continue;
      told.add(identity);
      yield { machine: "haplan", unit: journalUnit, timeMs, message: text };
    }
    if (first) yield "current";
    if (follow) await context.clock.sleep(journalIntervalMs, signal).catch(() => undefined);
  }
}

function readJournal({ clock }: CliContext, path: string): ReturnType<ReturnType<typeof createJournalFile>["read"]> {
  return createJournalFile({ path, clock, beforeWrite: () => noLock.assertHeld() }).read();
}
