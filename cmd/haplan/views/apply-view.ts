/**
 * The events of apply as text. A line when a step starts and one when it ends; below them, on a terminal, the current
 * status (live-status.ts), repainted twice a second; elsewhere a line every ten seconds.
 */
import type { ApplyEvent, ApplySummary, WriteAvailability } from "../../../src/apply/apply-event.ts";
import { outcomeOf } from "../../../src/apply/write-availability.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import type { Step } from "../../../src/plan/step.ts";
import type { Terminal } from "../terminal.ts";
import { type LiveQuorum, liveStatus, type RunningStep, seconds } from "./live-status.ts";

export type ApplyView = { show(event: ApplyEvent): void; close(): void };

const lineIntervalMs = 10_000;

/** State of the view between events. */
type Progress = {
  readonly terminal: Terminal;
  readonly mode: Plan["mode"];
  readonly nowMs: () => number;
  readonly running: Map<string, RunningStep>;
  /** Number of each step, by id, counted from 1. */
  numbers: ReadonlyMap<string, number>;
  /** Title of each step, by id. */
  titles: ReadonlyMap<string, string>;
  /** Undefined until it is reported. */
  available: Extract<ApplyEvent, { kind: "writeAvailability" }> | undefined;
  done: number;
  readonly startedMs: number;
  /** What is shown until the first step, and since when; `said` once it is a line. Null if it is over. */
  preparing: { readonly text: string; readonly sinceMs: number; said: boolean } | null;
  quorum: LiveQuorum | null;
};

/** `nowMs` is a monotonic clock; on a terminal the status is repainted every half second. */
export function createApplyView(terminal: Terminal, mode: Plan["mode"], nowMs: () => number): ApplyView {
  const progress: Progress = {
    terminal,
    mode,
    nowMs,
    running: new Map(),
    numbers: new Map(),
    titles: new Map(),
    available: undefined,
    done: 0,
    startedMs: nowMs(),
    preparing: null,
    quorum: null,
  };
  const timer = setInterval(() => showRunning(progress), 500);
  timer.unref();
  return {
    show: (event) => {
      showEvent(progress, event);
      showRunning(progress);
    },
    close: () => {
      clearInterval(timer);
      terminal.showStatus([]);
      showAvailability(progress);
    },
  };
}

function showRunning(progress: Progress): void {
  const { running, terminal, nowMs, numbers, done, startedMs, quorum, preparing } = progress;
  if (preparing !== null) showPreparing(progress, preparing);
  if (preparing !== null || !terminal.live) return;
  const state = { running: [...running.values()], nowMs: nowMs(), steps: numbers.size, done, startedMs, quorum };
  terminal.showStatus(running.size === 0 ? [] : liveStatus(state, terminal.paint));
}

/** Where there are no status lines, it is said once it takes long. */
function showPreparing({ terminal, nowMs }: Progress, preparing: NonNullable<Progress["preparing"]>): void {
  if (terminal.live) terminal.showStatus([`${preparing.text}...`]);
  else if (!preparing.said && nowMs() - preparing.sinceMs >= lineIntervalMs) {
    preparing.said = true;
    terminal.print(`${preparing.text}...`);
  }
}

function showEvent(progress: Progress, event: ApplyEvent): void {
  progress.preparing = null;
  switch (event.kind) {
    case "preparing":
      progress.preparing = { text: preparingSentence(event), sinceMs: progress.nowMs(), said: false };
      break;
    case "planned":
      showPlanned(progress, event);
      break;
    case "stepStarted":
      progress.running.set(event.step.id, { step: event.step, startedMs: progress.nowMs(), detail: null, reports: 0 });
      say(progress, event.step, "...");
      break;
    case "stepProgress":
      showProgress(progress, event);
      break;
    case "stepCompleted":
    case "stepFailed":
      showEnd(progress, event);
      break;
    case "quorumGate":
      progress.quorum = { voters: event.voters, healthyVoters: event.healthyVoters, canLose: event.canLose };
      if (!event.open) say(progress, event.step, `${progress.terminal.paint.red("waiting")}, ${event.reason}`);
      break;
    case "membershipChange":
      // A leader that moves changes no voter.
      if (event.step.action.kind !== "moveLeader") say(progress, event.step, `voters are now ${membership(event)}`);
      break;
    case "stepWarning":
      say(progress, event.step, `${progress.terminal.paint.yellow("warning")}, ${event.message}`);
      break;
    case "writeGapSpent":
      showGapSpent(progress, event);
      break;
    case "writeAvailability":
      progress.available = event;
      break;
    case "applied":
      showSummary(progress, event.summary);
      break;
  }
}

/** Without its final stop. */
export function preparingSentence({ machines }: { readonly machines: readonly string[] }): string {
  return `Bringing haplan's programs to ${machines.join(", ")}`;
}

function showGapSpent({ terminal, numbers }: Progress, event: Extract<ApplyEvent, { kind: "writeGapSpent" }>): void {
  const running = event.running.map(({ id }) => numbers.get(id)).join(", ");
  const during = running === "" ? "" : `, during step ${running}`;
  terminal.print(terminal.paint.red(`${gapSpentSentence(event)}${during}. No further step begins.`));
}

/** Without its final stop. */
export function gapSpentSentence({ budgetMs, gapMs }: { readonly budgetMs: number; readonly gapMs: number }): string {
  if (!Number.isFinite(gapMs)) return "The write gaps cannot be measured any longer";
  return `The budget for write gaps is spent: a client has waited ${milliseconds(gapMs)}, and ${milliseconds(budgetMs)} are allowed`;
}

