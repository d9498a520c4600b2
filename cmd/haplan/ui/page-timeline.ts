/** The timeline of the page: events of the logs and the journal, and what changed between two looks. */
import type { StatusChange } from "../status-changes.ts";
import type { TimelineEvent } from "../timeline-events.ts";

export type TimelineItem = {
  readonly timeMs: number;
  readonly kind: string;
  /** The member, load balancer or worker that it is about; null for the cluster and for an apply. */
  readonly subject: string | null;
  readonly text: string;
};

const itemsMax = 500;
/** Every member logs an election at its own time, and a log that is read again tells it again. */
const sameWithinMs = 60_000;

export class PageTimeline {
  #items: readonly TimelineItem[] = [];

  /** Oldest first. */
  get items(): readonly TimelineItem[] {
    return this.#items;
  }

  /** Returns those that are new. */
  add(items: readonly TimelineItem[]): readonly TimelineItem[] {
    const added: TimelineItem[] = [];
    for (const item of items) {
      if ([...this.#items, ...added].some((known) => isSame(known, item))) continue;
      added.push(item);
    }
    if (added.length > 0)
      this.#items = [...this.#items, ...added].toSorted((a, b) => a.timeMs - b.timeMs).slice(-itemsMax);
    return added;
  }
}

export function itemOfEvent({ timeMs, kind, member, text }: TimelineEvent): TimelineItem {
  return { timeMs, kind, subject: member, text };
}

/** Logs tell elections and membership changes with their own times; what is lost, no log tells. */
export function itemsOfChanges(timeMs: number, changes: readonly StatusChange[]): readonly TimelineItem[] {
  return changes
    .filter(({ kind, subject }) => kind !== "membership" && !(kind === "leader" && subject !== null))
    .map(({ kind, subject, text }) => ({ timeMs, kind, subject, text }));
}

/** A member may start and stop several times, and quorum may be lost again; an election has its term in its text. */
function isSame(known: TimelineItem, item: TimelineItem): boolean {
  if (known.kind !== item.kind || known.text !== item.text) return false;
  const isLoggedByAll = item.kind === "election" || item.kind === "membership";
  return Math.abs(known.timeMs - item.timeMs) <= (isLoggedByAll ? sameWithinMs : 0);
}
