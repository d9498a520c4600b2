/**
 * A backend in memory, for the simulator and for tests. It distinguishes written from committed data, so that a crash
 * can be simulated: `afterCrash` is what a restarted process would find on disk.
 */
import type { LogIndex, Term } from "../../raft/entry.ts";
import type { Backend, BackendFiller, Metadata, ReadSnapshot, RevisionVisitor, StoreSize } from "./backend.ts";

type Row = { readonly main: number; readonly sub: number; readonly tombstone: boolean; value: Uint8Array | null };

/** One image of a backend's content. Deleted rows stay as holes until half of the list is holes. */
class Content {
  rows: Row[] = [];
  holes = 0;
  bytes = 0;
  metadata = new Map<string, Map<string, Uint8Array>>();
  index: LogIndex = 0;
  term: Term = 0;

  copy(): Content {
    const copy = new Content();
    copy.rows = this.rows.map((row) => ({ ...row }));
    copy.holes = this.holes;
    copy.bytes = this.bytes;
    for (const [bucket, entries] of this.metadata) copy.metadata.set(bucket, new Map(entries));
    copy.index = this.index;
    copy.term = this.term;
    return copy;
  }

  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    this.rows.push({ main, sub, tombstone, value });
    this.bytes += 17 + value.length;
  }

  delete(main: number, sub: number): void {
    const row = this.rows[this.#lowerBound(main, sub)];
    if (row === undefined || row.main !== main || row.sub !== sub || row.value === null) return;
    this.bytes -= 17 + row.value.length;
    row.value = null;
    this.holes++;
    if (this.holes * 2 <= this.rows.length) return;
    this.rows = this.rows.filter((one) => one.value !== null);
    this.holes = 0;
  }

  get(main: number, sub: number): Uint8Array | undefined {
    const row = this.rows[this.#lowerBound(main, sub)];
    return row?.main === main && row.sub === sub ? (row.value ?? undefined) : undefined;
  }

  scan(main: number, sub: number, visit: RevisionVisitor): void {
    const { rows } = this;
    for (let i = this.#lowerBound(main, sub); i < rows.length; i++) {
      const row = rows[i]!;
      if (row.value !== null && !visit(row.main, row.sub, row.tombstone, row.value)) return;
    }
  }

  bucket(name: string): Map<string, Uint8Array> {
    let bucket = this.metadata.get(name);
    if (bucket === undefined) this.metadata.set(name, (bucket = new Map()));
    return bucket;
  }

  #lowerBound(main: number, sub: number): number {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = this.rows[middle]!;
      if (row.main < main || (row.main === main && row.sub < sub)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export class MemoryBackend implements Backend {
  #live: Content;
  #durable: Content;
  /** Changes since the last commit, to be replayed on the durable image. */
  #uncommitted: ((content: Content) => void)[] = [];

  constructor() {
    this.#live = new Content();
    this.#durable = new Content();
  }

  /** A backend with the content that this one had committed. */
  afterCrash(): MemoryBackend {
    const restarted = new MemoryBackend();
    restarted.#live = this.#durable.copy();
    restarted.#durable = this.#durable.copy();
    return restarted;
  }

  readonly metadata: Metadata = {
    get: (bucket, key) => this.#live.metadata.get(bucket)?.get(key),
    put: (bucket, key, value) => {
      const copy = value.slice();
      this.#change((content) => content.bucket(bucket).set(key, copy));
    },
    delete: (bucket, key) => this.#change((content) => content.bucket(bucket).delete(key)),
    entries: (bucket) =>
      [...(this.#live.metadata.get(bucket) ?? [])].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  };

  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    const copy = value.slice();
    this.#change((content) => content.put(main, sub, tombstone, copy));
  }

  get(main: number, sub: number): Uint8Array | undefined {
    return this.#live.get(main, sub);
  }

  delete(main: number, sub: number): void {
    this.#change((content) => content.delete(main, sub));
  }

  scan(main: number, sub: number, visit: RevisionVisitor): void {
    this.#live.scan(main, sub, visit);
  }

  get consistentIndex(): LogIndex {
    return this.#live.index;
  }

  get consistentTerm(): Term {
    return this.#live.term;
  }

  setConsistentIndex(index: LogIndex, term: Term): void {
    this.#change((content) => {
      content.index = index;
      content.term = term;
    });
  }

  get flushedIndex(): LogIndex {
    return this.#durable.index;
  }

  async commit(): Promise<void> {
    for (const change of this.#uncommitted) change(this.#durable);
    this.#uncommitted = [];
  }

  size(): StoreSize {
    return { totalBytes: this.#live.bytes, inUseBytes: this.#live.bytes };
  }

  async snapshot(): Promise<ReadSnapshot> {
    const image = this.#live.copy();
    return {
      consistentIndex: image.index,
      consistentTerm: image.term,
      scan: (main, sub, visit) => image.scan(main, sub, visit),
      metadata: () =>
        [...image.metadata].flatMap(([bucket, entries]) =>
          [...entries].map(([key, value]): [string, string, Uint8Array] => [bucket, key, value]),
        ),
      close: () => undefined,
    };
  }

  async replace(fill: (empty: BackendFiller) => Promise<void>, onReplaced: () => void = () => {}): Promise<void> {
    const image = new Content();
    await fill({
      put: (main, sub, tombstone, value) => image.put(main, sub, tombstone, value),
      putMetadata: (bucket, key, value) => image.bucket(bucket).set(key, value.slice()),
      setConsistentIndex: (index, term) => {
        image.index = index;
        image.term = term;
      },
      drain: () => Promise.resolve(),
    });
    this.#live = image;
    this.#durable = image.copy();
    this.#uncommitted = [];
    onReplaced();
  }

  async close(): Promise<void> {
    await this.commit();
  }

  #change(change: (content: Content) => void): void {
    change(this.#live);
    this.#uncommitted.push(change);
  }
}
