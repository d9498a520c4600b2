/**
 * A member whose data was found to differ from the others' waits for the leader's. Meanwhile nothing is applied, so that
 * the damage goes no further; a member that expects another state and does not get it goes on with its own.
 */
import type { LogIndex } from "../../raft/entry.ts";

const withinMs = 60_000;

export type AwaitedStatePorts = {
  appliedIndex(): LogIndex;
  /** Stops applying; what it returns lets it go on. */
  suspendApplying(): () => void;
  /** Moves the state that was received up to `index` into the store. */
  install(index: LogIndex): Promise<void>;
};

export class AwaitedState {
  readonly #ports: AwaitedStatePorts;
  #waiting: { readonly resume: () => void; readonly timer: NodeJS.Timeout } | null = null;

  constructor(ports: AwaitedStatePorts) {
    this.#ports = ports;
  }

  get isExpected(): boolean {
    return this.#waiting !== null;
  }

  /** From now on nothing is applied, until the state has come or a while has passed; tells how far this member is. */
  expect(): LogIndex {
    if (this.#waiting === null) {
      const timer = setTimeout(() => this.#end(), withinMs);
      this.#waiting = { resume: this.#ports.suspendApplying(), timer };
    }
    return this.#ports.appliedIndex();
  }

  /** @throws Error when the state that came is older than this member's: it would lose what it has acknowledged. */
  async take(index: LogIndex): Promise<void> {
    const applied = this.#ports.appliedIndex();
    try {
      if (index < applied)
        throw new Error(`the state that came ends at entry ${index}, and ${applied} is applied here`);
      await this.#ports.install(index);
    } finally {
      this.#end();
    }
  }

  /** For a member that ends: it applies nothing any more. */
  stop(): void {
    clearTimeout(this.#waiting?.timer);
  }

  #end(): void {
    this.stop();
    this.#waiting?.resume();
    this.#waiting = null;
  }
}
