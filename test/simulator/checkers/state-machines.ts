/** State machine safety, by the state: after the same entry every member's store is at the same revision. */
import type { LogIndex, MemberId } from "../../../src/raft-agent/raft/entry.ts";
import { Violation } from "../violation.ts";

export class StateMachines {
  readonly #revisions = new Map<LogIndex, number>();

  applied(member: MemberId, index: LogIndex, revision: number): void {
    const known = this.#revisions.get(index);
    if (known === undefined) this.#revisions.set(index, revision);
    else if (known !== revision) {
      throw new Violation(
        "state machine safety",
        `the store of ${member} is at revision ${revision} after entry ${index}, elsewhere at ${known}`,
      );
    }
  }
}
