/** Plays one trial: puts the copy back, lets clients write, applies, faults at the step, resumes until nothing is left to do. */
import { setTimeout as sleep } from "node:timers/promises";
import type { StreamLine } from "./apply-process.ts";
import type { ClusterCopy } from "./cluster-copy.ts";
import { sendSignal } from "./copy-processes.ts";
import type { PeerRelay } from "./peer-relay.ts";
import { QuorumWatch } from "./quorum-watch.ts";
import { RecordingWriters } from "./recording-writers.ts";
import type { ApplyRun, MemberFaultKind, Span, StepRun, Trial, TrialRecord } from "./rehearsal.ts";

export type TrialOptions = {
  readonly copy: ClusterCopy;
  readonly relay: PeerRelay;
  readonly trial: Trial;
  /** The command that makes the plan and applies it: `apply`, or `certs rotate -ca`. */
  readonly command: readonly string[];
  readonly signal: AbortSignal;
};

const resumesMax = 6;
const betweenAppliesMs = 500;
/** A member that is paused or cut off misses this many election timeouts. */
const missedElections = 3;
const faultMinMs = 2_000;
/** How long a member may take to have every write in the end. */
const catchUpMs = 5_000;

export async function playTrial(options: TrialOptions): Promise<TrialRecord> {
  await options.copy.reset();
  const stage = new TrialStage(options);
  try {
    return await stage.play();
  } finally {
    await stage.end();
  }
}

/** A step in a line of haplan's stream. */
type StreamStep = { readonly id: string; readonly title: string; readonly action: StepRun["kind"] };

class TrialStage {
  readonly #options: TrialOptions;
  readonly #startedMs = performance.now();
  readonly #writers: RecordingWriters;
  readonly #watch: QuorumWatch;
  readonly #runs: ApplyRun[] = [];
  readonly #steps: StepRun[] = [];
  readonly #running = new Map<string, Omit<StepRun, "untilMs">>();
  #faulted: string | null = null;
  #fault: Span | null = null;
  #healing: Promise<void> = Promise.resolve();
  #killApply: () => void = () => undefined;

