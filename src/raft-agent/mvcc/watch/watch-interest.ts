/**
 * The interests of watchers, deduplicated: watchers of the same range with the same options share an interest, so that
 * their events are matched and encoded once, however many watchers there are. Single keys are found by hash, ranges in
 * an interval tree.
 */
import { createRandom } from "../../../base/random.ts";
import { isOpenEnd } from "../key-range.ts";
import type { StoreEvent } from "../store.ts";
import { IntervalTree, type KeyInterval } from "./interval-tree.ts";

export type InterestOptions = { readonly noPut: boolean; readonly noDelete: boolean; readonly prevKv: boolean };

export class Interest<Watcher> implements KeyInterval {
  readonly start: Uint8Array;
  readonly end: Uint8Array | null;
  readonly options: InterestOptions;
  /** Up to date: notified of every event as it happens. */
  readonly synced: Set<Watcher> = new Set();
  /** Behind: served from history. */
  readonly lagging: Set<Watcher> = new Set();
  /** Events collected since the last flush. */
  collected: StoreEvent[] = [];

  constructor(start: Uint8Array, end: Uint8Array | null, options: InterestOptions) {
    this.start = start;
    this.end = end;
    this.options = options;
  }

  wants(event: StoreEvent): boolean {
    return event.kind === "put" ? !this.options.noPut : !this.options.noDelete;
  }
}

export class InterestIndex<Watcher> {
  readonly #byName = new Map<string, Interest<Watcher>>();
  readonly #bySingleKey = new Map<string, Interest<Watcher>[]>();
  readonly #ranges = new IntervalTree<Interest<Watcher>>(createRandom(1));

  /** All interests. */
  all(): Iterable<Interest<Watcher>> {
    return this.#byName.values();
  }

  /** The interest in a range (etcd's notation), created if it is new. */
  obtain(key: Uint8Array, rangeEnd: Uint8Array, options: InterestOptions): Interest<Watcher> {
    const name = interestName(key, rangeEnd, options);
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const single = rangeEnd.length === 0;
    const start = key.slice();
    const end = single ? start : isOpenEnd(rangeEnd) ? null : rangeEnd.slice();
    const interest = new Interest<Watcher>(start, end, options);
    this.#byName.set(name, interest);
    if (!single) this.#ranges.add(interest);
    else this.#bySingleKey.set(latin1(key), [...(this.#bySingleKey.get(latin1(key)) ?? []), interest]);
    return interest;
  }

  /** Removes an interest once no watcher has it. */
  release(interest: Interest<Watcher>): void {
    if (interest.synced.size + interest.lagging.size > 0) return;
    const single = interest.end === interest.start;
    const rangeEnd = single ? new Uint8Array(0) : (interest.end ?? new Uint8Array(1));
    this.#byName.delete(interestName(interest.start, rangeEnd, interest.options));
    if (!single) {
      this.#ranges.remove(interest);
      return;
    }
    const key = latin1(interest.start);
    const rest = this.#bySingleKey.get(key)!.filter((one) => one !== interest);
    if (rest.length > 0) this.#bySingleKey.set(key, rest);
    else this.#bySingleKey.delete(key);
  }

  /** Visits every interest that matches the event. */
  match(event: StoreEvent, visit: (interest: Interest<Watcher>) => void): void {
    if (this.#bySingleKey.size > 0) {
      for (const interest of this.#bySingleKey.get(latin1(event.key)) ?? []) if (interest.wants(event)) visit(interest);
    }
    this.#ranges.forEachHolding(event.key, (interest) => {
      if (interest.wants(event)) visit(interest);
    });
  }
}

function interestName(key: Uint8Array, rangeEnd: Uint8Array, options: InterestOptions): string {
  const flags = Number(options.noPut) + 2 * Number(options.noDelete) + 4 * Number(options.prevKv);
  return `${flags}/${key.length}/${latin1(key)}${latin1(rangeEnd)}`;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