function showPlanned(progress: Progress, { steps, alreadyDone }: Extract<ApplyEvent, { kind: "planned" }>): void {
  progress.numbers = new Map(steps.map((step, index) => [step.id, index + 1]));
  progress.titles = new Map(steps.map(({ id, title }) => [id, title]));
  progress.done = alreadyDone.length;
  if (alreadyDone.length === 0) return;
  progress.terminal.print(
    `Resuming an interrupted apply: ${alreadyDone.length} of ${steps.length} steps are already complete.`,
  );
}

function showEnd(progress: Progress, event: Extract<ApplyEvent, { kind: "stepCompleted" | "stepFailed" }>): void {
  const { paint } = progress.terminal;
  progress.running.delete(event.step.id);
  if (event.kind === "stepFailed") {
    const how = event.code === "apply/interrupted" ? paint.yellow("interrupted") : paint.red("failed");
    say(progress, event.step, `${how} after ${seconds(event.elapsedMs)}`);
    return;
  }
  progress.done += 1;
  const how = event.adopted ? "already exists, adopted" : "done";
  // Fingerprints are long, and their first digits distinguish them.
  const id = event.id === null ? "" : ` [${event.id.length > 20 ? event.id.slice(0, 12) : event.id}]`;
  say(progress, event.step, `${paint.green(how)} after ${seconds(event.elapsedMs)}${id}`);
}

function say({ numbers, terminal }: Progress, step: Step, text: string): void {
  const number = String(numbers.get(step.id) ?? 0).padStart(String(numbers.size).length);
  const separator = text === "..." ? " " : ": ";
  terminal.print(`${terminal.paint.dim(`[${number}/${numbers.size}]`)} ${step.title}${separator}${text}`);
}

/** A line every ten seconds shows that the step is still running. */
function showProgress(progress: Progress, event: Extract<ApplyEvent, { kind: "stepProgress" }>): void {
  const entry = progress.running.get(event.step.id);
  if (entry === undefined) return;
  entry.detail = event.detail;
  if (progress.terminal.live) return;
  if (event.elapsedMs < (entry.reports + 1) * lineIntervalMs) return;
  entry.reports = Math.floor(event.elapsedMs / lineIntervalMs);
  const waiting = event.detail === null ? "" : `, ${event.detail}`;
  say(progress, event.step, `Still going... [${seconds(event.elapsedMs)} elapsed]${waiting}`);
}

function showSummary({ terminal, mode }: Progress, summary: ApplySummary): void {
  const { paint } = terminal;
  const { degraded } = summary;
  terminal.print("");
  terminal.print(paint.bold(paint.green(summarySentence(mode, summary))));
  if (degraded.length > 0) {
    terminal.print(paint.yellow(`Degraded: ${degraded.join(", ")}. Run haplan apply again.`));
  }
}

/** Also if apply ends before its summary. */
function showAvailability({ terminal, available, titles }: Progress): void {
  if (available === undefined) return;
  const { availability, budgetSpent } = available;
  terminal.print(writesSentence(availability, budgetSpent));
  for (const line of gapLines(availability, titles)) terminal.print(line);
}

/** Waits below are those of any write on a busy machine. */
const gapShownMs = 250;

/** Where the time went, if some of it did. */
function gapLines(available: WriteAvailability | null, titles: ReadonlyMap<string, string>): readonly string[] {
  const shown = (available?.steps ?? []).filter(({ longestGapMs }) => longestGapMs >= gapShownMs).slice(0, 5);
  if (shown.length === 0) return [];
  const named = shown.map(
    ({ id, longestGapMs }) => `  ${milliseconds(longestGapMs).padStart(6)}  ${titles.get(id) ?? id}`,
  );
  return ["Longest waits by step:", ...named];
}

function membership(event: Extract<ApplyEvent, { kind: "membershipChange" }>): string {
  const joint = event.votersOutgoing.length > 0 ? ` (leaving: ${event.votersOutgoing.join(", ")})` : "";
  const learners = event.learners.length > 0 ? `, learners ${event.learners.join(", ")}` : "";
  return `${event.voters.join(", ")}${joint}${learners}`;
}

/** Terraform's last line. */
export function summarySentence(mode: Plan["mode"], { imported, added, changed, destroyed }: ApplySummary): string {
  if (mode === "destroy") return `Destroy complete! Resources: ${destroyed} destroyed.`;
  const taken = imported === 0 ? "" : `${imported} imported, `;
  return `Apply complete! Resources: ${taken}${added} added, ${changed} changed, ${destroyed} destroyed.`;
}

/** Write availability during apply, in one sentence. */
export function writesSentence(availability: WriteAvailability | null, budgetSpent: boolean): string {
  if (availability === null) return "Write availability was not measured.";
  const { attempts, failed, firstFailure, longestGapMs, unavailableMs, measuredMs } = availability;
  const probes = `${attempts} ${attempts === 1 ? "probe" : "probes"}`;
  const because = firstFailure === null ? "" : ` The first error was: ${firstFailure}`;
  if (failed === attempts) return `No write succeeded in all of ${milliseconds(measuredMs)} (${probes}).${because}`;
  const gap = `longest gap ${milliseconds(longestGapMs)}`;
  switch (outcomeOf(availability, budgetSpent)) {
    case "available":
      return `Writes were available all the time (${probes}, ${gap}).`;
    case "delayed":
      return `No write failed, but the longest wait was ${milliseconds(longestGapMs)} (${probes}).`;
    case "unavailable":
      return `Writes were unavailable for ${milliseconds(unavailableMs)} (${failed} of ${probes} failed, ${gap}).${because}`;
  }
}

export function milliseconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : seconds(ms);
}