  constructor(options: TrialOptions) {
    this.#options = options;
    const { copy } = options;
    const nowMs = (): number => this.#nowMs();
    this.#writers = new RecordingWriters({
      prefix: `/haplan-rehearsal/trial/`,
      open: () => copy.open(copy.cluster.endpoints, 2_000),
      nowMs,
    });
    this.#watch = new QuorumWatch(copy.cluster.memberUrls, {
      isFaulted: (name) => this.#faulted === name,
      open: (url) => copy.open([url], 1_000),
      nowMs,
    });
  }

  async play(): Promise<TrialRecord> {
    const { command, signal } = this.#options;
    let last = await this.#apply(command);
    await this.#healing;
    let resumes = 0;
    let converged = false;
    while (!signal.aborted) {
      converged = last === 0 && (await this.#isDone());
      if (converged || resumes >= resumesMax) break;
      await sleep(betweenAppliesMs);
      resumes += 1;
      // What was completed is not begun again; a plain apply repairs what a fault has left.
      last = await this.#apply(last === 0 ? plainApply : command);
    }
    await this.#writers.stop();
    const lost = await this.#lostWrites();
    const withoutQuorum = await this.#watch.stop();
    const { acknowledged, failed, longestGapMs, gaps } = this.#writers;
    return {
      elapsedMs: Math.round(this.#nowMs()),
      runs: this.#runs,
      steps: this.#steps,
      fault: this.#fault,
      gaps,
      withoutQuorum,
      writes: { acknowledged, failed, lost },
      longestGapMs: Math.round(longestGapMs),
      converged,
      resumes,
    };
  }

  async end(): Promise<void> {
    this.#killApply();
    await Promise.all([this.#writers.stop(), this.#watch.stop()]);
  }

  #nowMs(): number {
    return Math.round(performance.now() - this.#startedMs);
  }

  /** @returns its exit code; null if it was killed */
  async #apply(command: readonly string[]): Promise<number | null> {
    const fromMs = this.#nowMs();
    const run = this.#options.copy.apply([...command, "-auto-approve", "-json"], (line) => this.#follow(line));
    this.#killApply = run.kill;
    const stop = (): void => run.kill();
    this.#options.signal.addEventListener("abort", stop, { once: true });
    const { exitCode, error } = await run.end;
    this.#options.signal.removeEventListener("abort", stop);
    for (const id of this.#running.keys()) this.#endStep(id);
    this.#runs.push({ fromMs, untilMs: this.#nowMs(), exitCode, error });
    return exitCode;
  }

  #follow(line: StreamLine): void {
    const step = line["step"] as StreamStep | undefined;
    if (step === undefined) return;
    if (line.type === "step_start") {
      this.#running.set(step.id, { id: step.id, title: step.title, kind: step.action, fromMs: this.#nowMs() });
      if (this.#options.trial?.step.id === step.id && this.#fault === null) this.#injectFault();
    } else if (line.type === "step_complete" || line.type === "step_errored") this.#endStep(step.id);
  }

  #endStep(id: string): void {
    const running = this.#running.get(id);
    if (running === undefined) return;
    this.#running.delete(id);
    this.#steps.push({ ...running, untilMs: this.#nowMs() });
  }

  #injectFault(): void {
    const fault = this.#options.trial?.fault;
    if (fault === undefined) return;
    if (fault.kind === "haplan") {
      this.#fault = { fromMs: this.#nowMs(), untilMs: this.#nowMs() };
      this.#killApply();
      return;
    }
    const pids = this.#options.copy.processesOf(fault.member);
    if (pids.length === 0) return;
    this.#healing = this.#faultMember(fault.kind, fault.member, pids);
  }

  async #faultMember(kind: MemberFaultKind, member: string, pids: readonly number[]): Promise<void> {
    const { copy, relay } = this.#options;
    const { electionTimeoutMs, outside, members } = copy.cluster;
    const fromMs = this.#nowMs();
    this.#fault = { fromMs, untilMs: fromMs };
    const lasts = sleep(Math.max(faultMinMs, missedElections * electionTimeoutMs));
    if (kind === "kill") {
      sendSignal(pids, "SIGKILL");
      if (!outside.some(({ name }) => name === member)) return;
      await lasts;
      await copy.restartOutside(member);
    } else {
      this.#faulted = member;
      const addresses = members.get(member) ?? [];
      if (kind === "pause") sendSignal(pids, "SIGSTOP");
      else for (const address of addresses) relay.cutOff(address);
      await lasts;
      if (kind === "pause") sendSignal(pids, "SIGCONT");
      else for (const address of addresses) relay.restore(address);
      this.#faulted = null;
    }
    this.#fault = { fromMs, untilMs: this.#nowMs() };
  }

  /** Whether a plan finds nothing to do. */
  async #isDone(): Promise<boolean> {
    const { exitCode } = await this.#options.copy.apply(["plan", "-detailed-exitcode", "-json"]).end;
    return exitCode === 0;
  }

  /** As a majority has them, and then as each voter has them. */
  async #lostWrites(): Promise<readonly string[]> {
    const { copy } = this.#options;
    const urls = this.#watch.voters.flatMap(({ clientUrls }) => clientUrls.slice(0, 1));
    const lost = new Set<string>();
    for (const url of urls) for (const key of await this.#lostAt(copy, url)) lost.add(key);
    return [...lost].sort();
  }

  /** A member that does not answer in the end has lost nothing that the others have: the plan did not converge. */
  async #lostAt(copy: ClusterCopy, url: string): Promise<readonly string[]> {
    const client = copy.open([url], 10_000);
    const deadlineMs = performance.now() + catchUpMs;
    try {
      for (;;) {
        const lost = await this.#writers.lost(client, { serializable: performance.now() < deadlineMs }).catch(() => []);
        if (lost.length === 0 || performance.now() >= deadlineMs) return lost;
        await sleep(100);
      }
    } finally {
      await client.grpc.close().catch(() => undefined);
    }
  }
}

const plainApply: readonly string[] = ["apply"];
