/**
 * Changes of the members that were carried out, by the id that the member gave each of them which its client had asked.
 * That member asks again when an answer is lost: the leader of the day recognizes the id and answers for its
 * predecessor. Part of the replicated data, so that every member that may become leader knows the same ids.
 */
import type { Metadata } from "../mvcc/backend/backend.ts";
import type { LogIndex } from "../raft/entry.ts";
import type { ChangeId } from "./change-id.ts";
import type { AddedMember } from "./membership.ts";

/** `added` are the members that the change brought in: their ids are told to the client. */
export type CompletedChange = { readonly id: ChangeId; readonly added: readonly AddedMember[] };

const bucket = "changes_completed";
/** A change is asked again for some seconds, at most two minutes: it takes far fewer than this meanwhile. */
const rememberedMax = 1_024;

export class CompletedChanges {
  readonly #metadata: Metadata;
  /** Oldest first, by the index of the entry that carried it out. */
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

  /** Told when the entry at `index` is applied. */
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

/** Keys sort as numbers do. */
function keyOf(index: LogIndex): string {
  return index.toString(16).padStart(16, "0");
}
