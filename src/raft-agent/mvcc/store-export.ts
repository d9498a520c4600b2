/**
 * A whole store as a stream of chunks: a magic, then frames (length, kind, payload), ended by a frame with the CRC-32C
 * of everything before it. Written from a consistent view; read into an empty backend that replaces the old one only
 * after the checksum matched.
 */

import { crc32c, extendCrc32c } from "../../base/crc32c.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { Backend, BackendFiller, ReadSnapshot } from "./backend/backend.ts";
import { mainOf, readBigEndian, revisionKeyLength, subOf, writeBigEndian, writeRevisionKey } from "./revision.ts";

const magic = Buffer.from("haplan-store-1\n");
const frameKind = { consistentIndex: 1, metadata: 2, put: 3, tombstone: 4, end: 5 } as const;
const chunkSize = 256 * 1024;
/** Rejects absurd lengths before memory is allocated for them. */
const frameBytesMax = 1 << 30;

/** Collects frames into chunks and maintains the checksum. */
class ChunkWriter {
  #parts: Uint8Array[] = [];
  #size = 0;
  crc = 0;

  add(bytes: Uint8Array): void {
    this.crc = extendCrc32c(this.crc, bytes);
    this.#parts.push(bytes);
    this.#size += bytes.length;
  }

  frame(kind: number, ...payload: Uint8Array[]): void {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(payload.reduce((sum, part) => sum + part.length, 0));
    head[4] = kind;
    this.add(head);
    for (const part of payload) this.add(part);
  }

  get full(): boolean {
    return this.#size >= chunkSize;
  }

  take(): Uint8Array {
    const chunk = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#size = 0;
    return chunk;
  }
}

export async function* exportStore(backend: Backend, yieldTurn: () => Promise<void>): AsyncGenerator<Uint8Array> {
  const snapshot = await backend.snapshot();
  try {
    const writer = new ChunkWriter();
    writer.add(magic);
    const indexes = Buffer.alloc(16);
    writeBigEndian(indexes, 0, snapshot.consistentIndex);
    writeBigEndian(indexes, 8, snapshot.consistentTerm);
    writer.frame(frameKind.consistentIndex, indexes);
    for (const [bucket, key, value] of snapshot.metadata()) {
      const name = Buffer.from(`${bucket}\0${key}`);
      const nameLength = Buffer.alloc(4);
      nameLength.writeUInt32BE(name.length);
      writer.frame(frameKind.metadata, nameLength, name, value.slice());
    }
    yield* exportRevisions(snapshot, writer, yieldTurn);
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(writer.crc);
    writer.frame(frameKind.end, checksum);
    yield writer.take();
  } finally {
    snapshot.close();
  }
}

async function* exportRevisions(
  snapshot: ReadSnapshot,
  writer: ChunkWriter,
  yieldTurn: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  let next: [number, number] | null = [0, 0];
  while (next !== null) {
    const [fromMain, fromSub]: [number, number] = next;
    next = null;
    snapshot.scan(fromMain, fromSub, (main, sub, tombstone, value) => {
      if (writer.full) {
        next = [main, sub];
        return false;
      }
      const key = new Uint8Array(revisionKeyLength + 1);
      writeRevisionKey(key, main, sub, tombstone);
      const kind = tombstone ? frameKind.tombstone : frameKind.put;
      writer.frame(kind, key.subarray(0, revisionKeyLength), value.slice());
      return true;
    });
    if (next !== null) {
      yield writer.take();
      await yieldTurn();
    }
  }
}

type ImportListener = {
  /** Called with each revision on its way into the backend, in order. */
  readonly onRevision: BackendFiller["put"];
  /** @see Backend.replace */
  readonly onReplaced: () => void;
};

/**
 * Replaces the backend's content with that of `chunks`. @throws HaplanError `store/bad-snapshot` with the old content
 * untouched.
 */
export async function importStore(
  backend: Backend,
  chunks: AsyncIterable<Uint8Array>,
  { onRevision, onReplaced }: ImportListener,
): Promise<void> {
  await backend.replace(async (empty) => {
    const reader = new FrameReader(empty, onRevision);
    for await (const chunk of chunks) {
      reader.push(chunk);
      await empty.drain();
    }
    reader.finish();
  }, onReplaced);
}

class FrameReader {
  #rest: Uint8Array = new Uint8Array(0);
  #started = false;
  #ended = false;
  #crc = 0;
  readonly #empty: BackendFiller;
  readonly #onRevision: BackendFiller["put"];

  constructor(empty: BackendFiller, onRevision: BackendFiller["put"]) {
    this.#empty = empty;
    this.#onRevision = onRevision;
  }

  push(chunk: Uint8Array): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    let offset = this.#started ? 0 : this.#readMagic(view);
    while (this.#started && view.length - offset >= 5) {
      const length = view.readUInt32BE(offset);
      if (length > frameBytesMax) throw damaged(`a record claims ${length} bytes`);
      const end = offset + 5 + length;
      if (end > view.length) break;
      this.#take(view[offset + 4]!, view.subarray(offset + 5, end));
      this.#crc = extendCrc32c(this.#crc, view.subarray(offset, end));
      offset = end;
    }
    this.#rest = view.subarray(offset).slice();
  }

  finish(): void {
    if (!this.#ended) throw damaged("it is truncated");
    if (this.#rest.length > 0) throw damaged("there are bytes after its end");
  }

  #readMagic(view: Buffer): number {
    if (view.length < magic.length) return 0;
    if (!view.subarray(0, magic.length).equals(magic)) throw damaged("its magic is missing");
    this.#started = true;
    this.#crc = crc32c(magic);
    return magic.length;
  }

  #take(kind: number, payload: Buffer): void {
    if (this.#ended) throw damaged("there are records after its end");
    switch (kind) {
      case frameKind.consistentIndex:
        this.#empty.setConsistentIndex(readBigEndian(payload, 0), readBigEndian(payload, 8));
        break;
      case frameKind.metadata:
        this.#takeMetadata(payload);
        break;
      case frameKind.put:
      case frameKind.tombstone: {
        const value = payload.subarray(revisionKeyLength);
        const tombstone = kind === frameKind.tombstone;
        this.#onRevision(mainOf(payload), subOf(payload), tombstone, value);
        this.#empty.put(mainOf(payload), subOf(payload), tombstone, value.slice());
        break;
      }
      case frameKind.end:
        if (payload.readUInt32BE(0) !== this.#crc) throw damaged("its checksum is wrong");
        this.#ended = true;
        break;
      default:
        throw damaged(`it contains a record of unknown kind ${kind}`);
    }
  }

  #takeMetadata(payload: Buffer): void {
    const nameEnd = 4 + payload.readUInt32BE(0);
    const name = payload.subarray(4, nameEnd).toString();
    const split = name.indexOf("\0");
    this.#empty.putMetadata(name.slice(0, split), name.slice(split + 1), payload.subarray(nameEnd));
  }
}

function damaged(what: string): HaplanError {
  return new HaplanError("store/bad-snapshot", `The snapshot cannot be used: ${what}. Request it again.`);
}
