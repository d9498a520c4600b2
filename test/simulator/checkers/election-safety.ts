/** Election safety (Raft figure 3): at most one leader in a term. */
import type { MemberId, Term } from "../../../src/raft-agent/raft/entry.ts";
import { Violation } from "../violation.ts";

export class ElectionSafety {
  readonly #leaders = new Map<Term, MemberId>();

  elected(member: MemberId, term: Term): void {
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== member) {
      throw new Violation("election safety", `${other} and ${member} both lead term ${term}`);
    }
    this.#leaders.set(term, member);
  }
}
