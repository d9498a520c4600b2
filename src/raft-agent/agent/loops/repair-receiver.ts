/**
 * A member whose data differs from the others' waits for the leader's state. Meanwhile nothing is applied, so that the
 * corruption does not spread; a member that is prepared but receives no state continues with its own.
 */
import type { LogIndex } from "../../raft/entry.ts";

const withinMs = 60_000;

export type RepairReceiverPorts = {
  appliedIndex(): LogIndex;
  /** Suspends applying; the returned function resumes it. */
  suspendApplying(): () => void;
  /** Moves the state received up to `index` into the store. */
  install(index: LogIndex): Promise<void>;
};

export class RepairReceiver {
  readonly #ports: RepairReceiverPorts;
  #waiting: { readonly resume: () => void; readonly timer: NodeJS.Timeout } | null = null;

  constructor(ports: RepairReceiverPorts) {
    this.#ports = ports;
  }

  get isExpected(): boolean {
    return this.#waiting !== null;
  }

  /** From now on nothing is applied, until the state has arrived or a timeout; returns the applied index. */
  expect(): LogIndex {
    if (this.#waiting === null) {
      const timer = setTimeout(() => this.#end(), withinMs);
      this.#waiting = { resume: this.#ports.suspendApplying(), timer };
    }
    return this.#ports.appliedIndex();
  }

  /** @throws Error when the received state is older than this member's: it would lose what it has acknowledged. */
  async take(index: LogIndex): Promise<void> {
    const applied = this.#ports.appliedIndex();
    try {
      if (index < applied) throw new Error(`the received state ends at entry ${index}, but ${applied} is applied here`);
      await this.#ports.install(index);
    } finally {
      this.#end();
    }
  }

  /** For a stopping member: it applies nothing any more. */
  stop(): void {
    clearTimeout(this.#waiting?.timer);
  }

  #end(): void {
    this.stop();
    this.#waiting?.resume();
    this.#waiting = null;
  }
}
