/**
 * The store's backend on a simulated disk: commits and replacements take time, and what was not committed when the
 * process ended is lost. The content is that of the memory backend, which distinguishes committed from written data.
 */

import type { MemoryBackend } from "../../src/raft-agent/mvcc/backend/backend.fake.ts";
import type {
  Backend,
  BackendFiller,
  Metadata,
  ReadSnapshot,
  RevisionVisitor,
  StoreSize,
} from "../../src/raft-agent/mvcc/backend/backend.ts";
import type { LogIndex, Term } from "../../src/raft-agent/raft/entry.ts";
import type { Mutations } from "./mutations.ts";

export class SimulatedBackend implements Backend {
  readonly metadata: Metadata;
  readonly #content: MemoryBackend;
  readonly #waitForDisk: () => Promise<void>;
  readonly #mutations: Mutations;
  /** Commits and replacements run one after the other. */
  #chain: Promise<void> = Promise.resolve();

  /** `waitForDisk` takes as long as a sync; it never resolves, or rejects, when the process has ended meanwhile. */
  constructor(content: MemoryBackend, waitForDisk: () => Promise<void>, mutations: Mutations) {
    this.#content = content;
    this.#mutations = mutations;
    this.#waitForDisk = waitForDisk;
    this.metadata = content.metadata;
  }

  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    this.#content.put(main, sub, tombstone, value);
  }

  get(main: number, sub: number): Uint8Array | undefined {
    return this.#content.get(main, sub);
  }

  delete(main: number, sub: number): void {
    this.#content.delete(main, sub);
  }

  scan(main: number, sub: number, visit: RevisionVisitor): void {
    this.#content.scan(main, sub, visit);
  }

  get consistentIndex(): LogIndex {
    return this.#content.consistentIndex;
  }

  get consistentTerm(): Term {
    return this.#content.consistentTerm;
  }

  setConsistentIndex(index: LogIndex, term: Term): void {
    this.#content.setConsistentIndex(index, term);
  }

  get flushedIndex(): LogIndex {
    return this.#content.flushedIndex;
  }

  commit(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#waitForDisk();
      if (this.#mutations.storeForgetsIndex === true) await this.#commitWithOldIndex();
      else await this.#content.commit();
    });
  }

  async #commitWithOldIndex(): Promise<void> {
    const { consistentIndex, consistentTerm, flushedIndex } = this.#content;
    this.#content.setConsistentIndex(flushedIndex, consistentTerm);
    await this.#content.commit();
    this.#content.setConsistentIndex(consistentIndex, consistentTerm);
  }

  size(): StoreSize {
    return this.#content.size();
  }

  snapshot(): Promise<ReadSnapshot> {
    return this.#content.snapshot();
  }

  /** As on the real disk, the rename at the end decides: before it the old content is in effect, after it the new. */
  replace(fill: (empty: BackendFiller) => Promise<void>, onReplaced: () => void = () => {}): Promise<void> {
    return this.#inTurn(() =>
      this.#content.replace(async (empty) => {
        await fill(empty);
        await this.#waitForDisk();
      }, onReplaced),
    );
  }

  close(): Promise<void> {
    return this.commit();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#chain.then(work);
    this.#chain = done.catch(() => {});
    return done;
  }
}
