/** What a store holds in memory, and how it is rebuilt from a backend by reading every revision once, in order. */
import { type KeyValue, readKeyValue } from "../api/key-value.ts";
import { WireReader } from "../api/wire.ts";
import type { Backend } from "./backend.ts";
import { KeyIndex } from "./key-index.ts";
import { LeaseAttachments } from "./lease-attachments.ts";
import { mainOf } from "./revision.ts";
import type { KeyDescription } from "./store.ts";

/** Metadata keys, as etcd names them in its `meta` bucket; values are revision keys. */
export const metaBucket = "meta";
export const scheduledCompaction = "scheduledCompactRev";
export const finishedCompaction = "finishedCompactRev";

/** Revisions read between two turns of the event loop. */
const sliceSize = 20_000;

export class IndexedStore {
  readonly index: KeyIndex = new KeyIndex();
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

  /** `current` is the latest revision the asking view sees. */
  revisionProblem(revision: number, current: number): "compacted" | "future" | null {
    if (revision > current) return "future";
    return revision > 0 && revision < this.compactedRevision ? "compacted" : null;
  }
}

/** Builds an index from revisions that come in their order, while they are read or written. */
export class IndexBuilder {
  private readonly state = new IndexedStore();

  constructor() {
    this.state.index.beginBulk();
  }

  add(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    restore(this.state, main, sub, tombstone, readKeyValue(new WireReader(value), value.length));
  }

  /** `backend` holds the same revisions, and the metadata beside them. */
  finish(backend: Backend): IndexedStore {
    const { state } = this;
    state.index.endBulk();
    state.compactedRevision = readCompaction(backend, scheduledCompaction) ?? state.compactedRevision;
    state.revision = Math.max(state.revision, state.compactedRevision);
    return state;
  }
}

export async function openIndex(backend: Backend, yieldTurn: () => Promise<void>): Promise<IndexedStore> {
  const builder = new IndexBuilder();
  let next: [main: number, sub: number] | null = [0, 0];
  while (next !== null) {
    next = loadSlice(builder, backend, next);
    if (next !== null) await yieldTurn();
  }
  return builder.finish(backend);
}

/** Reads a slice and returns where the next one begins, or null at the end. */
function loadSlice(builder: IndexBuilder, backend: Backend, from: [number, number]): [number, number] | null {
  let left = sliceSize;
  let next: [number, number] | null = null;
  backend.scan(from[0], from[1], (main, sub, tombstone, value) => {
    if (left-- === 0) {
      next = [main, sub];
      return false;
    }
    builder.add(main, sub, tombstone, value);
    return true;
  });
  return next;
}

function restore(state: IndexedStore, main: number, sub: number, tombstone: boolean, kv: KeyValue): void {
  const slot = state.index.restore(kv.key, main, sub, kv.createRevision, tombstone ? 0 : kv.version, kv.lease !== 0n);
  state.leases.attach(slot, tombstone ? 0n : kv.lease);
  state.revision = main;
}

/** The revision of a compaction record, or undefined. */
export function readCompaction(backend: Backend, name: string): number | undefined {
  const value = backend.metadata.get(metaBucket, name);
  return value === undefined ? undefined : mainOf(value);
}
