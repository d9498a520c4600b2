/**
 * Snapshots between members. The state machine is durable by itself, so a snapshot exists only in transit: the leader
 * streams its store, the follower keeps the bytes in a file until its log records that they replace its state, and
 * then moves them into its store. Each step is durable before the next, and each can be repeated after a crash.
 */
import { errorText, HaplanError } from "../../../base/haplan-error.ts";
import type { ConsensusDriver } from "../../consensus/consensus-driver.ts";
import type { Store } from "../../mvcc/store.ts";
import type { SnapshotMetadata } from "../../raft/configuration.ts";
import type { LogIndex, MemberId, Term } from "../../raft/entry.ts";
import type { MessageOf } from "../../raft/message.ts";
import type { Raft } from "../../raft/raft.ts";
import type { OpenSnapshot, SnapshotStore } from "../../snapshot/snapshot-store.ts";
import type { PeerTransport } from "../../transport/peer-transport.ts";

const termBytes = 8;

export type SnapshotExchangeParts = {
  readonly files: SnapshotStore;
  readonly store: Store;
  /** Called in the turn in which the store's content is replaced, before any reader. */
  readonly onInstalled: (index: LogIndex) => void;
  readonly onLog: (text: string) => void;
};

/** What sending requires of the leading member. */
export type SnapshotLink = {
  readonly driver: Pick<ConsensusDriver, "step">;
  readonly raft: Pick<Raft, "snapshotMetadata" | "status">;
  readonly transport: Pick<PeerTransport, "sendSnapshot">;
};

export class SnapshotExchange {
  readonly #parts: SnapshotExchangeParts;
  readonly #sending = new Set<MemberId>();

  constructor(parts: SnapshotExchangeParts) {
    this.#parts = parts;
  }

  /** Streams the current store; the core determined the need, not the bytes. */
  send(request: MessageOf<"snapshotRequest">, link: SnapshotLink): void {
    const { store, onLog } = this.#parts;
    const { to, term } = request;
    if (this.#sending.has(to)) return;
    this.#sending.add(to);
    const metadata = link.raft.snapshotMetadata(store.consistentIndex);
    onLog(`sending a snapshot up to entry ${metadata.index} to member ${to}`);
    link.transport.sendSnapshot(to, metadata, withTerm(term, store.exportSnapshot())).then(
      () => this.#sent(to, true, link.driver, `member ${to} has the snapshot up to entry ${metadata.index}`),
      (error) => this.#sent(to, false, link.driver, `snapshot for member ${to} failed: ${errorText(error)}`),
    );
  }

  /** Streams the store to a member that is prepared to replace its own; resolves once it is installed there. */
  async sendRepairSnapshot(to: MemberId, { raft, transport }: SnapshotLink): Promise<void> {
    const { store } = this.#parts;
    const metadata = raft.snapshotMetadata(store.consistentIndex);
    await transport.sendSnapshot(to, metadata, withTerm(raft.status().term, store.exportSnapshot()));
  }

  #sent(peer: MemberId, succeeded: boolean, driver: SnapshotLink["driver"], text: string): void {
    this.#sending.delete(peer);
    this.#parts.onLog(text);
    driver.step({ kind: "snapshotSent", peer, succeeded });
  }

  /** Stores a snapshot streamed by a leader; resolves with the leader's term once it is durable. */
  async receive(metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<Term> {
    const { term, rest } = await splitTerm(chunks);
    await this.#parts.files.write(metadata, rest);
    return term;
  }

  /**
   * Moves the received snapshot at `index` into the store. @throws HaplanError `agent/snapshot-missing`: according to
   * the log it was received, but the file is absent.
   */
  async install(index: LogIndex): Promise<void> {
    const { files, store, onInstalled, onLog } = this.#parts;
    const snapshot = await this.#openAt(index);
    try {
      await store.importSnapshot(snapshot.chunks(), () => onInstalled(index));
      await store.flush();
    } finally {
      await snapshot.close();
    }
    onLog(`installed the snapshot up to entry ${index}`);
    await files.removeUpTo(index);
  }

  async #openAt(index: LogIndex): Promise<OpenSnapshot> {
    const { files } = this.#parts;
    const found = (await files.list()).find((snapshot) => snapshot.index === index);
    if (found !== undefined) return files.open(found.name);
    throw new HaplanError(
      "agent/snapshot-missing",
      `Cannot continue: the log starts after the snapshot at entry ${index}, which is missing; ` +
        "remove the member from the cluster, clear its directories and add it as a new one",
    );
  }
}

/** The leader's term precedes the bytes: the metadata's term is that of its last entry. */
async function* withTerm(term: Term, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const head = Buffer.alloc(termBytes);
  head.writeBigUInt64BE(BigInt(term));
  yield head;
  yield* chunks;
}

/** The transport decides how a stream is split into chunks, so the term may be split, or combined with what follows. */
async function splitTerm(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly term: Term; readonly rest: AsyncIterable<Uint8Array> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < termBytes) {
    const next = await iterator.next();
    if (next.done === true) {
      throw new HaplanError("agent/snapshot-stream", "Cannot receive the snapshot: its stream ends before its term");
    }
    head = Buffer.concat([head, next.value]);
  }
  return { term: Number(head.readBigUInt64BE()), rest: followedBy(head.subarray(termBytes), iterator) };
}

async function* followedBy(first: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  yield* { [Symbol.asyncIterator]: () => iterator };
}
