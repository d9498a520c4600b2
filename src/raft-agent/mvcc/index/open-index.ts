/**
 * The in-memory state of a store, and how it is rebuilt from a backend: from the pages of the key index as far as they
 * reach, and from there on by reading every revision once, in order.
 */
import { readKeyValue } from "../../api/key-value.ts";
import { WireReader } from "../../api/wire.ts";
import type { Backend, IndexPages } from "../backend/backend.ts";
import { LeaseAttachments } from "../lease-attachments.ts";
import { mainOf } from "../revision.ts";
import type { KeyDescription } from "../store.ts";
import { type IndexedChange, IndexPageWriter, readIndexPages } from "./index-pages.ts";
import { KeyIndex } from "./key-index.ts";

/** Metadata keys with etcd's names in its `meta` bucket; values are revision keys. */
export const metaBucket = "meta";
export const scheduledCompaction = "scheduledCompactRev";
export const finishedCompaction = "finishedCompactRev";

/** Revisions read between two turns of the event loop. */
const sliceSize = 20_000;

export class IndexedStore {
  readonly index: KeyIndex = new KeyIndex();
  /** Null where the backend stores no pages. */
  pages: IndexPageWriter | null = null;
  readonly leases: LeaseAttachments = new LeaseAttachments(this.index);
  revision = 1;
  compactedRevision = -1;

  describe(key: Uint8Array): KeyDescription | undefined {
    const slot = this.index.find(key);
    const record = slot < 0 ? 0 : this.index.head(slot);
    const { versions } = this.index;
    const version = versions.version(record);
    if (version === 0) return undefined;
    return {
      createRevision: versions.created(record),
      modRevision: versions.main(record),
      version,
      lease: this.leases.leaseOf(slot),
    };
  }

  /** `current` is the latest revision visible to the view; 0 selects it, and there is no history below it. */
  revisionError(revision: number, current: number): "compacted" | "future" | null {
    if (revision > current) return "future";
    return revision !== 0 && revision < this.compactedRevision ? "compacted" : null;
  }
}

/** Builds an index from ascending revisions, while they are read or written. */
export class IndexBuilder {
  readonly #state = beginIndex();

  add(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    restore(this.#state, changeOf(main, sub, tombstone, value));
  }

  /** `backend` holds the same revisions, and the metadata beside them. */
  finish(backend: Backend): IndexedStore {
    endIndex(this.#state, backend);
    return this.#state;
  }
}

export async function openIndex(backend: Backend, yieldTurn: () => Promise<void>): Promise<IndexedStore> {
  const { indexPages } = backend;
  const { state, from } = indexPages === undefined ? { state: beginIndex(), from: 0 } : fromPages(indexPages);
  if (indexPages !== undefined) state.pages = new IndexPageWriter(indexPages, from);
  let next: [main: number, sub: number] | null = [from, 0];
  while (next !== null) {
    next = loadSlice(state, backend, next);
    if (next !== null) await yieldTurn();
  }
  endIndex(state, backend);
  dropCompacted(state, readCompaction(backend, finishedCompaction));
  return state;
}

/** Until `endIndex`, revisions are only restored. */
function beginIndex(): IndexedStore {
  const state = new IndexedStore();
  state.index.beginBulk();
  return state;
}

/** Orders the keys. A compaction counts from its request on, finished or not. */
function endIndex(state: IndexedStore, backend: Backend): void {
  state.index.endBulk();
  state.compactedRevision = readCompaction(backend, scheduledCompaction) ?? state.compactedRevision;
  state.revision = Math.max(state.revision, state.compactedRevision);
}

type Begun = { readonly state: IndexedStore; readonly from: number };

/** The state according to the pages. Untrusted pages are deleted, and everything is rebuilt. */
function fromPages(pages: IndexPages): Begun {
  const state = beginIndex();
  const from = readIndexPages(pages, (change) => restore(state, change));
  if (from !== null) return { state, from };
  pages.read(0, (lastMain) => {
    pages.delete(lastMain);
    return true;
  });
  return { state: beginIndex(), from: 0 };
}

/** Pages still describe what a finished compaction has deleted; an unfinished one is resumed. */
function dropCompacted({ index }: IndexedStore, finished: number | undefined): void {
  if (finished === undefined) return;
  for (let slot = 0; slot < index.slotLimit; slot++) {
    if (index.head(slot) !== 0) index.compactSlot(slot, finished, () => undefined);
  }
}

/** Reads a slice and returns where the next one starts, or null at the end. */
function loadSlice(state: IndexedStore, backend: Backend, from: [number, number]): [number, number] | null {
  let left = sliceSize;
  let next: [number, number] | null = null;
  backend.scan(from[0], from[1], (main, sub, tombstone, value) => {
    if (left-- === 0) {
      next = [main, sub];
      return false;
    }
    const change = changeOf(main, sub, tombstone, value);
    if (main > state.revision) state.pages?.endRevision(main - 1);
    restore(state, change);
    state.pages?.add(change);
    return true;
  });
  return next;
}

function changeOf(main: number, sub: number, tombstone: boolean, value: Uint8Array): IndexedChange {
  const { key, createRevision, version, lease } = readKeyValue(new WireReader(value), value.length);
  if (tombstone) return { key, main, sub, tombstone, created: createRevision, version: 0, lease: 0n };
  return { key, main, sub, tombstone, created: createRevision, version, lease };
}

function restore(state: IndexedStore, { key, main, sub, created, version, lease }: IndexedChange): void {
  const slot = state.index.restore(key, main, sub, created, version, lease !== 0n);
  state.leases.attach(slot, lease);
  state.revision = main;
}

/** The revision of a compaction record, or undefined. */
export function readCompaction(backend: Backend, name: string): number | undefined {
  const value = backend.metadata.get(metaBucket, name);
  return value === undefined ? undefined : mainOf(value);
}
