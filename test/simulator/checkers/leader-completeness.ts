/**
 * Leader completeness (Raft figure 3): what is committed in a term is in the log of the leaders of all later terms.
 * Also state machine safety: at each index the same entry is committed everywhere.
 */
import type { Entry, LogIndex, MemberId, Term } from "../../../src/raft-agent/raft/entry.ts";
import { Violation } from "../violation.ts";
import type { LogBook, MemberLog, Position } from "./log-book.ts";

type Committed = {
  readonly position: Position;
  /** It was committed in this term or an earlier one: the term of the first member seen to know. */
  readonly byTerm: Term;
};

type Elected = { readonly member: MemberId; readonly term: Term; readonly log: MemberLog };

export class LeaderCompleteness {
  readonly #book: LogBook;
  readonly #committed = new Map<LogIndex, Committed>();
  readonly #elected: Elected[] = [];
  #highest: LogIndex = 0;

  constructor(book: LogBook) {
    this.#book = book;
  }

  elected(member: MemberId, term: Term): void {
    const { base, positions } = this.#book.logOf(member);
    const elected = { member, term, log: { base, positions: positions.slice() } };
    this.#elected.push(elected);
    for (let index = this.#highest; index > base; index--) {
      const committed = this.#committed.get(index);
      if (committed === undefined || committed.byTerm >= term) continue;
      checkHolds(elected, committed.position);
      // Digests also cover everything before.
      return;
    }
  }

  committed(member: MemberId, term: Term, entries: readonly Entry[]): void {
    for (const { index } of entries) this.#commit(member, term, index);
  }

  #commit(member: MemberId, term: Term, index: LogIndex): void {
    const position = this.#book.at(member, index);
    const known = this.#committed.get(index);
    if (position === undefined) throw new Violation("state machine safety", `${member} applies ${index} without it`);
    if (known !== undefined) {
      if (known.position.chain === position.chain) return;
      throw new Violation(
        "state machine safety",
        `${member} applies another entry at ${index} (term ${position.term}) than was applied elsewhere (term ${known.position.term})`,
      );
    }
    this.#committed.set(index, { position, byTerm: term });
    this.#highest = Math.max(this.#highest, index);
    for (const elected of this.#elected) if (elected.term > term) checkHolds(elected, position);
  }
}

function checkHolds({ member, term, log }: Elected, { index, chain }: Position): void {
  if (index < log.base || log.positions[index - log.base]?.chain === chain) return;
  throw new Violation("leader completeness", `${member} was elected in term ${term} without committed entry ${index}`);
}
