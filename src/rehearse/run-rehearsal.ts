/** Runs a rehearsal: copies the cluster, plays the plan without a fault, then with each fault at each step, within a budget. */
import { join } from "node:path";
import { HaplanError } from "../base/haplan-error.ts";
import { assessTrial } from "./assess-trial.ts";
import { ClusterCopy, type CopyData } from "./cluster-copy.ts";
import { type CopiedCluster, type CopyRequest, describeCopy } from "./copied-cluster.ts";
import { notCovered } from "./copied-spec.ts";
import { type FreeNetwork, freeNetwork } from "./free-network.ts";
import type { LinkOptions } from "./linked-processes.ts";
import { PeerRelay } from "./peer-relay.ts";
import { playTrial } from "./play-trial.ts";
import { differingSteps, stepsAsPlayed } from "./played-steps.ts";
import type {
  FaultKind,
  LeftOut,
  RehearsalReport,
  RehearsedStep,
  Trial,
  TrialRecord,
  TrialResult,
} from "./rehearsal.ts";
import { makeRehearsalDir, removeLeftovers, removeRehearsalDir, startWarden } from "./rehearsal-directory.ts";
import type { RehearsalPrograms } from "./rehearsal-programs.ts";
import { orderTrials, selectSteps } from "./trial-order.ts";

export type RehearsalRequest = {
  readonly copy: Omit<CopyRequest, "network">;
  readonly data: CopyData;
  /** The command that makes the plan in the copy, and applies it. */
  readonly command: readonly string[];
  /** Steps of the plan of the real cluster. */
  readonly steps: readonly RehearsedStep[];
  readonly faults: readonly FaultKind[];
  /** What `-steps` selects; all steps if it is empty. */
  readonly selected: readonly string[];
  /** Names of the members to fault; all members if it is empty. */
  readonly members: readonly string[];
  readonly parallelism: number;
  readonly budgetMs: number;
  readonly haplanVersion: string;
  readonly programs: RehearsalPrograms;
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly tell: (progress: RehearsalProgress) => void;
};

export type RehearsalProgress =
  | { readonly kind: "leftovers"; readonly count: number }
  | { readonly kind: "copying"; readonly members: readonly string[] }
  | { readonly kind: "planned"; readonly trials: number }
  | { readonly kind: "trial"; readonly result: TrialResult; readonly done: number; readonly trials: number };

/** @throws HaplanError `rehearse/...` */
export async function runRehearsal(request: RehearsalRequest): Promise<RehearsalReport> {
  const startedMs = performance.now();
  const count = await removeLeftovers();
  if (count > 0) request.tell({ kind: "leftovers", count });
  const directory = makeRehearsalDir();
  const endWarden = startWarden(request.programs.warden, directory);
  const stages: Stage[] = [];
  try {
    return await new Rehearsal(request, directory, stages, startedMs).run();
  } finally {
    await Promise.all(stages.map((stage) => stage.close()));
    await removeRehearsalDir(directory);
    await endWarden();
  }
}

/** A copy with its addresses and its network. */
type Stage = { readonly copy: ClusterCopy; readonly relay: PeerRelay; readonly close: () => Promise<void> };

class Rehearsal {
  readonly #request: RehearsalRequest;
  readonly #directory: string;
  readonly #stages: Stage[];
  readonly #startedMs: number;
  readonly #results: TrialResult[] = [];

  constructor(request: RehearsalRequest, directory: string, stages: Stage[], startedMs: number) {
    this.#request = request;
    this.#directory = directory;
    this.#stages = stages;
    this.#startedMs = startedMs;
  }

