/**
 * Header blocks of requests, encoded so that sending and reading them costs next to nothing: the first request fills
 * the server's dynamic table, a path's first request adds the path, all others are index bytes (RFC 7541 §6.1,
 * §6.2.1). The server's table easily holds these few entries.
 */

const staticEntries = 61;

export class RequestBlocks {
  readonly #authority: string;
  /** Entries added to the server's table, oldest first: the common fields, then paths. */
  readonly #added: string[] = [];
  readonly #blocks = new Map<string, Buffer>();

  constructor(authority: string) {
    this.#authority = authority;
  }

  /** The block of the next request to `path`; requests must be sent in the order of the calls. */
  next(path: string): Buffer {
    const known = this.#blocks.get(path);
    if (known !== undefined) return known;
    if (this.#added.includes(path)) {
      const block = Buffer.from([
        0x83,
        0x86,
        ...[path, "authority", "content-type", "te"].map((name) => this.#at(name)),
      ]);
      this.#blocks.set(path, block);
      return block;
    }
    // Adding an entry shifts all others by one.
    this.#blocks.clear();
    const isFirst = this.#added.length === 0;
    this.#added.push(path);
    const pathField = [Buffer.of(0x44), text(path)];
    if (isFirst) return Buffer.concat([Buffer.of(0x83, 0x86), ...pathField, ...this.#addCommon()]);
    const indexes = ["authority", "content-type", "te"].map((name) => this.#at(name));
    return Buffer.concat([Buffer.of(0x83, 0x86), ...pathField, Buffer.from(indexes)]);
  }

  #addCommon(): Buffer[] {
    this.#added.push("authority", "content-type", "te");
    return [
      Buffer.of(0x41),
      text(this.#authority),
      Buffer.of(0x5f),
      text("application/grpc"),
      Buffer.of(0x40),
      text("te"),
      text("trailers"),
    ];
  }

  /** An indexed field; the table counts from its newest entry. */
  #at(name: string): number {
    return 0x80 | (staticEntries + this.#added.length - this.#added.indexOf(name));
  }
}

/** A string literal of fewer than 127 bytes. */
function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value, "latin1")]);
}
