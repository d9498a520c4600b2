/**
 * The response of a large Range, built part by part. All parts are of the revision at which the range was opened. A
 * compaction beyond that revision makes the unread rest unreadable: the range is then reopened, as if it had just
 * arrived.
 */
import type { EncodedKeyValue } from "../api/key-value.ts";
import { type RangeRequest, writeRangeResponse } from "../api/range.ts";
import { WireWriter } from "../api/wire.ts";
import type { MessageSource, ServerCall } from "../grpc/call.ts";
import type { RangeCursor } from "../mvcc/store.ts";
import { guarded } from "./answer.ts";
import { responseHeader, type ServiceContext } from "./service-context.ts";

const partBytes = 256 << 10;
/** The maximum size of tag and length of a key-value in the response. */
const fieldBytesMax = 11;
const headerBytesMax = 64;

/** `first` are the key-values that were already read from the cursor. */
export type OpenedRange = { readonly cursor: RangeCursor; readonly first: readonly EncodedKeyValue[] };

export class LargeRange implements MessageSource {
  readonly #context: ServiceContext;
  readonly #call: ServerCall;
  readonly #request: RangeRequest;
  #cursor: RangeCursor;
  #revision: number;
  #unsent: readonly EncodedKeyValue[];
  #headerDue = true;
  #ended = false;
  #readKeys = 0;
  #readBytes = 0;

  constructor(context: ServiceContext, call: ServerCall, request: RangeRequest, { cursor, first }: OpenedRange) {
    this.#context = context;
    this.#call = call;
    this.#request = request;
    this.#cursor = cursor;
    this.#revision = context.machine.store.revision;
    this.#unsent = first;
    this.#count(first);
  }

  expectedBytes(): number {
    if (this.#readKeys === 0) return 0;
    return Math.ceil(this.#readBytes + (this.#readBytes / this.#readKeys) * this.#cursor.keysLeft);
  }

  next(): Uint8Array | "again" | null {
    if (this.#ended) return null;
    let part: Uint8Array | "again" | null = null;
    guarded(this.#call, () => {
      part = this.#cursor.readable ? this.#nextPart() : this.#openAgain();
    });
    return part;
  }

  #nextPart(): Uint8Array {
    const kvs = this.#unsent.length > 0 ? this.#unsent : this.#read();
    this.#unsent = [];
    const last = this.#cursor.keysLeft === 0;
    const header = this.#headerDue ? responseHeader(this.#context, this.#revision) : undefined;
    const { more, count } = last ? this.#cursor : { more: false, count: 0 };
    this.#headerDue = false;
    this.#ended = last;
    return encodePart({ header, kvs, more, count });
  }

  #openAgain(): "again" {
    const { store } = this.#context.machine;
    this.#cursor = store.openRange(this.#request);
    this.#revision = store.revision;
    this.#unsent = [];
    this.#headerDue = true;
    this.#readKeys = 0;
    this.#readBytes = 0;
    return "again";
  }

  #read(): readonly EncodedKeyValue[] {
    const kvs = this.#cursor.read(partBytes);
    this.#count(kvs);
    return kvs;
  }

  #count(kvs: readonly EncodedKeyValue[]): void {
    this.#readKeys += kvs.length;
    for (const kv of kvs) this.#readBytes += kv.length + fieldBytesMax;
  }
}

/** In a new buffer that is large enough from the start: the part is kept until the client takes it. */
function encodePart(response: Parameters<typeof writeRangeResponse>[1]): Uint8Array {
  const bytes = response.kvs.reduce((sum, kv) => sum + kv.length + fieldBytesMax, headerBytesMax);
  const writer = new WireWriter(bytes);
  writeRangeResponse(writer, response);
  return writer.view();
}