  async run(): Promise<RehearsalReport> {
    const { faults, selected, tell } = this.#request;
    const first = await this.#openStage();
    const { cluster } = first.copy;
    tell({ kind: "copying", members: cluster.present });
    await first.copy.build(this.#request.data);
    const plain = await this.#play(first, null);
    const steps = stepsAsPlayed(this.#request.steps, plain.record.steps);
    this.#keep({ ...plain, ...assessTrial(null, plain.record, steps) }, 1, 1);
    const chosen = this.#chosenSteps(steps, selected);
    const usable = faults.filter((kind) => kind !== "cut" || cluster.engine === "agent");
    const [, ...trials] = orderTrials({ steps: chosen, members: this.#chosenMembers(cluster), faults: usable });
    tell({ kind: "planned", trials: trials.length + 1 });
    const left = plain.outcome === "failed" ? trials : await this.#playAll(trials, steps, first);
    return {
      haplanVersion: this.#request.haplanVersion,
      cluster: cluster.name,
      engine: cluster.engine,
      copy: { members: cluster.present, data: dataText(this.#request.data) },
      steps,
      notCovered: [...notCovered(this.#request.copy.spec), ...differingSteps(this.#request.steps, steps)],
      results: this.#results,
      leftOut: [
        ...(left.length === 0 ? [] : [this.#leftText(left, plain.outcome === "failed")]),
        ...cutLeftOut(faults, cluster),
      ],
      elapsedMs: Math.round(performance.now() - this.#startedMs),
    };
  }

  /** @returns the trials that the budget has left out */
  async #playAll(trials: readonly Trial[], steps: readonly RehearsedStep[], first: Stage): Promise<readonly Trial[]> {
    const { parallelism, signal } = this.#request;
    const waiting = [...trials];
    const work = async (opened: Stage | null): Promise<void> => {
      if (waiting.length === 0 || this.#isSpent()) return;
      const stage = opened ?? (await this.#builtStage());
      while (!signal.aborted && !this.#isSpent()) {
        const trial = waiting.shift();
        if (trial === undefined) return;
        const { record } = await this.#play(stage, trial);
        signal.throwIfAborted();
        this.#keep(assessTrial(trial, record, steps), this.#results.length + 1, trials.length + 1);
      }
    };
    await Promise.all(Array.from({ length: parallelism }, (_, at) => work(at === 0 ? first : null)));
    signal.throwIfAborted();
    return waiting;
  }

  /** A trial is begun if one as long as those before still fits. */
  #isSpent(): boolean {
    const elapsedMs = performance.now() - this.#startedMs;
    const times = this.#results.map(({ record }) => record.elapsedMs);
    const meanMs = times.reduce((sum, ms) => sum + ms, 0) / Math.max(1, times.length);
    return elapsedMs + meanMs > this.#request.budgetMs;
  }

  #keep(result: TrialResult, done: number, trials: number): void {
    this.#results.push(result);
    this.#request.tell({ kind: "trial", result, done, trials });
  }

  async #play(stage: Stage, trial: Trial): Promise<TrialResult> {
    const { command, signal } = this.#request;
    const record: TrialRecord = await playTrial({ ...stage, trial, command, signal });
    signal.throwIfAborted();
    return assessTrial(trial, record, this.#request.steps);
  }

  #chosenSteps(steps: readonly RehearsedStep[], words: readonly string[]): readonly RehearsedStep[] {
    if (words.length === 0) return steps;
    const chosen = selectSteps(steps, words);
    if ("steps" in chosen) return chosen.steps;
    throw new HaplanError(
      "rehearse/no-such-step",
      `-steps=${chosen.unknown} is no step of this plan\nWrite numbers from 1 to ${steps.length}, ranges such as 3-5, or kinds: ${[...new Set(steps.map(({ kind }) => kind))].join(", ")}.`,
    );
  }

  #chosenMembers({ members }: CopiedCluster): readonly string[] {
    const wanted = this.#request.members;
    const unknown = wanted.find((name) => !members.has(name));
    if (unknown === undefined)
      return [...members.keys()].filter((name) => wanted.length === 0 || wanted.includes(name));
    const known = [...members.keys()].join(", ");
    throw new HaplanError(
      "rehearse/no-such-member",
      `-members=${unknown} is no member of this plan\nThey are ${known}.`,
    );
  }

  async #builtStage(): Promise<Stage> {
    const stage = await this.#openStage();
    await stage.copy.build(this.#request.data);
    return stage;
  }

  async #openStage(): Promise<Stage> {
    const { programs, random, copy: request } = this.#request;
    const free = await freeNetwork(random);
    const cluster = describeCopy({ ...request, network: free.network });
    if (cluster === null) {
      free.release();
      throw new HaplanError(
        "rehearse/no-cluster",
        "There is no cluster to rehearse on yet: the plan creates it\nNo client can lose a write before it exists. Apply the plan, then rehearse the next one.",
      );
    }
    const relay = await openRelay(cluster, free);
    const link: LinkOptions = { routes: relay.routes, hook: programs.hook };
    const directory = join(this.#directory, String(this.#stages.length + 1));
    const copy = new ClusterCopy({
      cluster,
      directory,
      program: programs.haplan,
      programsDir: programs.directory,
      link,
    });
    const close = async (): Promise<void> => {
      await copy.end();
      await relay.close();
      free.release();
    };
    const stage: Stage = { copy, relay, close };
    this.#stages.push(stage);
    return stage;
  }

  #leftText(trials: readonly Trial[], failed: boolean): LeftOut {
    const budget = `the budget of ${Math.round(this.#request.budgetMs / 1000)} s was spent`;
    return { reason: failed ? "the plan failed without any fault" : budget, trials };
  }
}

const relayHost = 253;
const relayFirstPort = 21_000;

function openRelay({ members, peerPorts }: CopiedCluster, { network }: FreeNetwork): Promise<PeerRelay> {
  const addresses = [...new Set([...members.values()].flat())];
  return PeerRelay.open({ host: `${network}.${relayHost}`, firstPort: relayFirstPort, members: addresses, peerPorts });
}

function cutLeftOut(faults: readonly FaultKind[], { engine }: CopiedCluster): readonly LeftOut[] {
  if (engine === "agent" || !faults.includes("cut")) return [];
  return [{ reason: "cut, because members of engine etcd cannot be cut off in a copy", trials: [] }];
}

function dataText(data: CopyData): string {
  return "backup" in data ? `the backup ${data.backup}` : `${data.keys} generated keys`;
}
