/**
 * Completed membership changes, by the id that the receiving member assigned to each. That member retries when a
 * response is lost: the current leader recognizes the id and responds for its predecessor. Part of the replicated
 * data, so that every possible leader knows the same ids.
 */
import type { Metadata } from "../mvcc/backend/backend.ts";
import type { LogIndex } from "../raft/entry.ts";
import type { ChangeId } from "./change-id.ts";
import type { AddedMember } from "./membership.ts";

/** `added` are the members added by the change: their ids are returned to the client. */
export type CompletedChange = { readonly id: ChangeId; readonly added: readonly AddedMember[] };

const bucket = "changes_completed";
/** A change is retried for some seconds, at most two minutes, during which there are far fewer changes than this. */
const rememberedMax = 1_024;

export class CompletedChanges {
  readonly #metadata: Metadata;
  /** Oldest first, by the index of the entry that applied it. */
  readonly #changes = new Map<ChangeId, { readonly index: LogIndex; readonly change: CompletedChange }>();

  constructor(metadata: Metadata) {
    this.#metadata = metadata;
  }

  load(): void {
    this.#changes.clear();
    for (const [key, bytes] of this.#metadata.entries(bucket)) {
      const change = JSON.parse(Buffer.from(bytes).toString("utf8")) as CompletedChange;
      this.#changes.set(change.id, { index: Number.parseInt(key, 16), change });
    }
  }

  get(id: ChangeId): CompletedChange | undefined {
    return this.#changes.get(id)?.change;
  }

  /** Called when the entry at `index` is applied. */
  add(index: LogIndex, change: CompletedChange): void {
    this.#changes.set(change.id, { index, change });
    this.#metadata.put(bucket, keyOf(index), Buffer.from(JSON.stringify(change)));
    for (const [id, { index: oldest }] of this.#changes) {
      if (this.#changes.size <= rememberedMax) break;
      this.#changes.delete(id);
      this.#metadata.delete(bucket, keyOf(oldest));
    }
  }
}

/** Keys sort like the numbers. */
function keyOf(index: LogIndex): string {
  return index.toString(16).padStart(16, "0");
}
