/**
 * Turns header blocks of a connection into request heads and trailers: assembly, decoding and the cache of known
 * blocks.
 */
import { Flag, FrameType } from "./frame.ts";
import { HeaderAssembly } from "./header-assembly.ts";
import { HeaderBlockCache } from "./header-block-cache.ts";
import { type FieldList, HpackDecoder } from "./hpack-decoder.ts";
import { protocolError } from "./http2-error.ts";
import { RequestHead } from "./request-head.ts";

export class HeaderReader {
  readonly #decoder: HpackDecoder;
  readonly #cache = new HeaderBlockCache();
  readonly #listMaxBytes: number;
  #assembly: HeaderAssembly | undefined = undefined;

  constructor(tableBytes: number, listMaxBytes: number) {
    this.#decoder = new HpackDecoder(tableBytes, listMaxBytes);
    this.#listMaxBytes = listMaxBytes;
  }

  /** True between a HEADERS frame without END_HEADERS and the CONTINUATION that has it: no other frame may arrive. */
  get assembling(): boolean {
    return this.#assembly !== undefined;
  }

  begin(streamId: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    this.#assembly = new HeaderAssembly(streamId, endStream, this.#listMaxBytes);
    this.#assembly.add(bytes, start, end);
  }

  /** Takes the frame after an unfinished block; returns the assembly once it is complete (RFC 9113 §6.10). */
  continue(
    type: number,
    flags: number,
    streamId: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): HeaderAssembly | undefined {
    const assembly = this.#assembly!;
    if (type !== FrameType.continuation || streamId !== assembly.streamId)
      throw protocolError("interrupted header block");
    assembly.add(bytes, start, end);
    if ((flags & Flag.endHeaders) === 0) return undefined;
    this.#assembly = undefined;
    return assembly;
  }

  readHead(bytes: Buffer, start: number, end: number): RequestHead {
    const changes = this.#decoder.changes;
    const known = this.#cache.find(bytes, start, end, changes);
    if (known !== undefined) return known;
    const head = new RequestHead(this.#decoder.decode(bytes, start, end));
    if (this.#decoder.changes === changes) this.#cache.add(bytes, start, end, changes, head);
    return head;
  }

  readTrailers(bytes: Buffer, start: number, end: number): FieldList {
    return this.#decoder.decode(bytes, start, end);
  }
}
