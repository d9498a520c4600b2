/**
 * The log of each member, maintained for the checkers: for each position the digest of the log up to there, so that
 * two logs are equal up to a position when its digests are.
 */

import { crc32c } from "../../../src/base/crc32c.ts";
import type { SnapshotMetadata } from "../../../src/raft-agent/raft/configuration.ts";
import type { Entry, LogIndex, MemberId, Term } from "../../../src/raft-agent/raft/entry.ts";
import type { Ready } from "../../../src/raft-agent/raft/ready.ts";
import { Violation } from "../violation.ts";

export type Position = { readonly index: LogIndex; readonly term: Term; readonly chain: number };

/** `positions[i]` has index `base + i`; the first one is the compaction point. */
export type MemberLog = { base: LogIndex; positions: Position[] };

export class LogBook {
  readonly #logs = new Map<MemberId, MemberLog>();
  /** The one position for each (term, index) on any member. */
  readonly #known = new Map<Term, Map<LogIndex, Position>>();
  readonly #onNew: (member: MemberId, entry: Entry) => void;

  constructor(onNew: (member: MemberId, entry: Entry) => void = () => {}) {
    this.#onNew = onNew;
  }

  start(member: MemberId, snapshot: SnapshotMetadata, entries: readonly Entry[]): void {
    this.#startBehind(member, snapshot);
    this.#append(member, entries);
  }

  take(member: MemberId, ready: Ready): void {
    if (ready.installSnapshot !== null) this.#startBehind(member, ready.installSnapshot);
    this.#append(member, ready.entries);
  }

  logOf(member: MemberId): MemberLog {
    const log = this.#logs.get(member);
    if (log === undefined) throw new Error(`no log of ${member} is known`);
    return log;
  }

  /** The position at `index`, or undefined when it is compacted or absent. */
  at(member: MemberId, index: LogIndex): Position | undefined {
    const { base, positions } = this.logOf(member);
    return positions[index - base];
  }

  #startBehind(member: MemberId, { index, term }: SnapshotMetadata): void {
    this.#logs.set(member, { base: index, positions: [this.#remember({ index, term, chain: 0 }, true, member)] });
  }

  #append(member: MemberId, entries: readonly Entry[]): void {
    const log = this.logOf(member);
    for (const entry of entries) {
      const place = entry.index - log.base;
      const before = log.positions[place - 1];
      if (place < 1 || before === undefined) {
        throw new Violation("log matching", `the log of ${member} has a gap before entry ${entry.index}`);
      }
      log.positions.length = place;
      const chain = digestOf(before.chain, entry);
      log.positions.push(this.#remember({ index: entry.index, term: entry.term, chain }, false, member));
      this.#onNew(member, entry);
    }
  }

  /** Log matching (Raft figure 3): the same index and term, the same log up to there. */
  #remember(position: Position, isSnapshot: boolean, member: MemberId): Position {
    const { index, term } = position;
    let ofTerm = this.#known.get(term);
    if (ofTerm === undefined) this.#known.set(term, (ofTerm = new Map()));
    const known = ofTerm.get(index);
    if (known === undefined) {
      ofTerm.set(index, position);
      return position;
    }
    if (!isSnapshot && known.chain !== position.chain) {
      throw new Violation("log matching", `${member} has another log up to entry ${index} of term ${term}`);
    }
    return known;
  }
}

function digestOf(chain: number, entry: Entry): number {
  const hash = Math.imul(chain ^ entry.term, 0x85ebca6b) ^ Math.imul(entry.index * 2 + entry.kind, 0xc2b2ae35);
  return crc32c(entry.data, 0, entry.data.length, (hash ^ (hash >>> 15)) >>> 0);
}
