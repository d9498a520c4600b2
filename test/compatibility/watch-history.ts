/**
 * The history that writers made, and what every watcher must have received of it (etcd's watch guarantees: ordered,
 * unique, reliable, atomic, resumable, bookmarkable; its robustness tests check previous values and filters as well).
 */
import type { KeyValue } from "../../src/raft-agent/api/key-value.ts";
import type { SeenEvent, WatchJournal } from "./watch-journal.ts";

/** One key of an acknowledged write: its new value, or null where it was deleted. */
export type WrittenKey = { readonly key: string; readonly value: string | null };

export type WriteLog = {
  /** What was acknowledged, by revision. */
  readonly acknowledged: ReadonlyMap<number, readonly WrittenKey[]>;
  /** Values whose writers never learned whether they were written. */
  readonly unknown: ReadonlySet<string>;
  readonly lastRevision: number;
  /** The highest revision that was compacted. */
  readonly compacted: number;
  /** The live keys and values at `lastRevision`, as read. */
  readonly finalValues: ReadonlyMap<string, string>;
};

type History = ReadonlyMap<number, ReadonlyMap<string, SeenEvent>>;

/** A description of everything that is wrong; empty when all guarantees were kept. */
export function judge(log: WriteLog, journals: readonly WatchJournal[]): string[] {
  const faults = journals.flatMap(({ interest, faults: own }) => own.map((fault) => `${interest.name}: ${fault}`));
  const history = mergeHistory(journals, faults);
  judgeWrites(log, history, faults);
  for (const journal of journals) judgeReliability(log, journal, history, faults);
  judgeVersions(log, history, journals, faults);
  return faults;
}

/** All watchers together: they must agree about everything that two of them received. */
function mergeHistory(journals: readonly WatchJournal[], faults: string[]): History {
  const history = new Map<number, Map<string, SeenEvent>>();
  for (const { interest, events } of journals) {
    const own = new Set<string>();
    for (const event of events) {
      const name = `${event.revision} ${event.key}`;
      if (own.has(name)) faults.push(`${interest.name}: received twice: ${name}`);
      own.add(name);
      const keys = history.get(event.revision) ?? new Map<string, SeenEvent>();
      history.set(event.revision, keys);
      const known = keys.get(event.key);
      if (known === undefined) keys.set(event.key, event);
      else if (describe(known.put) !== describe(event.put)) faults.push(`${interest.name}: differs at ${name}`);
    }
  }
  return history;
}

function describe(kv: KeyValue | null): string {
  if (kv === null) return "deleted";
  const { createRevision, modRevision, version, value } = kv;
  return [createRevision, modRevision, version, Buffer.from(value).toString()].join(" ");
}

/** Acknowledged writes happened, at their revision; every event was written by a writer. */
function judgeWrites(log: WriteLog, history: History, faults: string[]): void {
  for (const [revision, keys] of log.acknowledged) {
    const seen = history.get(revision);
    for (const { key, value } of keys) {
      const event = seen?.get(key);
      if (event === undefined) faults.push(`no watcher received ${key} at ${revision}, which was acknowledged`);
      else if (writtenValue(event) !== value)
        faults.push(`${key} at ${revision} is ${writtenValue(event)}, not ${value}`);
    }
    if (seen !== undefined && seen.size !== keys.length) faults.push(`revision ${revision} has more than was written`);
  }
  for (const [revision, keys] of history) {
    if (log.acknowledged.has(revision) || revision > log.lastRevision) continue;
    const values = [...keys.values()].map(writtenValue).filter((value) => value !== null);
    if (!values.every((value) => log.unknown.has(value))) faults.push(`no writer wrote revision ${revision}`);
  }
}

function writtenValue({ put }: SeenEvent): string | null {
  return put === null ? null : Buffer.from(put.value).toString();
}

/** A watcher received everything between its start and its end that its interest covers, except for its gaps. */
function judgeReliability(log: WriteLog, journal: WatchJournal, history: History, faults: string[]): void {
  const { interest, startRevision, gaps, next } = journal;
  const received = new Set(journal.events.map(({ revision, key }) => `${revision} ${key}`));
  for (const [revision, keys] of history) {
    if (revision < startRevision || revision >= next || revision > log.lastRevision) continue;
    if (gaps.some(({ from, to }) => revision >= from && revision < to)) continue;
    for (const event of keys.values()) {
      const wanted = covers(journal, event);
      if (wanted !== received.has(`${revision} ${event.key}`)) {
        faults.push(`${interest.name}: ${wanted ? "did not receive" : "received"} ${event.key} at ${revision}`);
      }
    }
  }
}

function covers({ interest }: WatchJournal, { key, put }: SeenEvent): boolean {
  if (interest.filters.includes(put === null ? 1 : 0)) return false;
  return interest.rangeEnd === "" ? key === interest.key : key >= interest.key && key < interest.rangeEnd;
}

/** Create revisions, versions, previous values and the end, by replaying the history. */
function judgeVersions(log: WriteLog, history: History, journals: readonly WatchJournal[], faults: string[]): void {
  const live = new Map<string, KeyValue>();
  const before = new Map<string, KeyValue | undefined>();
  for (const revision of [...history.keys()].sort((a, b) => a - b)) {
    for (const event of history.get(revision)!.values()) {
      const previous = live.get(event.key);
      before.set(`${revision} ${event.key}`, previous);
      if (event.put === null) {
        live.delete(event.key);
        continue;
      }
      const expected = previous === undefined ? [revision, 1] : [previous.createRevision, previous.version + 1];
      if (event.put.createRevision !== expected[0] || event.put.version !== expected[1]) {
        faults.push(`${event.key} at ${revision} is version ${event.put.version}, expected ${expected[1]}`);
      }
      live.set(event.key, event.put);
    }
  }
  const final = new Map([...live].map(([key, kv]) => [key, Buffer.from(kv.value).toString()]));
  for (const key of new Set([...final.keys(), ...log.finalValues.keys()])) {
    if (final.get(key) !== log.finalValues.get(key)) faults.push(`${key} ends as another value than its last event`);
  }
  for (const journal of journals) judgePrevious(log, journal, before, faults);
}

function judgePrevious(
  log: WriteLog,
  { interest, events }: WatchJournal,
  before: ReadonlyMap<string, KeyValue | undefined>,
  faults: string[],
): void {
  for (const { revision, key, previous } of events) {
    const expected = before.get(`${revision} ${key}`);
    // A previous value that was compacted before the event was sent may be missing, but never wrong.
    const mayMiss = !interest.prevKv || expected === undefined || revision - 1 < log.compacted;
    if (previous === null ? mayMiss : expected !== undefined && describe(previous) === describe(expected)) continue;
    faults.push(`${interest.name}: the previous value of ${key} at ${revision} is wrong`);
  }
}
