/**
 * Observes a cluster from outside and throws as soon as one of the paper's safety properties (figure 3) is violated:
 * election safety, log matching, leader completeness, state machine safety; and that reads are linearizable.
 */
import type { SnapshotMetadata } from "../../src/raft-agent/raft/configuration.ts";
import type { Entry, LogIndex, MemberId, Term } from "../../src/raft-agent/raft/entry.ts";
import type { Ready } from "../../src/raft-agent/raft/ready.ts";

export class SafetyViolation extends Error {
  override readonly name = "SafetyViolation";
}

type Position = { readonly term: Term; readonly chain: number };

export class SafetyChecker {
  readonly #leaders = new Map<Term, MemberId>();
  /** The digest of the log up to an (index, term), of any member: equal positions mean equal logs. */
  readonly #chains = new Map<string, number>();
  /** What was applied at each index, anywhere. */
  readonly #applied = new Map<LogIndex, Position>();
  readonly #logs = new Map<MemberId, Map<LogIndex, Position>>();
  readonly #readFloors = new Map<string, LogIndex>();
  highestApplied: LogIndex = 0;

  /** A member (re)starts with this log. */
  start(member: MemberId, snapshot: SnapshotMetadata, entries: readonly Entry[]): void {
    this.#logs.set(member, new Map());
    this.#startBehind(member, snapshot.index, snapshot.term);
    this.#append(member, entries);
  }

  observe(member: MemberId, ready: Ready): void {
    if (ready.installSnapshot !== null) {
      const { index, term } = ready.installSnapshot;
      this.#logs.set(member, new Map());
      this.#startBehind(member, index, term);
    }
    this.#append(member, ready.entries);
    if (ready.softState?.role === "leader") this.#observeLeader(member, ready.softState.term);
    for (const entry of ready.committed) this.#observeApplied(member, entry);
    for (const { context, index } of ready.reads) this.#observeRead(member, context, index);
  }

  /** A read begins: it must see everything that was applied anywhere before. */
  beginRead(member: MemberId, context: number): void {
    this.#readFloors.set(`${member}/${context}`, this.highestApplied);
  }

  #startBehind(member: MemberId, index: LogIndex, term: Term): void {
    const key = `${index}/${term}`;
    const chain = this.#chains.get(key) ?? 0;
    this.#chains.set(key, chain);
    this.#logs.get(member)?.set(index, { term, chain });
    const applied = this.#applied.get(index);
    if (applied !== undefined && applied.term !== term) {
      throw new SafetyViolation(`State machine safety: ${member} starts from ${key}, applied was term ${applied.term}`);
    }
  }

  #append(member: MemberId, entries: readonly Entry[]): void {
    const log = this.#logs.get(member);
    const first = entries[0];
    if (log === undefined || first === undefined) return;
    for (let index = first.index; log.delete(index); ) index += 1;
    for (const entry of entries) {
      const before = log.get(entry.index - 1);
      if (before === undefined) throw new SafetyViolation(`Log of ${member} has a gap before ${entry.index}`);
      const chain = mix(before.chain, entry);
      const key = `${entry.index}/${entry.term}`;
      const known = this.#chains.get(key);
      if (known !== undefined && known !== chain) {
        throw new SafetyViolation(`Log matching: ${member} has another log up to ${key} than another member`);
      }
      this.#chains.set(key, chain);
      log.set(entry.index, { term: entry.term, chain });
    }
  }

  #observeLeader(member: MemberId, term: Term): void {
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== member) {
      throw new SafetyViolation(`Election safety: ${other} and ${member} both lead term ${term}`);
    }
    this.#leaders.set(term, member);
    const log = this.#logs.get(member);
    const start = Math.min(...(log?.keys() ?? []));
    for (const [index, applied] of this.#applied) {
      if (index < start || applied.term >= term) continue;
      if (log?.get(index)?.chain !== applied.chain) {
        throw new SafetyViolation(`Leader completeness: ${member} leads term ${term} without committed entry ${index}`);
      }
    }
  }

  #observeApplied(member: MemberId, entry: Entry): void {
    const chain = this.#logs.get(member)?.get(entry.index)?.chain ?? -1;
    const known = this.#applied.get(entry.index);
    if (known !== undefined && known.chain !== chain) {
      throw new SafetyViolation(`State machine safety: ${member} applies another entry at ${entry.index}`);
    }
    this.#applied.set(entry.index, { term: entry.term, chain });
    this.highestApplied = Math.max(this.highestApplied, entry.index);
  }

  #observeRead(member: MemberId, context: number, index: LogIndex): void {
    const floor = this.#readFloors.get(`${member}/${context}`) ?? 0;
    if (index < floor)
      throw new SafetyViolation(`Read ${context} of ${member} sees ${index}, ${floor} was applied before`);
  }
}

function mix(chain: number, entry: Entry): number {
  let hash = Math.imul(chain ^ entry.term, 0x85ebca6b) ^ Math.imul(entry.index + entry.kind * 7919, 0xc2b2ae35);
  for (const byte of entry.data) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
