/**
 * The deliveries to a watch stream: events that are encoded once and shared by every watcher with the same interest.
 */
import { EventType } from "../../api/key-value.ts";
import { writeWatchResponseEvent } from "../../api/watch.ts";
import { WireWriter } from "../../api/wire.ts";
import type { Store, StoreEvent } from "../store.ts";

export type EventBatch = {
  /** `events` fields of a WatchResponse, to be written after its head (`writeWatchResponseHead`). */
  readonly encoded: Uint8Array;
  /** The end of each event in `encoded`: for splitting. */
  readonly eventEnds: readonly number[];
  readonly firstRevision: number;
  readonly lastRevision: number;
};

export type WatchDelivery =
  /** Whole revisions, in order. `revision` is for the header: the store's at the time. */
  | { readonly kind: "events"; readonly watchId: number; readonly revision: number; readonly batch: EventBatch }
  /** The watcher is cancelled: the revision it needs is compacted. */
  | { readonly kind: "compacted"; readonly watchId: number; readonly compactRevision: number };

/** Encodes one or more events. `prevKv` adds the previous pair to each, where it still exists. */
export function encodeBatch(store: Store, events: readonly StoreEvent[], prevKv: boolean): EventBatch {
  const writer = new WireWriter(events.length * 128);
  const eventEnds: number[] = [];
  for (const event of events) {
    const hadPrevious = prevKv && !event.created;
    writeWatchResponseEvent(writer, {
      type: event.kind === "put" ? EventType.put : EventType.delete,
      kv: event.kv,
      prevKv: hadPrevious ? store.getAt(event.key, event.revision - 1) : undefined,
    });
    eventEnds.push(writer.length);
  }
  return {
    encoded: writer.copy(),
    eventEnds,
    firstRevision: events[0]!.revision,
    lastRevision: events.at(-1)!.revision,
  };
}
