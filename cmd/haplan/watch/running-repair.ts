/** A repair under way. The watcher looks on meanwhile; one that can wait ends early when a master dies. */
import type { CliContext } from "../cli-context.ts";
import { StopRequests } from "../stop-requests.ts";
import type { Repair, WatchedMaster } from "./decide-repair.ts";

export class RunningRepair {
  /** Resolves once it has ended. */
  readonly ended: Promise<void>;
  readonly #repair: Repair;
  readonly #stop: StopRequests;
  readonly #deadBefore: ReadonlySet<string>;

  /** `work` gets the context to run in, and never rejects. */
  constructor(
    context: CliContext,
    repair: Repair,
    masters: readonly WatchedMaster[],
    work: (own: CliContext) => Promise<void>,
  ) {
    this.#repair = repair;
    this.#deadBefore = new Set(masters.filter(({ dead }) => dead !== null).map(({ name }) => name));
    // Requests to stop the watcher let the repair finish.
    const { monotonicMs } = context.clock;
    this.#stop = new StopRequests({ leave: () => undefined, say: () => undefined, monotonicMs });
    this.ended = work({ ...context, stop: this.#stop });
  }

  /** Lets a repair that can wait stop after its running steps if a master has died since it began. */
  yieldTo(masters: readonly WatchedMaster[]): void {
    const died = masters.find(({ name, dead }) => dead !== null && !this.#deadBefore.has(name));
    if (died !== undefined && canWait(this.#repair)) this.#stop.cancel(`Interrupted: ${died.name} does not answer`);
  }
}

/** Only what brings a master back cannot. */
function canWait({ kind, address }: Repair): boolean {
  return kind !== "replace" && !(kind === "restart" && address.startsWith("haplan_agent."));
}
