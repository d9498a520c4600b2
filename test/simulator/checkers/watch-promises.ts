/**
 * Compares what a watcher received with what was written: everything covered by its interest from its start to its
 * end, except for what had been compacted, and nothing else; with the values, revisions and versions of each key, and
 * its previous values. The journal checks order, uniqueness, whole revisions and progress notifications as they
 * arrive.
 */
import type { KeyValue } from "../../../src/raft-agent/api/key-value.ts";
import type { SeenEvent, WatchInterest, WatchJournal } from "../../compatibility/watch-journal.ts";
import { Violation } from "../violation.ts";
import type { WrittenEvent, WrittenHistory } from "./written-history.ts";

/** @throws Violation the first broken promise */
export function checkWatchPromises(history: WrittenHistory, journals: readonly WatchJournal[]): void {
  for (const journal of journals) {
    const { name } = journal.interest;
    const told = new Map(journal.events.map((event) => [nameOf(event), event]));
    for (const written of history.events.filter((event) => isDue(journal, event))) {
      const seen = told.get(nameOf(written));
      if (seen === undefined) throw broken(name, `not notified of ${nameOf(written)}`);
      told.delete(nameOf(written));
      const fault = faultOf(journal.interest, seen, written, history.compacted);
      if (fault !== null) throw broken(name, `${nameOf(written)}: ${fault}`);
    }
    const [extra] = told.keys();
    if (extra !== undefined) throw broken(name, `notified of ${extra}, which was not written or not watched`);
  }
}

/** The journal itself has found a violation. */
export function checkJournal({ interest, faults }: WatchJournal): void {
  const [fault] = faults;
  if (fault !== undefined) throw broken(interest.name, fault);
}

function broken(watcher: string, text: string): Violation {
  return new Violation("watch promises", `watcher "${watcher}": ${text}`);
}

function nameOf({ revision, key }: { readonly revision: number; readonly key: string }): string {
  return `${key} at ${revision}`;
}

function isDue({ interest, startRevision, next, gaps }: WatchJournal, { revision, key, put }: WrittenEvent): boolean {
  if (revision < startRevision || revision >= next) return false;
  if (gaps.some(({ from, to }) => revision >= from && revision < to)) return false;
  if (interest.filters.includes(put === null ? 1 : 0)) return false;
  return interest.rangeEnd === "" ? key === interest.key : key >= interest.key && key < interest.rangeEnd;
}

function faultOf(interest: WatchInterest, seen: SeenEvent, written: WrittenEvent, compacted: number): string | null {
  if (describe(seen.put) !== describe(written.put)) return `${describe(seen.put)} instead of ${describe(written.put)}`;
  const { previous } = seen;
  if (previous === null) {
    // What was compacted at delivery may be missing, but never wrong.
    const mayMiss = !interest.prevKv || written.previous === null || written.revision - 1 < compacted;
    return mayMiss ? null : "its previous value is missing";
  }
  if (!interest.prevKv) return "a previous value that was not requested";
  return describe(previous) === describe(written.previous) ? null : "its previous value is wrong";
}

function describe(kv: KeyValue | null): string {
  if (kv === null) return "deleted";
  const { createRevision, modRevision, version, value } = kv;
  return [createRevision, modRevision, version, Buffer.from(value).toString()].join(" ");
}
