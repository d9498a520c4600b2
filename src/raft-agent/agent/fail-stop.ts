/** Fail-stop: a member that cannot be trusted any more, or that was removed, logs the error once and stops. */
import type { Logger } from "pino";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { AgentEvents } from "./agent-events.ts";
import { rememberLostEntries } from "./disk/lost-entries.ts";
import { rememberReplacement, replacedError } from "./disk/replaced-cluster.ts";

export type FailStopOptions = {
  readonly dataDir: string;
  readonly logger: Pick<Logger, "fatal">;
  /** The process has to exit. */
  readonly onStopped: (reason: string) => void;
};

export class FailStop {
  readonly #options: FailStopOptions;
  #hasStopped = false;
  #isClosing = false;

  constructor(options: FailStopOptions, events: AgentEvents) {
    this.#options = options;
    events.on("failed", (error) => this.#fail(error));
    events.on("removed", () => this.stopRemoved());
    events.on("replaced", (reason) => this.#stopReplaced(reason));
  }

  get hasStopped(): boolean {
    return this.#hasStopped;
  }

  /** The member is being closed: later failures do not matter. */
  close(): void {
    this.#isClosing = true;
  }

  /** The cluster has removed this member. */
  stopRemoved(): void {
    const { dataDir, logger } = this.#options;
    if (!this.#begin()) return;
    logger.fatal({ error: removedError(dataDir).message }, "this member was removed from the cluster and is stopping");
    this.#options.onStopped("the member was removed from the cluster");
  }

  /** It may hold a majority of the former cluster: two clusters that serve would be worse than one that does not. */
  #stopReplaced(reason: string): void {
    const { dataDir, logger } = this.#options;
    if (!this.#begin()) return;
    rememberReplacement(dataDir, reason);
    logger.fatal(
      { error: replacedError(dataDir, reason).message },
      "this member's cluster was replaced; it is stopping",
    );
    this.#options.onStopped("the member's cluster was replaced");
  }

  #fail(error: unknown): void {
    if (!this.#begin()) return;
    rememberLostEntries(this.#options, error);
    this.#options.logger.fatal({ error: errorText(error) }, "this member is stopping");
    this.#options.onStopped(errorText(error));
  }

  /** False when there is nothing to report: it is already reported, or the member is being closed. */
  #begin(): boolean {
    if (this.#isClosing || this.#hasStopped) return false;
    this.#hasStopped = true;
    return true;
  }
}

/** The data of a removed member is useless to the cluster, and would serve stale serializable reads. */
export function removedError(dataDir: string): HaplanError {
  return new HaplanError(
    "agent/removed",
    `Cannot use the data in "${dataDir}": this member was removed from the cluster, and its id is never reused; ` +
      "to bring the machine back, clear the directory and add it as a new member",
  );
}
