/** Responses of a watch as a buggy member would send them. Which ones are wrong follows from their revisions. */
import { decodeKeyValue, type Event, encodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import type { WatchResponse } from "../../src/raft-agent/api/watch.ts";

type WatchFlaw = (response: WatchResponse) => readonly WatchResponse[];

const revisionOf = (event: Event | undefined): number =>
  event?.kv === undefined ? 0 : decodeKeyValue(event.kv).modRevision;
const isDue = (response: WatchResponse): boolean => revisionOf(response.events.at(-1)) % 7 === 3;
const isProgress = ({ events, created, canceled }: WatchResponse): boolean =>
  events.length === 0 && !created && !canceled;

/** Mistakes the revision of a key's first write for that of its last one. */
function asIfCreated(event: Event): Event {
  if (event.kv === undefined) return event;
  const kv = decodeKeyValue(event.kv);
  return { ...event, kv: encodeKeyValue({ ...kv, createRevision: kv.modRevision }) };
}

type FlawName =
  | "eventTwice"
  | "eventLost"
  | "revisionSplit"
  | "outOfOrder"
  | "progressAhead"
  | "previousMissing"
  | "createdAnew";

export const watchMutants: Readonly<Record<FlawName, WatchFlaw>> = {
  eventTwice: (response) => (isDue(response) ? [response, response] : [response]),
  eventLost: (response) => (isDue(response) ? [] : [response]),
  revisionSplit: (response) =>
    response.events.length > 1 ? response.events.map((event) => ({ ...response, events: [event] })) : [response],
  outOfOrder: (response) => [{ ...response, events: response.events.toReversed() }],
  progressAhead: (response) => {
    const { header } = response;
    if (!isProgress(response) || header === undefined || header.revision % 7 !== 3) return [response];
    return [{ ...response, header: { ...header, revision: header.revision + 1 } }];
  },
  previousMissing: (response) =>
    isDue(response)
      ? [{ ...response, events: response.events.map(({ prevKv: _, ...event }) => ({ ...event, prevKv: undefined })) }]
      : [response],
  createdAnew: (response) => [{ ...response, events: response.events.map(asIfCreated) }],
};
